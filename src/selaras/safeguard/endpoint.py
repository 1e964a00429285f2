"""One chat completion over ASGI: read, route, guard, answer. The proxy and the middleware share it.

Every way out is an answer of the API's own error form or a stream that ends with one; a client that
goes away ends the work for it, upstream too.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from selaras.core.loopback import App, Receive, Scope, Send
from selaras.safeguard.admission import Admission
from selaras.safeguard.api import ChatRequest, RefusedError, read_request
from selaras.safeguard.checks import Checks
from selaras.safeguard.exchange import Exchange, whole
from selaras.safeguard.relay import streamed
from selaras.safeguard.sse import event, json_bytes
from selaras.safeguard.trace import Trace
from selaras.safeguard.upstream import Post

LOGGER = logging.getLogger("selaras.guard")
JSON = "application/json"


class GoneError(Exception):
    """Raised when the client has gone away."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take: bytes of body, seconds to send it, seconds in all."""

    body: int = 2 << 20
    sending: float = 15.0
    whole: float = 600.0


@dataclass(frozen=True, slots=True)
class Route:
    """Models behind one upstream, under one guard. `models` maps names asked for to names there.

    An empty `models` takes every name as it is.
    """

    name: str
    checks: Checks
    post: Post
    models: Mapping[str, str] = field(default_factory=dict)

    def serves(self, model: str) -> bool:
        """Return whether requests for the model take this route."""
        return not self.models or model in self.models


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """The chat completions of one path: the first route that serves a model takes it."""

    routes: Sequence[Route]
    admission: Admission
    limits: Limits = Limits()
    log_texts: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        trace = Trace()
        out = _Out(send, trace)
        try:
            body = await read_body(scope, receive, self.limits)
            work = asyncio.ensure_future(self._answer(scope, body, out))
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    raise GoneError
                work.result()
            finally:
                gone.cancel()
                work.cancel()
                await asyncio.gather(work, gone, return_exceptions=True)
        except (GoneError, OSError):
            trace.action, trace.reason = "gone", "the client went away"
        except RefusedError as error:
            await out.refuse(error)
        finally:
            trace.write()

    async def _answer(self, scope: Scope, body: bytes, out: "_Out") -> None:
        try:
            async with self.admission.slot(), asyncio.timeout(self.limits.whole):
                request = read_request(body)
                route = self._route(request.model)
                self._note(request, route, out.trace)
                await self._guarded(request, route, scope, out)
        except TimeoutError:
            await out.refuse(RefusedError(504, "this took too long", "timeout_error"))
        except RefusedError as error:
            await out.refuse(error)
        except OSError:
            raise
        except Exception as error:
            LOGGER.exception("request %s failed", out.trace.id)
            what = f"an unexpected {type(error).__name__}"
            await out.refuse(RefusedError(500, what, "guard_error", code="guard_failed"))

    async def _guarded(self, request: ChatRequest, route: Route, scope: Scope, out: "_Out") -> None:
        model = route.models.get(request.model, request.model)
        exchange = Exchange(request, route.checks, model, out.trace)
        answers = (streamed if request.stream else whole)(exchange, route.post, headers_of(scope))
        async with aclosing(answers) as pieces:
            await out.answer(pieces, "text/event-stream" if request.stream else JSON)

    def _route(self, model: str) -> Route:
        for route in self.routes:
            if route.serves(model):
                return route
        raise RefusedError(
            404, "no such model here", "invalid_request_error", code="model_not_found",
            param="model",
        )  # fmt: skip

    def _note(self, request: ChatRequest, route: Route, trace: Trace) -> None:
        trace.route, trace.model, trace.stream = route.name, request.model, request.stream
        if self.log_texts:
            trace.asked, trace.answered = request.messages[-1].said, ""


class _Out:
    """The way to the client: a status once, then bytes."""

    def __init__(self, send: Send, trace: Trace) -> None:
        self.trace = trace
        self._send, self._begun, self._ended = send, False, False

    async def answer(self, pieces: AsyncGenerator[bytes, None], kind: str) -> None:
        """Send the pieces as they come; the status is known with the first."""
        async for piece in pieces:
            if not self._begun:
                whole = {"content-length": str(len(piece))} if kind == JSON else {}
                await self._begin(200, kind, whole)
            if self.trace.answered is not None:
                self.trace.answered += piece.decode()
            await self._body(piece, kind != JSON)
        if not self._ended:
            await self._body(b"", False)

    async def refuse(self, error: RefusedError) -> None:
        """Send an error: as the answer, or as the last event of a stream that has begun."""
        self.trace.failed(str(error) if error.status != 400 else error.code or "")
        if self._ended:
            return
        if not self._begun:
            more = {}
            if error.retry_after is not None:
                more["retry-after"] = str(math.ceil(error.retry_after))
            body = json_bytes(error.to_dict())
            await self._begin(error.status, JSON, {"content-length": str(len(body)), **more})
            await self._body(body, False)
        else:
            await self._body(event(error.to_dict()), False)

    async def _begin(self, status: int, kind: str, more: Mapping[str, str]) -> None:
        self._begun, self.trace.status = True, status
        headers = {"content-type": kind, **more, **self.trace.headers}
        await self._send({
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        })  # fmt: skip

    async def _body(self, body: bytes, more: bool) -> None:
        self._ended = not more
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """Return the body; raises RefusedError (408, 413), GoneError where the client went away."""
    said = headers_of(scope).get("content-length", "")
    body = bytearray()
    try:
        async with asyncio.timeout(limits.sending):
            while not (said.isdigit() and int(said) > limits.body) and len(body) <= limits.body:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise RefusedError(408, "the body did not come in time", "invalid_request_error") from None
    if len(body) > limits.body or (said.isdigit() and int(said) > limits.body):
        size = f"{limits.body >> 20} MB" if limits.body >= 1 << 20 else f"{limits.body} bytes"
        raise RefusedError(
            413, f"the body is larger than {size}", "invalid_request_error", code="too_large"
        )
    return bytes(body)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers by their names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def refusing(error: RefusedError) -> App:
    """Return an application that answers every request with the error."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await _Out(send, Trace()).refuse(error)

    return app


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
