"""JSON Schemas of the objects that models are asked for: exactly these fields, all of them."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def an_object(**fields: Schema) -> dict[str, Any]:
    """Return the schema of an object that has these fields, in their order, and no other.

    >>> an_object(answer=one_of("Yes", "No"))["required"]
    ['answer']
    """
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def a_text(description: str | None = None) -> Schema:
    """Return the schema of a text; small models read the description."""
    return {"type": "string"} | ({"description": description} if description else {})


def one_of(*values: str) -> Schema:
    """Return the schema of a text that is one of these."""
    return {"type": "string", "enum": list(values)}
