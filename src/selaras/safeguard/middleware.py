"""A guard in front of an application's own chat completions, as ASGI middleware.

    app = GuardMiddleware(app, guard)                    # any ASGI application
    app.add_middleware(GuardMiddleware, guard=guard)     # Starlette, FastAPI

The guarded paths take and answer OpenAI's chat completions. Under the folder of a guarded path
nothing else passes but its list of models, so that no sibling leads past the guard; the rest of the
application is left alone.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from selaras.core.loopback import App, Message, Receive, Scope, Send
from selaras.safeguard.admission import Admission
from selaras.safeguard.api import RefusedError
from selaras.safeguard.checks import Checker, Checks
from selaras.safeguard.endpoint import ChatEndpoint, Limits, Route, refusing
from selaras.safeguard.upstream import Answer, fault

LOGGER = logging.getLogger("selaras.guard")
_RUNNING: set["asyncio.Task[None]"] = set()
PATHS = ("/v1/chat/completions",)


class GuardMiddleware:
    """The application behind the guard, on the paths that answer chat completions."""

    def __init__(
        self,
        app: App,
        guard: Checker,
        *,
        paths: Sequence[str] = PATHS,
        at_once: int = 64,
        patience: float = 20.0,
        limits: Limits | None = None,
    ) -> None:
        self.app, self.paths = app, frozenset(paths)
        self._folders = tuple({path.rsplit("/chat/", 1)[0] + "/" for path in paths})
        threads = ThreadPoolExecutor(8, thread_name_prefix="guard")
        self._checks = Checks(guard, threads, patience)
        self._admission, self._limits = Admission(at_once), limits or Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, under guard where its path is."""
        path = scope.get("path", "")
        folder = next((each for each in self._folders if path.startswith(each)), None)
        if scope["type"] != "http" or folder is None or path == f"{folder}models":
            await self.app(scope, receive, send)
        elif path in self.paths and scope["method"] == "POST":
            route = Route(path, self._checks, _Inside(self.app, scope).post)
            endpoint = ChatEndpoint([route], self._admission, self._limits)
            await endpoint(scope, receive, send)
        else:
            await _NOTHING(scope, receive, send)


_NOTHING = refusing(
    RefusedError(404, "there is nothing here", "invalid_request_error", code="unknown_route")
)


@dataclass(frozen=True, slots=True)
class _Inside:
    """The application as an upstream of its own requests."""

    app: App
    scope: Scope

    @contextlib.asynccontextmanager
    async def post(self, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[Answer]:  # noqa: ARG002
        """Let the application answer; its work ends with the block."""
        # One message ahead at most: a client that reads slowly slows the application down.
        sent: asyncio.Queue[Message | None] = asyncio.Queue(1)
        ended = asyncio.Event()
        work = asyncio.create_task(self._run(body, sent))
        try:
            start = await sent.get()
            if start is None:
                raise fault("the application failed before it answered")
            named = {name.decode("latin-1").lower(): value.decode("latin-1")
                     for name, value in start.get("headers", ())}  # fmt: skip
            yield Answer(start["status"], named, _chunks(sent, ended))
        finally:
            if ended.is_set():  # what it does after its answer is its own affair
                _RUNNING.add(work)
                work.add_done_callback(_RUNNING.discard)
            else:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _run(self, body: bytes, sent: "asyncio.Queue[Message | None]") -> None:
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if waiting:
                return waiting.pop()
            await asyncio.Event().wait()  # until the work is cancelled
            raise AssertionError

        try:
            await self.app(self._rewritten(len(body)), receive, sent.put)
        except Exception:
            LOGGER.exception("the application behind the guard failed")
        await sent.put(None)

    def _rewritten(self, length: int) -> Scope:
        # Compressed text cannot be checked, and the length is another one now.
        dropped = (b"content-length", b"accept-encoding", b"transfer-encoding")
        kept = [pair for pair in self.scope["headers"] if pair[0] not in dropped]
        headers: list[tuple[bytes, bytes]] = [*kept, (b"content-length", str(length).encode())]
        return {**self.scope, "headers": headers}


async def _chunks(
    sent: "asyncio.Queue[Message | None]", ended: asyncio.Event
) -> AsyncIterator[bytes]:
    while not ended.is_set():
        message: Any = await sent.get()
        if message is None:
            raise fault("the application's answer was cut")
        if not message.get("more_body", False):
            ended.set()
        yield message.get("body", b"")
