"""The studio as an ASGI app, and the server around it.

Everything is served from this package: no other host is asked for anything, and nothing but the
page's own small script runs. It listens on the loopback unless told otherwise.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from importlib.resources import files

from anyio.to_thread import current_default_thread_limiter
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from selaras.core.loopback import App, guarded
from selaras.core.project import Project
from selaras.rating.people import digest
from selaras.rating.shown import Shown
from selaras.rating.store import Store, StoreError
from selaras.rating.voting import secret_key
from selaras.studio import doors, lead, rate
from selaras.studio.frame import Studio, html

# Requests that are worked on at once. Each asks the database a dozen short questions, and a thread
# that comes back from one waits for the interpreter behind all others that run: with 40 threads on
# two cores the 95th percentile was four times that of a few (benchmarks/rating_load.py).
_THREADS = 4

_STATIC = {
    "page.css": ("selaras.page", "style.css", "text/css"),
    "rate.css": ("selaras.studio", "static/rate.css", "text/css"),
    "rate.js": ("selaras.studio", "static/rate.js", "text/javascript"),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """The app behind its guard, and the path of the lead's link, which is shown once."""

    app: App
    lead_path: str


def studio_app(
    store: Store, project: Project | None = None, *, hosts: Iterable[str] = (), secure: bool = False
) -> Opened:
    """Return the studio over a store.

    `hosts` are names that it answers beside those of the loopback; `secure` marks cookies for
    HTTPS alone. The lead's link is new at each start.
    """
    token = secrets.token_urlsafe(32)
    with store.writing() as connection:
        key = secret_key(connection)
    app = Starlette(
        routes=[
            Route("/", _front),
            Route("/static/{name}", _static),
            Route("/join/{token}", doors.join),
            Route("/crowd/{token}", doors.crowd),
            Route("/me", doors.me),
            Route("/me", doors.me_form, methods=["POST"]),
            Route("/me/forget", doors.forget_form, methods=["POST"]),
            Route("/rate", doors.home),
            Route("/rate/{batch}", rate.batch_page),
            Route("/rate/{batch}", rate.vote_form, methods=["POST"]),
            Route("/rate/{batch}/undo", rate.undo_form, methods=["POST"]),
            Route("/rate/{batch}/draft", rate.draft_form, methods=["POST"]),
            Route("/rate/{batch}/ready", rate.ready_form, methods=["POST"]),
            *lead.ROUTES,
        ],
        exception_handlers={HTTPException: _refused, StoreError: _unavailable},
        lifespan=_few_at_once,
    )
    app.state.studio = Studio(store, project, key, digest(token), Shown(project), secure=secure)
    return Opened(guarded(app, hosts), f"/lead/{token}")


@contextlib.asynccontextmanager
async def _few_at_once(_: Starlette) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = _THREADS
    yield


async def _front(_: Request) -> Response:
    return RedirectResponse("/rate", 303)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404, "not_found")
    package, path, kind = _STATIC[name]
    text = (files(package) / path).read_text(encoding="utf-8")
    return Response(text, media_type=kind, headers={"cache-control": "max-age=300"})


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    said = str(error.detail) if isinstance(error, HTTPException) else ""
    known = {404: "not_found", 405: "not_found"}
    text = said if "_" in said or said in {"slow", "closed"} else known.get(status, "not_found")
    if "application/json" in request.headers.get("accept", ""):
        from selaras.studio.frame import texts

        return JSONResponse({"message": texts("en")[text]}, status)
    return html(request, "message.html", _language(request), status, head="home", text=text,
                spec=None, member=None, code="")  # fmt: skip


async def _unavailable(request: Request, _: Exception) -> Response:
    return html(request, "message.html", _language(request), 503, head="unavailable",
                text="unavailable_text", spec=None, member=None, code="")  # fmt: skip


def _language(request: Request) -> str:
    """Return the browser's language where the pages have it; there may be no session."""
    first = request.headers.get("accept-language", "").partition(",")[0].lower()
    return "id" if first.startswith("id") else "en"
