"""How a rater comes in and goes: links, the list of batches, what they tell of themselves."""

from collections.abc import Mapping

from sqlalchemy import select, update
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from selaras.core.errors import InputError
from selaras.rating import schema
from selaras.rating.batches import batch_of_crowd, list_batches, read_batch
from selaras.rating.people import (
    background_of,
    begin_session,
    digest,
    forget,
    join_from_crowd,
    rater_of_token,
    set_background,
)
from selaras.studio.frame import COOKIE, form_of, guess, html, remember, studio_of, texts, who

# The names under which platforms give their workers' ids.
_WORKER = ("PROLIFIC_PID", "workerId", "worker_id", "participant", "id")
FIELDS = ("gender", "age", "region", "first_language")


async def join(request: Request) -> Response:
    """Exchange an invitation's token for a session at once; the address bar keeps no token."""
    return await run_in_threadpool(_join, request)


async def crowd(request: Request) -> Response:
    """Let a platform's worker into a batch."""
    return await run_in_threadpool(_crowd, request)


async def home(request: Request) -> Response:
    """List a rater's batches; with one there is nothing to choose."""
    return await run_in_threadpool(_home, request)


async def me(request: Request) -> Response:
    """Show what is stored of a rater."""
    return await run_in_threadpool(_me, request)


async def me_form(request: Request) -> Response:
    """Store what a rater agrees to have stored."""
    fields = await form_of(request)
    return await run_in_threadpool(_tell, request, fields)


async def forget_form(request: Request) -> Response:
    """Delete a rater's data on their own request."""
    fields = await form_of(request)
    return await run_in_threadpool(_forget, request, fields)


def _join(request: Request) -> Response:
    studio = studio_of(request)
    with studio.store.writing() as connection:
        rater = rater_of_token(connection, request.path_params["token"])
        if rater is not None:
            session = begin_session(connection, rater)
    if rater is None:
        guess(request)
        raise HTTPException(404, "bad_link")
    return remember(request, RedirectResponse("/rate", 303), session)


def _crowd(request: Request) -> Response:
    studio = studio_of(request)
    given = request.query_params
    worker = next((given[name] for name in _WORKER if given.get(name)), "")
    try:
        with studio.store.writing() as connection:
            batch = batch_of_crowd(connection, digest(request.path_params["token"]))
            if batch is not None and worker:
                spec, status = read_batch(connection, batch)
                if status != "open":
                    raise HTTPException(403, "closed")
                session = begin_session(connection, join_from_crowd(connection, spec, worker[:200]))
    except InputError as error:
        raise HTTPException(403, "no_places") from error
    if batch is None or not worker:
        guess(request)
        raise HTTPException(404, "bad_link")
    return remember(request, RedirectResponse(f"/rate/{batch}", 303), session)


def _home(request: Request) -> Response:
    studio, session = studio_of(request), who(request)
    member = schema.memberships
    with studio.store.reading() as connection:
        own = {
            row.batch
            for row in connection.execute(
                select(member.c.batch).where(member.c.rater == session.rater)
            )
        }
        known = list_batches(connection)
    batches = [spec for spec, status in known if spec.id in own and status == "open"]
    if len(batches) == 1 and len(own) == 1:
        return RedirectResponse(f"/rate/{batches[0].id}", 303)
    return html(request, "home.html", session.language, batches=batches)


def _me(request: Request) -> Response:
    studio, session = studio_of(request), who(request)
    with studio.store.reading() as connection:
        raters = schema.raters
        name = connection.execute(
            select(raters.c.pseudonym).where(raters.c.id == session.rater)
        ).scalar_one()
        told = background_of(connection, int(session.rater or 0))
        member = schema.memberships
        own = select(member.c.batch).where(member.c.rater == session.rater)
        asked = {
            str(spec["group_by"])
            for spec in connection.execute(
                select(schema.batches.c.spec).where(schema.batches.c.id.in_(own))
            ).scalars()
            if spec.get("group_by")
        }
    fields = tuple(dict.fromkeys((*FIELDS, *sorted(asked | set(told)))))
    return html(request, "me.html", session.language, pseudonym=name, background=told,
                fields=fields, notice=request.query_params.get("said") == "saved")  # fmt: skip


def _tell(request: Request, fields: Mapping[str, str]) -> Response:
    studio, session = studio_of(request), who(request)
    rater = int(session.rater or 0)
    agreed = bool(fields.get("consent"))
    with studio.store.writing() as connection:
        if fields.get("language") in {"en", "id"}:
            connection.execute(
                update(schema.raters)
                .where(schema.raters.c.id == rater)
                .values(language=fields["language"])
            )
        told = {k.removeprefix("is_"): v for k, v in fields.items() if k.startswith("is_")}
        for name in {*told, *background_of(connection, rater)}:
            set_background(connection, rater, name, told.get(name, "") if agreed else "")
    return RedirectResponse("/me?said=saved", 303)


def _forget(request: Request, fields: Mapping[str, str]) -> Response:
    studio, session = studio_of(request), who(request)
    if not fields.get("sure"):
        return RedirectResponse("/me", 303)
    with studio.store.writing() as connection:
        name = connection.execute(
            select(schema.raters.c.pseudonym).where(schema.raters.c.id == session.rater)
        ).scalar_one()
        forget(connection, name)
    said = texts(session.language)["forgotten"]
    response = html(request, "message.html", session.language, head="home", text=said,
                    spec=None, member=None, code="")  # fmt: skip
    response.delete_cookie(COOKIE)
    return response
