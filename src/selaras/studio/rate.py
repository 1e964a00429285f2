"""The rating page: one item at a time, by mouse, finger, keyboard or screen reader."""

import json
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from selaras.core.errors import InputError
from selaras.data.rows import parse_row
from selaras.rating import schema
from selaras.rating.assign import Member, member_of, next_item, release_expired
from selaras.rating.batch import BatchSpec, hasty_under
from selaras.rating.batches import Item, read_item
from selaras.rating.store import StoreError
from selaras.rating.tasks import TASKS, Answer
from selaras.rating.voting import (
    Ticket,
    open_ticket,
    save_draft,
    seal_ticket,
    sight_of,
    undo,
    vote,
)
from selaras.studio.frame import Studio, form_of, html, studio_of, texts, who

_NOTICES = ("taken", "stale", "closed", "undone", "nothing", "saved")


async def batch_page(request: Request) -> Response:
    """Show the next item of a batch, or why there is none."""
    try:
        return await run_in_threadpool(_batch_page, request)
    except IntegrityError:
        # Another tab of the rater was given an item meanwhile, which is now theirs to see.
        return await run_in_threadpool(_batch_page, request)


async def vote_form(request: Request) -> Response:
    """Store what a form says of an item and lead to the next one.

    A script gets JSON, a plain form a redirect. What cannot be stored comes back as a page that
    holds it, with a button to send it again under the same number.
    """
    fields = await form_of(request)
    return await run_in_threadpool(_vote, request, fields)


async def undo_form(request: Request) -> Response:
    """Take the last answer back and show its item again."""
    await form_of(request)
    return await run_in_threadpool(_undo, request)


async def draft_form(request: Request) -> Response:
    """Keep an answer that is being written."""
    fields = await form_of(request)
    return await run_in_threadpool(_draft, request, fields)


async def ready_form(request: Request) -> Response:
    """Note that the warning was read, or that a break was taken."""
    await form_of(request)
    return await run_in_threadpool(_ready, request)


def _batch_page(request: Request) -> Response:
    studio, session = studio_of(request), who(request)
    name, rater = request.path_params["batch"], int(session.rater or 0)
    with studio.store.writing(durable=False) as connection:
        if studio.sweeps.take("leases"):
            release_expired(connection)
        member = _member(connection, rater, name)
        spec = member.spec
        shared: dict[str, Any] = {"spec": spec, "member": member, "code": member.code}
        if member.batch_status != "open":
            return html(request, "message.html", session.language, head="closed",
                        text="closed_text", **shared)  # fmt: skip
        if not member.warned:
            return html(request, "warning.html", session.language, **shared)
        seen = next_item(connection, member)
        if seen is None:
            head = "refused" if member.status == "refused" else "finished"
            return html(request, "message.html", session.language, head=head,
                        text=f"{head}_text", **shared)  # fmt: skip
        sight = sight_of(connection, spec, rater, seen)
        total = _total(studio, connection, spec, member)
    item, ticket, draft = sight.item, sight.ticket, sight.draft
    notice = request.query_params.get("said", "")
    return html(
        request, "item.html", session.language, **shared, task=TASKS[spec.task], draft=draft,
        content=studio.shown.content(item.content), ticket=seal_ticket(studio.key, ticket),
        sides=_sides(TASKS[spec.task].sides, ticket.order), guides=sight.guides, total=total,
        notice=notice if notice in _NOTICES else "", hasty=_hasty(member, item),
        version=ticket.version,
        tired=member.began and time.time() - member.began > spec.break_after * 60,
        fields=_fields(item.content.draft, draft), qualifying=seen.purpose == "qualification",
        shown_side=lambda side: _swapped(side, ticket.order),
    )  # fmt: skip


def _vote(request: Request, fields: Mapping[str, str]) -> Response:
    studio, session = studio_of(request), who(request)
    name = request.path_params["batch"]
    wants_json = "application/json" in request.headers.get("accept", "")
    try:
        ticket = open_ticket(studio.key, fields.get("ticket", ""), int(session.rater or 0))
        if ticket.batch != name:
            raise InputError("this page is of another batch")
        answer = None if fields.get("value") == "skip" else _answer(studio, ticket, fields)
        outcome = vote(studio.store, ticket, answer, _seconds(fields.get("active", "")))
        if outcome == "stale":
            with studio.store.writing() as connection:
                save_draft(connection, ticket.rater, ticket.item, _kept(fields, ticket))
    except InputError as error:
        said = texts(session.language).get(error.what, str(error))
        if wants_json:
            return JSONResponse({"outcome": "wrong", "message": said}, 400)
        return html(request, "message.html", session.language, 400, head="home", text=said,
                    spec=None, member=None, code="")  # fmt: skip
    except StoreError:
        if wants_json:
            return JSONResponse({"outcome": "unavailable"}, 503)
        return html(request, "again.html", session.language, 503, fields=fields,
                    action=request.url.path)  # fmt: skip
    notice = f"?said={outcome}" if outcome in _NOTICES else ""
    if wants_json:
        return JSONResponse({"outcome": outcome, "next": f"/rate/{name}{notice}"})
    return RedirectResponse(f"/rate/{name}{notice}", 303)


def _undo(request: Request) -> Response:
    studio, session = studio_of(request), who(request)
    name, rater = request.path_params["batch"], int(session.rater or 0)
    with studio.store.writing() as connection:
        member = _member(connection, rater, name)
        back = undo(connection, member.spec, rater) if member.batch_status == "open" else None
    return RedirectResponse(f"/rate/{name}?said={'undone' if back else 'nothing'}", 303)


def _draft(request: Request, fields: Mapping[str, str]) -> Response:
    studio, session = studio_of(request), who(request)
    try:
        ticket = open_ticket(studio.key, fields.get("ticket", ""), int(session.rater or 0))
    except InputError:
        return Response(status_code=400)
    with studio.store.writing(durable=False) as connection:
        save_draft(connection, ticket.rater, ticket.item, _kept(fields, ticket))
    return Response(status_code=204)


def _ready(request: Request) -> Response:
    studio, session = studio_of(request), who(request)
    name, rater = request.path_params["batch"], int(session.rater or 0)
    table = schema.memberships
    with studio.store.writing(durable=False) as connection:
        _member(connection, rater, name)
        connection.execute(
            update(table)
            .where(table.c.rater == rater, table.c.batch == name)
            .values(warned=True, began=time.time(), seen=time.time())
        )
    return RedirectResponse(f"/rate/{name}", 303)


def _member(connection: Any, rater: int, name: str) -> Member:
    """Return the membership; who is no member learns nothing of the batch, not even that it is."""
    found = member_of(connection, rater, name)
    if found is None:
        raise HTTPException(404, "not_found")
    return found


def _answer(studio: Studio, ticket: Ticket, fields: Mapping[str, str]) -> Answer:
    kept = _kept(fields, ticket)
    if any(fields.get(f"flag_{side}") and not fields.get(f"reason_{side}", "").strip()
           for side in "ab"):  # fmt: skip
        raise InputError("flag_needs_reason")
    if len(kept["note"]) > 4_000:
        raise InputError("too_large")
    value = str(kept["value"])
    if ticket.order == "ba":
        # The page says "1" and "2"; the vote says which side that was.
        value = {"a": "b", "b": "a"}.get(value, value)
    edited = kept["text"]
    if value == "edited":
        edited = _edited_row(studio, ticket, fields)
    return Answer(value=value, flags=kept["flags"], note=kept["note"], text=edited)


def _kept(fields: Mapping[str, str], ticket: Ticket) -> dict[str, Any]:
    """Return the fields of a form as an answer, sides by their own names."""
    flags = {
        _swapped(side, ticket.order): fields[f"reason_{side}"]
        for side in ("a", "b")
        if fields.get(f"flag_{side}") and fields.get(f"reason_{side}", "").strip()
    }
    return {
        "value": fields.get("value", ""),
        "flags": flags,
        "note": fields.get("note", ""),
        "text": fields.get("text") or None,
        "edits": {k.removeprefix("edit_"): v for k, v in fields.items() if k.startswith("edit_")},
    }


def _edited_row(studio: Studio, ticket: Ticket, fields: Mapping[str, str]) -> str:
    """Return a drafted row with the form's changes as JSON; raises InputError for a bad one."""
    with studio.store.reading() as connection:
        draft = dict(read_item(connection, ticket.item).content.draft or {})
    changed = {
        name.removeprefix("edit_"): value
        for name, value in fields.items()
        if name.startswith("edit_") and isinstance(draft.get(name.removeprefix("edit_")), str)
    }
    whole = {**draft, **changed}
    parse_row(whole)
    return json.dumps(whole, ensure_ascii=False)


def _fields(
    draft: Mapping[str, Any] | None, begun: Mapping[str, Any]
) -> list[tuple[str, str, bool]]:
    """Return (name, text, editable) of what a drafted row holds, edits that were begun included."""
    edits = begun.get("edits") or {}
    if begun.get("value") == "edited" and begun.get("text"):
        edits = {k: v for k, v in json.loads(begun["text"]).items() if isinstance(v, str)} | edits
    rows = []
    for name, value in (draft or {}).items():
        long = name in {"query", "response", "response_a", "response_b"}
        said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        rows.append((name, str(edits.get(name, said)) if long else said, long))
    return rows


def _sides(sides: tuple[str, ...], order: str) -> list[str]:
    return list(reversed(sides)) if order == "ba" else list(sides)


def _swapped(side: str, order: str) -> str:
    return {"a": "b", "b": "a"}[side] if order == "ba" else side


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return round(value, 1) if 0 <= value < 86_400 else None


def _total(studio: Studio, connection: Any, spec: BatchSpec, member: Member) -> int:
    """Return about how many items this rater will be asked, never fewer than were answered."""
    if spec.id not in studio.sizes:
        # The items of a batch never change, and counting a hundred thousand takes a while.
        items = schema.items
        studio.sizes[spec.id] = connection.execute(
            select(func.count(items.c.id)).where(items.c.batch == spec.id, ~items.c.golden)
        ).scalar_one()
    regular = max(0.01, 1 - spec.repeats - spec.gold)
    total = round(studio.sizes[spec.id] / regular) + spec.qualification
    return max(min(total, spec.most or total), member.given)


def _hasty(member: Member, item: Item) -> bool:
    """Return whether the last answers all came faster than anybody reads."""
    if member.slowest is None or member.slowest >= 2.0:
        return False
    return member.slowest < hasty_under(member.spec, item.content)
