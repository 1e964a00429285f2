"""The requests of OpenAI's chat completions that a guard can answer for, field by field.

A field that is not known is refused and not dropped: it may carry text past the checks (another
template, a predicted answer) or bring text back unchecked (log-probabilities, more choices). What
is sent upstream is written anew from what was checked, so that nobody reads it another way.
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from selaras.core.check import checked
from selaras.core.errors import InputError, SelarasError
from selaras.core.files import parse_json
from selaras.core.records import Conversation, Message, Role

MOST_MESSAGES = 2_000
_SEEN_AS: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",  # what a tool found is as untrusted as what a user wrote
}
_MANY_ANSWERS = "only one answer a request is checked: leave `n` out"
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.", re.DOTALL)
_PROBABILITIES = "log-probabilities would show text before it is checked: leave them out"


class RefusedError(SelarasError):
    """Raised where a request gets an answer of the API's own error form instead of a model's."""

    def __init__(
        self, status: int, what: str, kind: str, *, code: str | None = None,
        param: str | None = None, retry_after: float | None = None,
    ) -> None:  # fmt: skip
        self.status, self.kind, self.code, self.param = status, kind, code, param
        self.retry_after = retry_after
        super().__init__(what)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as the API writes it."""
        return {
            "error": {
                "message": str(self), "type": self.kind, "param": self.param, "code": self.code,
            }
        }  # fmt: skip


def _refused(reason: str) -> BeforeValidator:
    def none_but_off(value: Any) -> Any:
        if value in (None, False) or (value == 1 and value is not True):
            return None
        raise ValueError(reason)

    return BeforeValidator(none_but_off)


def _text_of_parts(value: Any) -> Any:
    """Return a list of text parts as the text that they are; other parts cannot be checked."""
    if not isinstance(value, list):
        return value
    texts = []
    for part in value:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            named = kind if kind in ("image_url", "input_audio", "file", "refusal") else "these"
            raise ValueError(f"only text can be checked, {named} parts cannot: send text parts")
        texts.append(part["text"])
    return "\n".join(texts)


def _without_empty(value: Any) -> Any:
    # Clients send an earlier answer back with every field that it may have had.
    if not isinstance(value, dict):
        return value
    return {name: one for name, one in value.items() if one is not None and one != []}


class _Known(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CalledFunction(_Known):
    """The function that a tool call names, with its arguments as JSON text."""

    name: str = Field(max_length=256)
    arguments: str


class ToolCall(_Known):
    """One call of a tool."""

    id: str = Field(max_length=256)
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(_Known):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_text_of_parts)] = None
    name: str | None = Field(default=None, max_length=64, pattern=r"^[\w.-]+$")
    refusal: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = Field(default=None, max_length=256)

    @property
    def said(self) -> str:
        """All text of the turn, arguments of tool calls included."""
        calls = [
            text for call in self.tool_calls for text in argument_texts(call.function.arguments)
        ]
        return "\n".join(text for text in (self.content, self.refusal, *calls) if text)


class Function(_Known):
    """A function that the model may call; its parameters are a JSON schema."""

    name: str = Field(max_length=256)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(_Known):
    """A tool that the model may call."""

    type: Literal["function"]
    function: Function


class StreamOptions(_Known):
    """Whether a stream ends with the tokens that it took."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ChatRequest(_Known):
    """A chat completion as it is asked for, without what would go past the checks."""

    model: str = Field(min_length=1, max_length=256)
    messages: tuple[Annotated[ChatMessage, BeforeValidator(_without_empty)], ...] = Field(
        min_length=1, max_length=MOST_MESSAGES
    )
    stream: bool = False
    stream_options: StreamOptions | None = None
    tools: tuple[Tool, ...] | None = Field(default=None, max_length=512)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    stop: str | tuple[str, ...] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    modalities: tuple[Literal["text"], ...] | None = None
    service_tier: str | None = Field(default=None, max_length=64)
    user: str | None = Field(default=None, max_length=512)
    safety_identifier: str | None = Field(default=None, max_length=512)
    prompt_cache_key: str | None = Field(default=None, max_length=512)
    metadata: dict[str, str] | None = None
    store: bool | None = None
    n: Annotated[None, _refused(_MANY_ANSWERS)] = None
    logprobs: Annotated[None, _refused(_PROBABILITIES)] = None
    top_logprobs: Annotated[None, _refused(_PROBABILITIES)] = None

    @property
    def conversation(self) -> Conversation:
        """The turns as the guard reads them."""
        return tuple(
            Message(role=_SEEN_AS[message.role], content=message.said) for message in self.messages
        )

    def upstream(self, model: str) -> dict[str, Any]:
        """Return the body to send on, under the model's name there."""
        body = self.model_dump(exclude_none=True, exclude={"messages"})
        turns = [self._turn(message) for message in self.messages]
        return {**body, "model": model, "messages": turns}

    @staticmethod
    def _turn(message: ChatMessage) -> dict[str, Any]:
        turn = message.model_dump(exclude_none=True)
        if not turn["tool_calls"]:
            del turn["tool_calls"]
        return {"content": None, **turn} if message.role == "assistant" else turn


def read_request(body: bytes) -> ChatRequest:
    """Return the request of a body; raises RefusedError with the field that is wrong."""
    try:
        value = parse_json(body.decode())
    except UnicodeDecodeError as error:
        raise _bad(f"the body is not UTF-8 at byte {error.start}", code="invalid_utf8") from None
    except ValueError:
        raise _bad("the body is not JSON, or nested too deeply", code="invalid_json") from None
    if not isinstance(value, dict):
        raise _bad("the body is not a JSON object", code="invalid_json")
    if b"\\u" in body and _half_characters(value):
        raise _bad("half a character (a lone surrogate such as \\ud83d)", code="invalid_unicode")
    try:
        return checked(ChatRequest, {k: v for k, v in value.items() if v is not None})
    except InputError as error:
        cause = error.__cause__
        unknown = isinstance(cause, ValidationError) and any(
            found["type"] == "extra_forbidden" for found in cause.errors()
        )
        code = "unknown_parameter" if unknown else "invalid_value"
        raise _bad(error.what, code=code, param=error.field) from None


def argument_texts(arguments: str) -> list[str]:
    """Return what a call's arguments (JSON text) say, to be checked: their escapes resolved.

    Textually, so that broken JSON and a name that stands twice are read too; where that leaves
    escapes (JSON in a string of JSON), the text with these resolved comes as well.

    >>> argument_texts('{"to": "\\\\u0041nn", "n": 1}')
    ['{"to": "Ann", "n": 1}']
    """
    texts: list[str] = []
    while arguments and arguments not in texts and len(texts) < 2:
        arguments = _ESCAPE.sub(_resolved, arguments)
        texts.append(arguments)
    return texts


def _resolved(found: re.Match[str]) -> str:
    try:
        return str(json.loads(f'"{found[0]}"'))
    except ValueError:
        return found[0]


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]


def _half_characters(value: Any) -> bool:
    return any("\ud800" <= c <= "\udfff" for text in _strings(value) for c in text)


def _bad(what: str, *, code: str, param: str | None = None) -> RefusedError:
    return RefusedError(400, what, "invalid_request_error", code=code, param=param)
