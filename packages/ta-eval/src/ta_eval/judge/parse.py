"""Getting the JSON object out of what a judge said, whatever stands round it."""

import json
from typing import Any, NamedTuple

LONGEST = 20_000
"""Characters looked at, from the end."""


class Parsed(NamedTuple):
    """The answer, or what is wrong with the text."""

    answer: dict[str, Any] | None
    problem: str = ""
    whole: bool = False
    """Whether the text was the object and nothing else."""


def parse(text: str, schema: dict[str, Any]) -> Parsed:
    """The text as JSON, else the last object in it that fits the schema (texts, enums, lists of objects)."""
    text = text[-LONGEST:].strip()
    objects = _objects(text)
    problem = "no JSON object in it"
    for raw in reversed(objects):
        answer, wrong = _fit(raw, schema)
        if answer is not None:
            return Parsed(answer, whole=len(objects) == 1 and text.startswith("{") and text.endswith("}"))
        problem = wrong if problem.startswith("no JSON") else problem
    return Parsed(None, problem)


def _objects(text: str) -> list[dict[str, Any]]:
    """JSON objects in order, outermost ones only."""
    decoder, found, at = json.JSONDecoder(), [], text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
            found.append(value)
            at = text.find("{", end)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
    return found


def _fit(raw: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Values held to their enum, whatever their case; digits in quotation marks are numbers.

    A text may be missing, an enum or a list may not; a list's objects are held to their own schema.
    """
    answer: dict[str, Any] = {}
    for name, field in schema["properties"].items():
        if field["type"] == "string" and "enum" not in field:
            answer[name] = str(raw.get(name, ""))
            continue
        if name not in raw:
            return None, f"{name!r} is missing"
        if field["type"] == "array":
            if not isinstance(raw[name], list) or not all(isinstance(item, dict) for item in raw[name]):
                return None, f"{name!r} is no list of objects"
            fitted = [_fit(item, field["items"]) for item in raw[name]]
            wrong = next((why for item, why in fitted if item is None), "")
            if wrong:
                return None, f"{name!r}: {wrong}"
            answer[name] = [item for item, _ in fitted]
            continue
        said = str(raw[name]).strip().casefold().removesuffix(".0")
        known = {str(value).casefold(): value for value in field["enum"]}
        if said not in known:
            return None, f"{name!r} is {raw[name]!r}, not one of {', '.join(map(str, field['enum']))}"
        answer[name] = known[said]
    return answer, ""
