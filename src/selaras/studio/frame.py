"""What all studio pages share: who is asking, forms that are ours, limits, templates."""

import hashlib
import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from selaras.core.project import Project
from selaras.page import untrusted
from selaras.rating.people import SESSION_SECONDS, Session, session_of
from selaras.rating.shown import Shown
from selaras.rating.store import Store

COOKIE = "selaras_session"
_LARGEST = 6 << 20
# A text longer than this is folded behind "show all": a page of a megabyte helps nobody.
_SHOWN_AT_ONCE = 20_000


@dataclass(slots=True)
class Limit:
    """A bucket a key: `burst` requests at once, and `rate` a second from then on."""

    rate: float
    burst: float
    _left: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, key: str, cost: float = 1.0) -> bool:
        """Return whether the key has `cost` left, and take it."""
        at = time.monotonic()
        with self._lock:
            if len(self._left) > 10_000:
                self._left.clear()
            left, then = self._left.get(key, (self.burst, at))
            left = min(self.burst, left + (at - then) * self.rate)
            enough = left >= cost
            self._left[key] = (left - cost if enough else left, at)
            return enough


@dataclass(frozen=True, slots=True)
class Studio:
    """What stands behind the pages. `key` signs forms, `lead_hash` is of the lead's link."""

    store: Store
    project: Project | None
    key: bytes = field(repr=False)
    lead_hash: str = field(repr=False)
    shown: Shown = field(repr=False)
    secure: bool = False
    sizes: dict[str, int] = field(default_factory=dict, repr=False)
    requests: Limit = field(default_factory=lambda: Limit(20, 80))
    guesses: Limit = field(default_factory=lambda: Limit(0.5, 20))
    # Leases last half an hour: a place is free soon enough when they are looked through at times.
    sweeps: Limit = field(default_factory=lambda: Limit(0.2, 1))


def studio_of(request: Request) -> Studio:
    """Return the studio that a request came to."""
    return request.app.state.studio  # type: ignore[no-any-return]


def who(request: Request, *, lead: bool = False) -> Session:
    """Return whose session the cookie is; raises 401 without one, 403 for the other role."""
    studio, token = studio_of(request), request.cookies.get(COOKIE, "")
    if token and not studio.requests.take(token):
        raise HTTPException(429, "slow")
    found = None
    if token:
        with studio.store.reading(once=True) as connection:
            found = session_of(connection, token)
    if found is None:
        raise HTTPException(401, "no_session")
    if (found.rater is None) != lead:
        raise HTTPException(403, "other_role")
    return found


def guess(request: Request) -> None:
    """Count a wrong link against its address; raises 429 where there were too many."""
    host = request.client.host if request.client else "?"
    if not studio_of(request).guesses.take(host):
        raise HTTPException(429, "slow")


def csrf_of(request: Request) -> str:
    """Return the value that this session's forms carry."""
    token = request.cookies.get(COOKIE, "")
    return hmac.new(studio_of(request).key, f"csrf:{token}".encode(), hashlib.sha256).hexdigest()


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form of ours; raises 403 for a form of somebody else's.

    URL-encoded only, so no file is ever taken; 413 over six megabytes.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST:
            raise HTTPException(413, "too_large")
    try:
        parsed = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=60)
    except ValueError as error:
        raise HTTPException(400, "broken_form") from error
    fields = {name: values[-1].replace("\r\n", "\n") for name, values in parsed.items()}
    if not hmac.compare_digest(fields.pop("csrf", ""), csrf_of(request)):
        raise HTTPException(403, "foreign_form")
    return fields


def remember(request: Request, response: Response, token: str) -> Response:
    """Set the session's cookie on a response."""
    response.set_cookie(
        COOKIE, token, max_age=int(SESSION_SECONDS), httponly=True, samesite="lax",
        secure=studio_of(request).secure, path="/",
    )  # fmt: skip
    return response


def html(
    request: Request, template: str, language: str = "en", status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page from a template; every value in it is escaped."""
    known = texts(language)
    page = (
        _environment()
        .get_template(template)
        .render(t=known, language=language, csrf=csrf_of(request), **values)
    )
    return HTMLResponse(page, status)


@cache
def texts(language: str) -> Mapping[str, str]:
    """Return the words of the pages in a language, English where it has none."""
    known = yaml.safe_load((files("selaras.studio") / "texts.yaml").read_text(encoding="utf-8"))
    return dict(known.get(language, known["en"]))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("selaras.studio"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters["shown"] = lambda text: _marked(text[:_SHOWN_AT_ONCE])
    made.filters["rest"] = lambda text: _marked(text[_SHOWN_AT_ONCE:])
    made.globals["at_once"] = _SHOWN_AT_ONCE
    return made


def _marked(text: str) -> Markup:
    # `untrusted` escapes: what it returns is HTML that a row's text cannot break.
    return Markup(untrusted(text, limit=None))  # noqa: S704
