"""The proxy: OpenAI's chat completions in front of any number of upstreams, each route under guard.

    POST {path}/chat/completions    guarded
    GET  {path}/models              the names that the path's routes serve
    GET  /healthz                   whether it is up, and how much it does

There is nothing else: what is not listed here is 404, so that no other way leads to a model. It
answers under its own host name and origin only (`core.loopback`), and where a token is asked for,
with that token only.
"""

import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as WebRoute

from selaras.core.loopback import App, Receive, Scope, Send, guarded
from selaras.safeguard.admission import Admission
from selaras.safeguard.api import RefusedError
from selaras.safeguard.endpoint import ChatEndpoint, Limits, Route, headers_of, refusing
from selaras.safeguard.upstream import Upstream

LOGGER = logging.getLogger("selaras.guard")
_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
Listing = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Path:
    """What is served under one path: routes in their order, with the upstream of each."""

    path: str
    routes: Sequence[tuple[Route, Upstream]]


@dataclass(frozen=True, slots=True)
class Doors:
    """Who is let in: host names beside the loopback's, and the token that clients must show."""

    hosts: Sequence[str] = ()
    token: str | None = field(default=None, repr=False)


def proxy(
    paths: Sequence[Path],
    *,
    admission: Admission | None = None,
    limits: Limits | None = None,
    doors: Doors | None = None,
    log_texts: bool = False,
) -> App:
    """Return the proxy as an ASGI application. Its upstreams are closed when it shuts down."""
    admission, limits, doors = admission or Admission(), limits or Limits(), doors or Doors()

    async def healthz(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse({
            "status": "ok", "working": admission.inside, "waiting": admission.outside,
            "routes": [route.name for path in paths for route, _ in path.routes],
        })  # fmt: skip

    web = [WebRoute("/healthz", healthz, methods=["GET"])]
    for path in paths:
        routes = [route for route, _ in path.routes]
        chat = ChatEndpoint(routes, admission, limits, log_texts)
        web += [
            WebRoute(f"{path.path}/chat/completions", chat, methods=["POST"]),
            WebRoute(f"{path.path}/models", _listing(path), methods=["GET"]),
        ]
    app = Starlette(routes=web, exception_handlers={HTTPException: _unknown}, lifespan=_life(paths))
    app.router.redirect_slashes = False
    inner: App = app
    if doors.token is not None:
        inner = _with_token(inner, doors.token)
    return guarded(inner, doors.hosts, _HEADERS)


def _life(paths: Iterable[Path]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        try:
            yield
        finally:
            for upstream in {id(u): u for path in paths for _, u in path.routes}.values():
                await upstream.close()

    return life


def _listing(path: Path) -> Listing:
    async def models(request: Request) -> Response:
        names: list[str] = []
        try:
            for route, upstream in path.routes:
                names += route.models or await upstream.model_names(headers_of(request.scope))
        except RefusedError as error:
            return JSONResponse(error.to_dict(), error.status)
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "selaras-guard"}
                for name in dict.fromkeys(names)]  # fmt: skip
        return JSONResponse({"object": "list", "data": rows})

    return models


def _with_token(app: App, token: str) -> App:
    expected = f"Bearer {token}".encode("latin-1", "replace")
    refused = refusing(
        RefusedError(401, "this proxy asks for its own key", "invalid_request_error",
                     code="invalid_api_key")
    )  # fmt: skip

    async def app_with_token(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/healthz":
            shown = headers_of(scope).get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(shown, expected):
                await refused(scope, receive, send)
                return
        await app(scope, receive, send)

    return app_with_token


async def _unknown(request: Request, error: Exception) -> Response:  # noqa: ARG001
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = {404: "there is nothing here", 405: "not with this method"}.get(status, "failed")
    refused = RefusedError(status, what, "invalid_request_error", code="unknown_route")
    return JSONResponse(refused.to_dict(), status, dict(getattr(error, "headers", None) or {}))
