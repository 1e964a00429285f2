"""What a model's server answers, reduced to the fields that may pass.

Only the first choice, its text, refusal and function calls; identifiers that look like ones; token
counts. Log-probabilities, reasoning, other choices and whatever a server adds would show text that
nobody checked: they are dropped.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from selaras.core.files import parse_json
from selaras.safeguard.sse import MalformedError

Finish = Literal["stop", "length", "tool_calls", "content_filter"]
_FINISHES = get_args(Finish)
_IDENTIFIER = re.compile(r"[\w.:/@-]{1,128}", re.ASCII)
MOST_CALLS = 128


@dataclass(slots=True)
class Call:
    """A function call, as far as it has come."""

    id: str = ""
    name: str = ""
    arguments: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the call as the API writes it."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Head:
    """What identifies an answer."""

    id: str
    model: str
    created: int


@dataclass(frozen=True, slots=True)
class Part:
    """The whole of a choice, or what one event of a stream adds to it.

    `calls` are function calls, or pieces of them, by their index.
    """

    head: Head | None = None
    content: str = ""
    refusal: str = ""
    calls: tuple[tuple[int, Call], ...] = ()
    finish: Finish | None = None
    usage: dict[str, int] = field(default_factory=dict)


def read_completion(body: bytes) -> Part:
    """Return the first choice of a whole answer; raises MalformedError where there is none."""
    try:
        value = parse_json(body.decode())
    except ValueError:
        raise MalformedError("an answer that is not JSON") from None
    part = _part(value, "message")
    if not isinstance(value.get("choices"), list) or not value["choices"]:
        raise MalformedError("an answer without a choice")
    return part


def read_chunk(data: str) -> Part:
    """Return what an event's data adds to the first choice; raises MalformedError."""
    try:
        value = parse_json(data)
    except ValueError:
        raise MalformedError("an event that is not JSON") from None
    if isinstance(value, dict) and value.get("error"):
        raise MalformedError("an error in mid-stream")
    return _part(value, "delta")


def identifier(value: Any, otherwise: str = "") -> str:
    """Return the value where it looks like an identifier: it is not checked text."""
    found = isinstance(value, str) and _IDENTIFIER.fullmatch(value)
    return value if found else otherwise


def _part(value: Any, name: str) -> Part:
    if not isinstance(value, dict):
        raise MalformedError("an answer that is not an object")
    choices = value.get("choices") or []
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise MalformedError("choices that are not objects")
    created = value.get("created")
    head = Head(
        identifier(value.get("id")),
        identifier(value.get("model")),
        created if isinstance(created, int) and 0 <= created < 1 << 40 else 0,
    )
    choice: dict[str, Any] = next((one for one in choices if one.get("index", 0) == 0), {})
    said = choice.get(name) or {}
    if not isinstance(said, dict):
        raise MalformedError(f"a {name} that is not an object")
    return Part(
        head=head,
        content=_text(said.get("content")),
        refusal=_text(said.get("refusal")),
        calls=_calls(said.get("tool_calls")),
        finish=_finish(choice.get("finish_reason")),
        usage=_usage(value.get("usage")),
    )


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise MalformedError("content that is not text")
    return value or ""


def _calls(value: Any) -> tuple[tuple[int, Call], ...]:
    if not value:
        return ()
    if not isinstance(value, list) or len(value) > MOST_CALLS:
        raise MalformedError("tool calls that are not a list of calls")
    return tuple(_call(number, one) for number, one in enumerate(value))


def _call(number: int, value: Any) -> tuple[int, Call]:
    function = value.get("function") or {} if isinstance(value, dict) else None
    if not isinstance(function, dict) or value.get("type") not in (None, "function"):
        raise MalformedError("a tool call that calls no function")
    index = value.get("index", number)
    name, arguments = function.get("name") or "", function.get("arguments") or ""
    if not isinstance(index, int) or not 0 <= index < MOST_CALLS:
        raise MalformedError("a tool call without a place")
    if not isinstance(arguments, str) or (name and not identifier(name)):
        raise MalformedError("a tool call whose name or arguments are not text")
    return index, Call(identifier(value.get("id")), name, arguments)


def _finish(value: Any) -> Finish | None:
    if value is None:
        return None
    return value if value in _FINISHES else "stop"


def _usage(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {
        name: value[name]
        for name in names
        if isinstance(value.get(name), int) and 0 <= value[name] < 1 << 40
    }
