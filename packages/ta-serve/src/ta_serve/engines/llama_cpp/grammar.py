"""A JSON schema as a grammar of llama.cpp."""

import json
from typing import Any

from ta_schemas import InputError

LONGEST = 64 * 1024
"""Bytes of a schema; a larger one could keep the engine busy for seconds."""

MOST_REPEATED = 1000
"""Largest bound of a schema's lengths and counts: the grammar spells every repetition out."""

_BOUNDS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


def grammar_of(schema: dict[str, Any]) -> str:
    """GBNF for JSON of this schema; `{}`: any object. Raises InputError for what it cannot express."""
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"json_schema: not JSON: {error}") from None
    if len(text) > LONGEST:
        raise InputError(f"json_schema: {len(text)} bytes, at most {LONGEST}")
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        _check_bounds(schema)
        return str(json_schema_to_gbnf(text))
    except InputError:
        raise
    except RecursionError:
        raise InputError("json_schema: nested too deep") from None
    except Exception as error:  # noqa: BLE001 - the converter has no errors of its own
        raise InputError(f"json_schema: {error or type(error).__name__}") from None


def _check_bounds(node: Any) -> None:
    if isinstance(node, dict):
        for key in _BOUNDS:
            bound = node.get(key)
            if isinstance(bound, int | float) and bound > MOST_REPEATED:
                raise InputError(f"json_schema: {key} {bound}, at most {MOST_REPEATED}")
        for value in node.values():
            _check_bounds(value)
    elif isinstance(node, list):
        for value in node:
            _check_bounds(value)
