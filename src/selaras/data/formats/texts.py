"""Formats of instructions and transcripts: Alpaca, hh-rlhf."""

from collections.abc import Mapping
from typing import Any

from selaras.core.records import Example, Preference, Query
from selaras.data.formats.format import (
    Fields,
    Format,
    RowFields,
    Turn,
    asked,
    columns,
    dialogue,
    pair,
    text_of,
    turn,
)

_HUMAN, _ASSISTANT = "\n\nHuman: ", "\n\nAssistant: "


def _read_alpaca(fields: Fields) -> RowFields:
    instruction = text_of(fields, "instruction")
    instances = fields.get("instances")
    if isinstance(instances, list) and instances and isinstance(instances[0], Mapping):
        # Self-Instruct nests its inputs and outputs; the first is the one that it shows.
        fields = {**fields, **instances[0]}
    given = fields.get("input") or ""
    if not isinstance(given, str):
        raise ValueError("'input' is no text")
    query = f"{instruction}\n\n{given}" if given.strip() else instruction
    made: RowFields = {"query": query}
    if isinstance(system := fields.get("system"), str) and system.strip():
        made["turns"] = [{"role": "system", "content": system}]
    if "output" in fields:
        made["response"] = text_of(fields, "output", empty=True)
    return made


def _write_alpaca(row: Query) -> dict[str, Any]:
    if not isinstance(row, Example):
        raise ValueError("an instruction needs one response")
    messages = asked(row)
    system = [m.content for m in messages[:-1] if m.role == "system"]
    if len(messages) > 1 + len(system) or len(system) > 1:
        raise ValueError("earlier turns have no place in this format")
    lead = {"system": system[0]} if system else {}
    return {**lead, "instruction": row.query, "input": "", "output": row.response}


def transcript(text: str) -> list[Turn]:
    """Return the messages of an hh-rlhf dialogue.

    Raises ValueError where it does not begin with a human's turn.

    >>> [m["role"] for m in transcript("\\n\\nHuman: Hi\\n\\nAssistant: Hello")]
    ['user', 'assistant']
    """
    # The space behind the colon is missing in a few published rows, where the turn is empty.
    parts = text.replace("\n\nHuman:", "\0H").replace("\n\nAssistant:", "\0A").split("\0")
    if parts[0].strip() or len(parts) < 2:
        raise ValueError("no dialogue of Human: and Assistant: turns")
    return [
        turn("user" if part[0] == "H" else "assistant", part[1:].removeprefix(" "))
        for part in parts[1:]
    ]


def _read_hh(fields: Fields) -> RowFields:
    chosen = transcript(text_of(fields, "chosen"))
    rejected = transcript(text_of(fields, "rejected"))
    if chosen[-1]["role"] != "assistant" or rejected[-1]["role"] != "assistant":
        raise ValueError("a side does not end with the assistant")
    if chosen[:-1] != rejected[:-1]:
        raise ValueError("chosen and rejected do not begin alike")
    made = dialogue(chosen)
    reply = made.pop("response")
    return {**made, "response_a": reply, "response_b": rejected[-1]["content"], "best": "a"}


def _write_hh(row: Query) -> dict[str, Any]:
    if not isinstance(row, Preference):
        raise ValueError("a dialogue pair needs two responses")
    messages, sides = asked(row), pair(row)
    said = [m.content for m in messages] + list(sides)
    if any(mark in text for text in said for mark in ("\n\nHuman:", "\n\nAssistant:", "\0")):
        raise ValueError("the text holds a mark of a new turn")
    if any(m.role == "system" for m in messages):
        raise ValueError("a system turn has no place in this format")
    begun = "".join((_HUMAN if m.role == "user" else _ASSISTANT) + m.content for m in messages)
    chosen, rejected = (begun + _ASSISTANT + side for side in sides)
    return {"chosen": chosen, "rejected": rejected}


ALPACA = Format("alpaca", "Alpaca: instruction, input, output",
                columns("instruction"), _read_alpaca, _write_alpaca, ".json")  # fmt: skip
HH_RLHF = Format("hh-rlhf", "Anthropic's dialogues in text: chosen and rejected",
                 columns("chosen", "rejected"), _read_hh, _write_hh)  # fmt: skip
