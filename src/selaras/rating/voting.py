"""Votes: stored once, whatever the network does; taken back by a further row, never by deletion.

A page that shows an item carries a ticket: what was shown to whom, signed by the store's own key.
It makes a vote whole without the server remembering the page, survives a restart, and its number
is the vote's identity: sent twice, it is stored once. Two tabs hold two tickets for the same place
in the row of votes, and only the first is stored.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.rating import schema
from selaras.rating.assign import (
    Assigned,
    Purpose,
    give_back,
    hold,
    release,
    shown_order,
)
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import Item, item_of, read_item
from selaras.rating.guides import guides_of, newest_of_item
from selaras.rating.instructions import Instructions
from selaras.rating.store import Store
from selaras.rating.tasks import TASKS, Answer, check_answer

SKIPPED, WITHDRAWN = "skipped", "withdrawn"
# stored; again: this very vote was stored before; taken: another tab was faster; closed: the batch
# takes no votes; stale: the instructions or the round changed since the page was shown.
Outcome = Literal["stored", "again", "taken", "closed", "stale"]
# A stretch of work ends with a pause of this many seconds.
_PAUSE = 5 * 60.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a page showed to whom: all of a vote but the answer."""

    rater: int
    batch: str
    item: int
    round: int
    purpose: Purpose
    group: str | None
    number: int
    order: Literal["ab", "ba"]
    version: str
    shown: float
    nonce: str


@dataclass(frozen=True, slots=True)
class Sight:
    """An item as a rater is shown it. `draft` is the answer that was begun, empty without one."""

    item: Item
    guides: Instructions
    ticket: Ticket
    draft: Mapping[str, Any]


def sight_of(connection: Connection, spec: BatchSpec, rater: int, seen: Assigned) -> Sight:
    """Return the item that a rater is about to be shown, with a new ticket for it.

    Raises InputError where the item is not there.
    """
    asked = {"of_item": seen.item, "of_rater": rater, "of_purpose": seen.purpose}
    row = connection.execute(_SIGHT, asked).one_or_none()
    if row is None:
        raise InputError("no such item")
    guides = guides_of(row.guides)
    ticket = Ticket(
        rater, spec.id, seen.item, row.round, seen.purpose, seen.group, (row.number or 0) + 1,
        shown_order(spec, seen.item, rater, seen.purpose),
        row.version or guides.version, seen.shown, secrets.token_hex(16),
    )  # fmt: skip
    return Sight(item_of(row), guides, ticket, row.draft or {})


def seal_ticket(key: bytes, ticket: Ticket) -> str:
    """Return a ticket as text that nobody else can make."""
    body = json.dumps(asdict(ticket), separators=(",", ":")).encode()
    return _text(body) + "." + _text(hmac.new(key, body, hashlib.sha256).digest())


def open_ticket(key: bytes, sealed: str, rater: int) -> Ticket:
    """Return a rater's ticket; raises InputError where it is not ours or somebody else's."""
    try:
        body, signature = (base64.urlsafe_b64decode(part) for part in sealed.split(".", 1))
        if hmac.compare_digest(signature, hmac.new(key, body, hashlib.sha256).digest()):
            ticket = Ticket(**json.loads(body))
            if ticket.rater == rater:
                return ticket
    except (ValueError, TypeError):
        pass
    raise InputError("this page is not one of yours", fix="open the rating page again")


def secret_key(connection: Connection) -> bytes:
    """Return the store's own key, made at the first call."""
    table = schema.meta
    found = connection.execute(select(table.c.value).where(table.c.name == "secret")).scalar()
    if found is None:
        found = secrets.token_hex(32)
        connection.execute(insert(table).values(name="secret", value=found))
    return bytes.fromhex(found)


def vote(
    store: Store, ticket: Ticket, answer: Answer | None, active_seconds: float | None = None
) -> Outcome:
    """Store an answer, or a skip (None), under its ticket; raises InputError for a part of one.

    Once `stored` is returned the vote is on the disk. Nothing is stored with any other outcome.
    """
    try:
        with store.writing() as connection:
            now = connection.execute(
                _BEFORE, {"of_item": ticket.item, "of_rater": ticket.rater, "nonce": ticket.nonce}
            ).one()
            if now.stored:
                return "again"
            if now.status != "open":
                return "closed"
            version = now.version or guides_of(None).version
            if (now.round, version) != (ticket.round, ticket.version):
                return "stale"
            spec = checked(BatchSpec, now.spec)
            whole = check_answer(TASKS[spec.task], answer) if answer else None
            _append(connection, ticket, whole, active_seconds)
            _account(connection, ticket, counted=whole is not None)
            if now.begun:
                drop_draft(connection, ticket.rater, ticket.item)
            _note_work(connection, spec, ticket, given=int(whole is not None))
            return "stored"
    except IntegrityError:
        with store.reading() as connection:
            return "again" if _is_stored(connection, ticket) else "taken"


def undo(connection: Connection, spec: BatchSpec, rater: int) -> Assigned | None:
    """Take back a rater's last vote or skip and show its item again; None where there is none.

    The item that was on show goes back. Answers of a qualification stand.
    """
    last = _last_standing(connection, spec.id, rater)
    if last is None or last.purpose == "qualification":
        return None
    item = read_item(connection, last.item)
    if item.round != last.round:
        return None
    release(connection, rater, spec.id)
    taken_back = {column.name: getattr(last, column.name) for column in schema.votes.c}
    taken_back |= {
        "submission": secrets.token_hex(16), "number": last.number + 1, "value": WITHDRAWN,
        "flags": {}, "note": "", "edited": None, "seconds": 0.0, "active_seconds": None,
        "at": time.time(),
    }  # fmt: skip
    del taken_back["id"]
    connection.execute(insert(schema.votes).values(**taken_back))
    if last.value == SKIPPED:
        give_back(connection, last.item, last.grp, -1)
    else:
        _count(connection, last.item, last.purpose, -1)
        own = schema.memberships
        connection.execute(
            update(own)
            .where(own.c.rater == rater, own.c.batch == spec.id)
            .values(given=own.c.given - 1)
        )
    save_draft(connection, rater, last.item, {
        "value": last.value, "flags": last.flags, "note": last.note, "text": last.edited,
    })  # fmt: skip
    return hold(connection, rater, spec.id, last.item, last.purpose, last.grp)


def save_draft(connection: Connection, rater: int, item: int, answer: dict[str, Any]) -> None:
    """Keep an answer that is not sent yet; the last one of an item counts."""
    drop_draft(connection, rater, item)
    connection.execute(insert(schema.drafts).values(rater=rater, item=item, answer=answer))


def draft_of(connection: Connection, rater: int, item: int) -> dict[str, Any]:
    """Return the answer that a rater has begun, empty where there is none."""
    table = schema.drafts
    own = (table.c.rater == rater, table.c.item == item)
    return dict(connection.execute(select(table.c.answer).where(*own)).scalar() or {})


def drop_draft(connection: Connection, rater: int, item: int) -> None:
    """Throw a begun answer away."""
    table = schema.drafts
    connection.execute(delete(table).where(table.c.rater == rater, table.c.item == item))


def _append(
    connection: Connection, ticket: Ticket, answer: Answer | None, active: float | None
) -> None:
    at = time.time()
    connection.execute(_VOTE, {
        "submission": ticket.nonce, "batch": ticket.batch, "item": ticket.item,
        "rater": ticket.rater, "round": ticket.round, "purpose": ticket.purpose,
        "grp": ticket.group, "number": ticket.number,
        "value": answer.value if answer else SKIPPED, "flags": dict(answer.flags) if answer else {},
        "note": answer.note if answer else "", "edited": answer.text if answer else None,
        "shown_order": ticket.order, "instructions": ticket.version,
        "seconds": round(max(0.0, at - ticket.shown), 3), "active_seconds": active, "at": at,
    })  # fmt: skip


def _account(connection: Connection, ticket: Ticket, *, counted: bool) -> None:
    """End the lease and settle the place: used by a vote, free again after a skip."""
    held = connection.execute(
        _END_LEASE,
        {"of_rater": ticket.rater, "of_batch": ticket.batch, "of_item": ticket.item},
    )
    if counted and not held.rowcount:
        # The lease ran out and its place is open again: this vote takes one.
        give_back(connection, ticket.item, ticket.group, -1)
    if not counted and held.rowcount:
        give_back(connection, ticket.item, ticket.group)
    if counted:
        _count(connection, ticket.item, ticket.purpose, 1)


def _note_work(connection: Connection, spec: BatchSpec, ticket: Ticket, *, given: int) -> None:
    """Write down the stretch of work with its votes, and the end of a qualification."""
    own = {"of_rater": ticket.rater, "of_batch": ticket.batch}
    at = time.time()
    connection.execute(_WORKED, {**own, "at": at, "rested": at - _PAUSE, "more": given})
    if ticket.purpose == "qualification":
        right, done = _qualified(connection, ticket.rater, spec.id)
        if done >= spec.qualification:
            passed = right / done >= spec.pass_share
            status = "active" if passed else "refused"
            connection.execute(
                update(schema.memberships).where(*_OWN_MEMBERSHIP).values(status=status), own
            )


def _qualified(connection: Connection, rater: int, batch: str) -> tuple[int, int]:
    votes, items = schema.votes, schema.items
    rows = connection.execute(
        select(votes.c.value, items.c.gold)
        .join(items, items.c.id == votes.c.item)
        .where(votes.c.rater == rater, votes.c.batch == batch, votes.c.purpose == "qualification")
    ).all()
    return sum(row.value in row.gold["accepted"] for row in rows), len(rows)


def _last_standing(connection: Connection, batch: str, rater: int) -> Any:
    """Return the newest vote or skip that was not taken back, None where there is none."""
    table = schema.votes
    rows = connection.execute(
        select(table)
        .where(table.c.rater == rater, table.c.batch == batch)
        .order_by(table.c.id.desc())
        .limit(200)
    )
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        key = (row.item, row.round, row.purpose)
        if key not in seen and row.value != WITHDRAWN:
            return row
        seen.add(key)
    return None


def _is_stored(connection: Connection, ticket: Ticket) -> bool:
    table = schema.votes
    found = connection.execute(select(table.c.id).where(table.c.submission == ticket.nonce))
    return found.scalar() is not None


def _count(connection: Connection, item: int, purpose: str, by: int) -> None:
    if purpose == "work":
        connection.execute(_COUNT, {"of_item": item, "by": by})


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode()


# Statements of every page and every vote, made once (see assign.py).


def _sight() -> Select[Any]:
    items, votes, guides, drafts = schema.items, schema.votes, schema.instructions, schema.drafts
    number = (
        select(func.max(votes.c.number))
        .where(
            votes.c.item == items.c.id, votes.c.rater == bindparam("of_rater"),
            votes.c.round == items.c.round, votes.c.purpose == bindparam("of_purpose"),
        )
        .scalar_subquery()
    )  # fmt: skip
    begun = and_(drafts.c.item == items.c.id, drafts.c.rater == bindparam("of_rater"))
    return (
        select(
            items, number.label("number"), guides.c.version, guides.c.text.label("guides"),
            drafts.c.answer.label("draft"),
        )
        .select_from(items)
        .outerjoin(guides, guides.c.id == newest_of_item())
        .outerjoin(drafts, begun)
        .where(items.c.id == bindparam("of_item"))
    )  # fmt: skip


def _before() -> Select[Any]:
    items, batches, guides, drafts = (
        schema.items, schema.batches, schema.instructions, schema.drafts,
    )  # fmt: skip
    own = (drafts.c.item == items.c.id, drafts.c.rater == bindparam("of_rater"))
    stored = exists().where(schema.votes.c.submission == bindparam("nonce"))
    return (
        select(
            batches.c.spec, batches.c.status, items.c.round, guides.c.version,
            stored.label("stored"), exists().where(*own).correlate(items).label("begun"),
        )
        .select_from(items)
        .join(batches, batches.c.id == items.c.batch)
        .outerjoin(guides, guides.c.id == newest_of_item())
        .where(items.c.id == bindparam("of_item"))
    )  # fmt: skip


_SIGHT, _BEFORE = _sight(), _before()
_VOTE = insert(schema.votes)
_END_LEASE = delete(schema.leases).where(
    schema.leases.c.rater == bindparam("of_rater"),
    schema.leases.c.batch == bindparam("of_batch"),
    schema.leases.c.item == bindparam("of_item"),
)
_COUNT = (
    update(schema.items)
    .where(schema.items.c.id == bindparam("of_item"))
    .values(votes=schema.items.c.votes + bindparam("by"))
)
_OWN_MEMBERSHIP = (
    schema.memberships.c.rater == bindparam("of_rater"),
    schema.memberships.c.batch == bindparam("of_batch"),
)
_WORKED = (
    update(schema.memberships)
    .where(*_OWN_MEMBERSHIP)
    .values(
        began=case(
            (schema.memberships.c.seen > bindparam("rested"), schema.memberships.c.began),
            else_=bindparam("at"),
        ),
        seen=bindparam("at"),
        given=schema.memberships.c.given + bindparam("more"),
    )
)
