"""A streamed answer under guard: text leaves as soon as its window was checked, and not before.

Content is held back by `stream.HeldText`; refusals and tool calls leave only with the end, whole
and checked. A block in mid-answer ends the stream: what was released stays, the policy's message
follows, and the last event has `finish_reason: "content_filter"`. A stream that was cut releases
nothing more.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from selaras.safeguard.completion import Call, Finish, Head, Part, read_chunk
from selaras.safeguard.exchange import Exchange, check_status, spoken, told
from selaras.safeguard.outcome import Outcome
from selaras.safeguard.sse import DONE, EventReader, MalformedError, event
from selaras.safeguard.stream import HeldText
from selaras.safeguard.upstream import LARGEST_ANSWER, Answer, Post, fault

QUICK_STRIDE, SLOW_STRIDE = 32, 1_000  # characters that a check should release


@dataclass(slots=True)
class Growing:
    """An answer as far as it has come."""

    content: HeldText
    refusal: str = ""
    calls: dict[int, Call] = field(default_factory=dict)
    finish: Finish | None = None
    usage: dict[str, int] = field(default_factory=dict)
    head: Head | None = None

    @property
    def characters(self) -> int:
        """How much has come."""
        calls = sum(len(call.name) + len(call.arguments) for call in self.calls.values())
        return self.content.characters + len(self.refusal) + calls

    def take(self, part: Part) -> None:
        """Add what one event brings."""
        self.head = self.head or part.head
        self.content.feed(part.content)
        self.refusal += part.refusal
        for index, piece in part.calls:
            call = self.calls.setdefault(index, Call())
            call.id, call.name = call.id or piece.id, call.name + piece.name
            call.arguments += piece.arguments
        self.finish = part.finish or self.finish
        self.usage = part.usage or self.usage


async def streamed(
    exchange: Exchange, post: Post, headers: Mapping[str, str]
) -> AsyncGenerator[bytes]:
    """Yield the events of a streamed answer, each of checked text only."""
    outcome = await exchange.query()
    if not outcome.allowed:
        for made in _blocked(exchange, outcome, None):
            yield made
        return
    async with post(exchange.body(), headers) as answer:
        await check_status(exchange, answer)
        guard = exchange.checks.guard
        stride = QUICK_STRIDE if guard.quick else SLOW_STRIDE
        growing = Growing(HeldText(guard.releasable, guard.hold, stride))
        try:
            async with aclosing(_relayed(exchange, answer, growing)) as events:
                async for made in events:
                    yield made
        except MalformedError as error:
            raise fault(f"the upstream sent {error}") from None


async def _relayed(exchange: Exchange, answer: Answer, growing: Growing) -> AsyncGenerator[bytes]:
    content = growing.content
    async with aclosing(_arrivals(answer, growing)) as arrivals:
        async for _ in arrivals:
            if not content.due:
                continue
            outcome = await exchange.response(content.window(), final=False)
            if not outcome.allowed:
                for made in _blocked(exchange, outcome, growing.head):
                    yield made
                return
            if text := content.release():
                yield _said(exchange, growing.head, text)
    for made in await _ended(exchange, growing):
        yield made


async def _ended(exchange: Exchange, growing: Growing) -> list[bytes]:
    """Return the last events: all that was held back, where a check of the whole allows it."""
    head, text = growing.head, growing.content
    calls = exchange.offered(growing.calls)
    outcome = await exchange.response(text.whole(), spoken(growing.refusal, calls))
    if not outcome.allowed:
        return list(_blocked(exchange, outcome, head))
    rest = text.rest()
    events = [_said(exchange, head, rest)] if rest else []
    delta: dict[str, Any] = {"refusal": growing.refusal} if growing.refusal else {}
    if calls:
        delta["tool_calls"] = [{"index": i, **call.to_dict()} for i, call in enumerate(calls)]
    if delta:
        events.append(_chunk(exchange, head, delta if text.released else {**_ROLE, **delta}))
    events.append(_chunk(exchange, head, {}, growing.finish or "stop"))
    options = exchange.request.stream_options
    if growing.usage and options and options.include_usage:
        events.append(_event(exchange, head, [], usage=growing.usage))
    return [*events, _DONE]


async def _arrivals(answer: Answer, growing: Growing) -> AsyncGenerator[None]:
    """Yield whenever text has come; raises MalformedError where the answer does not end well."""
    if "text/event-stream" not in answer.headers.get("content-type", ""):
        raise MalformedError("no event stream")
    reader = EventReader()
    async for piece in answer.chunks:
        for data in reader.feed(piece):
            if data == DONE:
                return
            growing.take(read_chunk(data))
        if growing.characters > LARGEST_ANSWER:
            raise MalformedError(f"more than {LARGEST_ANSWER >> 20} M characters")
        yield
    if growing.finish is None or not reader.empty:
        raise MalformedError("an answer that was cut")


_ROLE = {"role": "assistant"}
_DONE = b"data: [DONE]\n\n"


def _said(exchange: Exchange, head: Head | None, text: str) -> bytes:
    first = not exchange.trace.released
    exchange.trace.released += len(text)
    return _chunk(exchange, head, {**(_ROLE if first else {}), "content": text})


def _blocked(exchange: Exchange, outcome: Outcome, head: Head | None) -> Iterator[bytes]:
    begun = bool(exchange.trace.released)
    message = f"\n\n{outcome.message}" if begun else outcome.message
    yield _chunk(exchange, head, {**({} if begun else _ROLE), "content": message})
    yield _chunk(exchange, head, {}, "content_filter", told(outcome))
    yield _DONE


def _chunk(
    exchange: Exchange,
    head: Head | None,
    delta: Mapping[str, Any],
    finish: str | None = None,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event(exchange, head, [choice], **(more or {}))


def _event(
    exchange: Exchange, head: Head | None, choices: list[dict[str, Any]], **more: Any
) -> bytes:
    kind = {"object": "chat.completion.chunk"}
    return event({**exchange.head(head), **kind, "choices": choices, **more})
