"""One request under guard: the query is checked, the model asked, the response checked.

A blocked text is answered with the policy's own message and `finish_reason: "content_filter"`; the
model is not asked where the query is blocked. What cannot be checked, and what an upstream does
wrong, raises RefusedError. What a stream does is in `relay`.
"""

import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from selaras.core.records import Conversation
from selaras.models.answer import TooLargeError, collected
from selaras.safeguard.api import ChatRequest, RefusedError, argument_texts
from selaras.safeguard.checks import Checks
from selaras.safeguard.completion import Call, Head, Part, read_completion
from selaras.safeguard.guard import LONGEST, given
from selaras.safeguard.outcome import Outcome
from selaras.safeguard.sse import MalformedError, json_bytes
from selaras.safeguard.trace import Trace
from selaras.safeguard.upstream import LARGEST_ANSWER, Answer, Post, fault, refusal_of


@dataclass(slots=True)
class Exchange:
    """A request with the checks that it is under, the model's name upstream and its trace."""

    request: ChatRequest
    checks: Checks
    model: str
    trace: Trace
    conversation: Conversation = field(init=False)

    def __post_init__(self) -> None:
        self.conversation = self.request.conversation

    async def query(self) -> Outcome:
        """Return the outcome of the query.

        Raises RefusedError where there is more of it than a guard checks, or it could not be
        checked.
        """
        if len(given(self.conversation)) > LONGEST:
            raise RefusedError(
                413, f"more text than is checked ({LONGEST:,} characters)",
                "invalid_request_error", code="too_large", param="messages",
            )  # fmt: skip
        begun = time.perf_counter()
        return self._settled(await self.checks.query(self.conversation), begun)

    async def response(
        self, text: str, others: tuple[str, ...] = (), final: bool = True
    ) -> Outcome:
        """Return the outcome of a response and of the `others`: its refusal, calls' arguments."""
        begun = time.perf_counter()
        outcome = await self.checks.response(self.conversation, text, others, final)
        return self._settled(outcome, begun)

    def _settled(self, outcome: Outcome, begun: float) -> Outcome:
        self.trace.checked(outcome, time.perf_counter() - begun)
        if outcome.action == "error":
            raise RefusedError(503, outcome.message, "guard_error", code="guard_failed")
        return outcome

    def body(self) -> bytes:
        """Return the body to send upstream."""
        return json_bytes(self.request.upstream(self.model))

    def offered(self, calls: Mapping[int, Call]) -> list[Call]:
        """Return the calls in their order; raises MalformedError where one was not offered.

        A name that the request did not offer is text of the model's that nobody checked.
        """
        names = {tool.function.name for tool in self.request.tools or ()}
        for call in calls.values():
            if call.name not in names:
                raise MalformedError("a call of a tool that was not offered")
        return [calls[index] for index in sorted(calls)]

    def head(self, head: Head | None) -> dict[str, Any]:
        """Return the fields that identify the answer."""
        return {
            "id": (head and head.id) or f"chatcmpl-{self.trace.id}",
            "created": (head and head.created) or int(time.time()),
            "model": (head and head.model) or self.request.model,
        }


async def whole(
    exchange: Exchange, post: Post, headers: Mapping[str, str]
) -> AsyncGenerator[bytes]:
    """Yield the one body of an answer that is not streamed."""
    outcome = await exchange.query()
    if not outcome.allowed:
        yield blocked(exchange, outcome)
        return
    async with post(exchange.body(), headers) as answer:
        await check_status(exchange, answer)
        try:
            part = read_completion(await collected(answer.chunks, LARGEST_ANSWER))
            calls = exchange.offered(dict(part.calls))
        except (MalformedError, TooLargeError) as error:
            raise fault(f"the upstream sent {error}") from None
    outcome = await exchange.response(part.content, spoken(part.refusal, calls))
    if not outcome.allowed:
        yield blocked(exchange, outcome, part)
        return
    message: dict[str, Any] = {"role": "assistant", "content": part.content or None}
    message["refusal"] = part.refusal or None
    if calls:
        message["tool_calls"] = [call.to_dict() for call in calls]
    exchange.trace.released = len(part.content)
    yield completion(exchange, message, part.finish or "stop", part)


def spoken(refusal: str, calls: list[Call]) -> tuple[str, ...]:
    """Return all that an answer says beside its content."""
    texts = [text for call in calls for text in argument_texts(call.arguments)]
    return tuple(text for text in (refusal, *texts) if text)


def blocked(exchange: Exchange, outcome: Outcome, part: Part | None = None) -> bytes:
    """Return the answer that stands in place of a blocked text."""
    message = {"role": "assistant", "content": outcome.message, "refusal": None}
    return completion(exchange, message, "content_filter", part, outcome)


def completion(
    exchange: Exchange,
    message: Mapping[str, Any],
    finish: str,
    part: Part | None,
    outcome: Outcome | None = None,
) -> bytes:
    """Return the body of a whole answer."""
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    body = {
        "object": "chat.completion",
        **exchange.head(part.head if part else None),
        "choices": [choice],
    }
    if part is not None and part.usage:
        body["usage"] = part.usage
    return json_bytes({**body, **told(outcome)})


def told(outcome: Outcome | None) -> dict[str, Any]:
    """Return what a client is told of a block: no score, which would guide an attack."""
    if outcome is None:
        return {}
    names = ("action", "side", "policy", "stage")
    return {"selaras": {name: getattr(outcome, name) for name in names}}


async def check_status(exchange: Exchange, answer: Answer) -> None:
    """Raise an upstream's error as ours, with its own words where a check allows them."""
    if answer.status == 200:
        return
    error, words = await refusal_of(answer)
    if words and (await exchange.response(words)).allowed:
        error = RefusedError(
            error.status, f"{error}: {words}", error.kind,
            code=error.code, param=error.param, retry_after=error.retry_after,
        )  # fmt: skip
    raise error
