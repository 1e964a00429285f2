"""What an endpoint's body says: text, how it ended, tokens, and which model it says it was.

The body is untrusted: any field may be missing or of another type, and each such case is an error
of its row with its reason, never an exception and never an empty answer.
"""

from dataclasses import replace
from typing import Any

from selaras.core.errors import one_line
from selaras.core.files import parse_json
from selaras.models.answer import answered, failed, storable
from selaras.models.protocol import Finish, Generation

MOST_TOKENS = 20
_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
}


def read_answer(index: int, body: bytes) -> tuple[Generation, str | None]:
    """Return the Generation of a chat completion's body, and the model's name as served."""
    try:
        value = parse_json(body.decode("utf-8"))
    except ValueError:
        start = one_line(body[:200].decode("utf-8", "replace"), 80)
        return failed(index, f"the body is not JSON: {start!r}"), None
    if not isinstance(value, dict):
        return failed(index, f"the body is a JSON {type(value).__name__}, not an object"), None
    served = value.get("model")
    name = one_line(served, 100) if isinstance(served, str) else ""
    return _generation(index, value), name or None


def _generation(index: int, value: dict[str, Any]) -> Generation:
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        said = _dict(value.get("error")).get("message") or value.get("error") or ""
        return failed(index, "the body has no choices" + (f": {said}" if said else ""))
    reason = str(first.get("finish_reason"))
    if reason == "content_filter":
        return failed(index, "the endpoint's content filter withheld the answer")
    text = _text(message)
    if text is None:
        return failed(index, f"the content is a JSON {type(message['content']).__name__}")
    usage = _dict(value.get("usage"))
    likely = _first(first.get("logprobs"))
    made = answered(
        index,
        # A line break, say, is no answer; with its probabilities it is one.
        text if text.strip() or not likely else "(blank)",
        _FINISH.get(reason, "unknown"),
        _count(usage.get("prompt_tokens")),
        _count(usage.get("completion_tokens")),
    )
    return replace(made, first=likely) if likely else made


def _first(value: Any) -> tuple[tuple[str, float], ...]:
    """Return the likeliest first tokens with their log-probabilities, likeliest first."""
    content = _dict(value).get("content")
    top = _dict(content[0]).get("top_logprobs") if isinstance(content, list) and content else None
    found = [
        (storable(item["token"]), float(item["logprob"]))
        for item in (top if isinstance(top, list) else [])
        if isinstance(item, dict)
        and isinstance(item.get("token"), str)
        and type(item.get("logprob")) in {int, float}
        and -1e6 < item["logprob"] <= 1e-6
    ]
    return tuple(sorted(found, key=lambda item: -item[1])[:MOST_TOKENS])


def _text(message: dict[str, Any]) -> str | None:
    content = message.get("content")
    if isinstance(content, list):
        parts = [_dict(part).get("text") for part in content]
        content = "".join(part for part in parts if isinstance(part, str))
    if not content and isinstance(message.get("refusal"), str):
        return str(message["refusal"])  # a refusal is an answer, whichever field it came in
    return "" if content is None else content if isinstance(content, str) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < 2**53 else 0
