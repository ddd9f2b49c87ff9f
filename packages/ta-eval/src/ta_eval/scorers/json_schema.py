"""The `json_schema` scorer: does an answer hold JSON of the asked-for shape?"""

import json
from typing import Any

from ta_eval.scorers.command import FENCE
from ta_eval.scorers.text import Score


def score_json_schema(answer: str, schema: dict[str, Any]) -> Score:
    """1 if the answer's JSON is valid under `schema` (JSON Schema, draft 4, 6 or 7).

    Taken is the first fenced block, else the whole answer, else the first object or list in it.
    """
    import fastjsonschema

    text = find_json(answer)
    if not text:
        return Score(0.0, "", "no JSON in the answer")
    try:
        fastjsonschema.validate(schema, json.loads(text))
    except fastjsonschema.JsonSchemaValueException as error:
        return Score(0.0, text, f"JSON of another shape: {error.message}")
    return Score(1.0, text, "valid")


def schema_problem(schema: dict[str, Any]) -> str:
    """Why a schema cannot be used, or an empty string."""
    import fastjsonschema

    if not schema:
        return "schema: scorer 'json_schema' needs one"
    try:
        fastjsonschema.compile(schema)
    except fastjsonschema.JsonSchemaDefinitionException as error:
        return f"schema: {error}"
    return ""


def find_json(answer: str) -> str:
    """The text of the answer's JSON value, or an empty string."""
    fence = FENCE.search(answer)
    for text in (fence[2] if fence else "", answer):
        try:
            json.loads(text)
        except ValueError:
            continue
        return text.strip()
    decoder = json.JSONDecoder()
    for at, char in enumerate(answer):
        if char in "{[":
            try:
                _, end = decoder.raw_decode(answer, at)
            except (ValueError, RecursionError):
                continue
            return answer[at:end]
    return ""
