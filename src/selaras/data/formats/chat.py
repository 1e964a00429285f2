"""Formats of conversations: HF messages, TRL, OpenAI's fine-tuning, ShareGPT, KerasHub."""

from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.records import Preference, Query
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
    whole,
)

_ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant",
}  # fmt: skip
_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}
_GEMMA = {"user": "user", "assistant": "model"}


def conversation(value: Any, role: str = "role", content: str = "content") -> list[Turn]:
    """Return the messages of a list of turns; raises ValueError for a turn that is no text.

    >>> conversation([{"from": "human", "value": "Hi"}], "from", "value")
    [{'role': 'user', 'content': 'Hi'}]
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("no list of turns")
    return [_message(turn, number, role, content) for number, turn in enumerate(value, 1)]


def _message(said: Any, number: int, role: str, content: str) -> Turn:
    if not isinstance(said, Mapping):
        raise ValueError(f"turn {number} is no object")
    known = _ROLES.get(str(said.get(role)))
    if known is None or said.get("tool_calls"):
        raise ValueError(f"turn {number} is of {said.get(role)!r}; tools have no place in a row")
    text = said.get(content)
    if isinstance(text, list):
        if any(not isinstance(part, Mapping) or part.get("type") != "text" for part in text):
            raise ValueError(f"turn {number} holds more than text")
        text = "".join(str(part.get("text", "")) for part in text)
    if not isinstance(text, str):
        raise ValueError(f"turn {number} has no text")
    return turn(known, text)


def _side(value: Any) -> list[Turn]:
    """Return a TRL field: plain text is one turn of its own."""
    return [] if isinstance(value, str) else conversation(value)


def _read_messages(fields: Fields) -> RowFields:
    return dialogue(conversation(fields.get("messages")))


def _write_messages(row: Query) -> dict[str, Any]:
    return {"messages": [message.model_dump() for message in whole(row)]}


def _reply(value: Any, name: str) -> str:
    """Return the last turn of a side, which must be the assistant's, as text."""
    if isinstance(value, str):
        return value
    turns = conversation(value)
    if not turns or turns[-1]["role"] != "assistant":
        raise ValueError(f"{name!r} does not end with the assistant")
    return turns[-1]["content"]


def _read_trl(fields: Fields) -> RowFields:
    chosen, prompt = fields.get("chosen"), fields.get("prompt")
    if prompt is None and chosen is not None:
        # TRL's implicit prompt: all of the conversation but its last turn.
        turns = _side(chosen)
        if _side(fields.get("rejected"))[:-1] != turns[:-1]:
            raise ValueError("chosen and rejected do not begin alike")
        prompt = turns[:-1]
    if prompt is None:
        raise ValueError("no 'prompt'")
    made = dialogue(_question(prompt))
    if "response" in made:
        raise ValueError("the prompt ends with the assistant")
    if chosen is not None:
        return {**made, "response_a": _reply(chosen, "chosen"), "best": "a",
                "response_b": _reply(fields.get("rejected", ""), "rejected")}  # fmt: skip
    if "completion" in fields:
        return {**made, "response": _reply(fields["completion"], "completion")}
    return made


def _question(prompt: Any) -> list[Turn]:
    if isinstance(prompt, str):
        return [turn("user", prompt)]
    return conversation(prompt)


def _write_trl(row: Query) -> dict[str, Any]:
    prompt = {"prompt": [message.model_dump() for message in asked(row)]}
    if isinstance(row, Preference):
        chosen, rejected = pair(row)
        return {**prompt, "chosen": _said(chosen), "rejected": _said(rejected)}
    reply = whole(row)[len(prompt["prompt"]) :]
    return {**prompt, "completion": [m.model_dump() for m in reply]} if reply else {**prompt}


def _said(text: str) -> list[Turn]:
    return [turn("assistant", text)]


def _read_openai(fields: Fields) -> RowFields:
    if "messages" in fields:
        return _read_messages(fields)
    given = fields.get("input")
    if not isinstance(given, Mapping):
        raise ValueError("no 'messages' and no 'input'")
    return {
        **dialogue(conversation(given.get("messages"))),
        "response_a": _reply(fields.get("preferred_output", []), "preferred_output"),
        "response_b": _reply(fields.get("non_preferred_output", []), "non_preferred_output"),
        "best": "a",
    }


def _write_openai(row: Query) -> dict[str, Any]:
    if not isinstance(row, Preference):
        return _write_messages(row)
    chosen, rejected = pair(row)
    return {
        "input": {"messages": [message.model_dump() for message in asked(row)]},
        "preferred_output": _said(chosen),
        "non_preferred_output": _said(rejected),
    }


def _read_sharegpt(fields: Fields) -> RowFields:
    return dialogue(conversation(fields.get("conversations"), "from", "value"))


def _write_sharegpt(row: Query) -> dict[str, Any]:
    turns = [{"from": _SHAREGPT[m.role], "value": m.content} for m in whole(row)]
    return {"conversations": turns}


def _write_gemma(row: Query) -> dict[str, Any]:
    """Return KerasHub's prompts and responses in Gemma's turns; the system text leads the first."""
    messages = whole(row)
    if any("<start_of_turn>" in m.content or "<end_of_turn>" in m.content for m in messages):
        raise ValueError("the text holds a control token of Gemma")
    system = "\n\n".join(m.content for m in messages if m.role == "system")
    turns = [m for m in messages if m.role != "system"]
    parts = []
    for number, message in enumerate(turns):
        lead = f"{system}\n\n" if system and number == 0 else ""
        parts.append(f"<start_of_turn>{_GEMMA[message.role]}\n{lead}{message.content}<end_of_turn>")
    if turns[-1].role != "assistant":
        raise ValueError("a query without a response teaches nothing")
    reply = f"{turns[-1].content}<end_of_turn>"
    return {"prompts": "\n".join([*parts[:-1], "<start_of_turn>model\n"]), "responses": reply}


def _read_gemma(fields: Fields) -> RowFields:
    messages = []
    for part in text_of(fields, "prompts").split("<start_of_turn>")[1:]:
        role, newline, rest = part.partition("\n")
        if not newline or role not in _ROLES:
            raise ValueError("the prompt is not in Gemma's turns")
        said, ended, _ = rest.partition("<end_of_turn>")
        if ended:
            messages.append(turn(_ROLES[role], said))
    reply = text_of(fields, "responses", empty=True).removesuffix("<end_of_turn>")
    return dialogue([*messages, turn("assistant", reply)])


MESSAGES = Format("messages", "HF conversations: messages of role and content",
                  columns("messages"), _read_messages, _write_messages)  # fmt: skip
TRL = Format(
    "trl", "TRL: prompt with completion, with chosen and rejected, or alone",
    (*columns("prompt", "completion"), *columns("prompt", "chosen"), *columns("prompt")),
    _read_trl, _write_trl,
)  # fmt: skip
OPENAI = Format(
    "openai", "OpenAI fine-tuning: chats, and preferred outputs for DPO",
    columns("input", "preferred_output"), _read_openai, _write_openai,
)  # fmt: skip
SHAREGPT = Format("sharegpt", "ShareGPT: conversations of from and value",
                  columns("conversations"), _read_sharegpt, _write_sharegpt)  # fmt: skip
KERASHUB = Format("kerashub", "KerasHub's Gemma: prompts and responses in Gemma's turns",
                  columns("prompts", "responses"), _read_gemma, _write_gemma)  # fmt: skip
