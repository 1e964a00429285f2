"""A model server inside this process, which answers as a test says, and ways to ask it guarded."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from selaras.safeguard import Guard, Wording
from selaras.safeguard.middleware import GuardMiddleware
from selaras.safeguard.rules import Rules, rule

PLANT = "the butler did it"
GUARD = Guard(
    "test",
    (Rules((rule("spoilers", PLANT, name="plot"),)),),
    wording=Wording(messages={"spoilers": "No spoilers."}),
)


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return one event of a stream."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "x1", "object": "chat.completion.chunk", "created": 7, "model": "tiny",
            "choices": [choice], **more}  # fmt: skip


def events(*values: Any, done: bool = True) -> list[bytes]:
    """Return the bytes of a stream's events; bytes stand for themselves."""
    made = [v if isinstance(v, bytes) else b"data: " + json.dumps(v).encode() + b"\n\n"
            for v in values]  # fmt: skip
    return [*made, b"data: [DONE]\n\n"] if done else made


def said(*texts: str, finish: str = "stop") -> list[bytes]:
    """Return a stream that says the texts, one an event."""
    return events(*(chunk({"content": text}) for text in texts), chunk({}, finish))


def completion(content: Any = "Yes.", finish: str = "stop", **message: Any) -> dict[str, Any]:
    """Return the body of a whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message},
              "finish_reason": finish}  # fmt: skip
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    return {"id": "x1", "created": 7, "model": "tiny", "choices": [choice], "usage": usage}


@dataclass
class Server:
    """An ASGI application; `answer` is a body, the pieces of a stream, or a function of both."""

    answer: Any = field(default_factory=completion)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)
    cancelled: bool = False
    cut: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.asked.append(json.loads(body))
        stream = isinstance(self.answer, list)
        kind = "text/event-stream" if stream else "application/json"
        headers = {"content-type": kind, **self.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        pieces = self.answer if stream else [self.answer]
        try:
            for piece in pieces:
                if callable(piece):
                    await piece()
                    continue
                sent = piece if isinstance(piece, bytes) else json.dumps(piece).encode()
                await send({"type": "http.response.body", "body": sent, "more_body": True})
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if not self.cut:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


@dataclass
class Reply:
    """What a client got."""

    status: int
    headers: Any
    raw: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.raw)

    @property
    def message(self) -> Any:
        return self.value["choices"][0]["message"]

    @property
    def finish(self) -> str | None:
        if self.headers["content-type"] == "application/json":
            found = self.value["choices"][0]["finish_reason"]
        else:
            choices = [one for event in self.events for one in event.get("choices", ())]
            found = next((c["finish_reason"] for c in choices if c["finish_reason"]), None)
        return None if found is None else str(found)

    @property
    def events(self) -> list[Any]:
        lines = self.raw.decode().split("\n\n")
        return [json.loads(line[6:]) for line in lines if line and line != "data: [DONE]"]

    @property
    def deltas(self) -> list[Any]:
        return [one["delta"] for event in self.events for one in event.get("choices", ())]

    @property
    def text(self) -> str:
        return "".join(delta.get("content") or "" for delta in self.deltas)

    @property
    def error(self) -> Any:
        last = self.events[-1] if b"data: " in self.raw[:6] else self.value
        return last.get("error")


def asking(text: Any = "Who?", **more: Any) -> dict[str, Any]:
    """Return a request."""
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **more}


def ask(server: Server, request: Any, guard: Any = GUARD, **options: Any) -> Reply:
    """Return what a client gets that asks the server behind the guard."""
    return asyncio.run(asked(GuardMiddleware(server, guard, **options), request))


async def asked(app: Any, request: Any, path: str = "/v1/chat/completions") -> Reply:
    """Return what a client gets; a request of bytes is sent as it is."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        response = await client.post(path, content=body)
    return Reply(response.status_code, response.headers, response.content)


Run = Callable[..., Reply]
Pieces = Iterable[Any]
