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
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

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
from selaras.rating.batches import Item, read_batch, read_item
from selaras.rating.guides import current_version
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


def ticket_for(
    connection: Connection, spec: BatchSpec, rater: int, seen: Assigned, item: Item, version: str
) -> Ticket:
    """Return the ticket of an item that a rater is about to be shown under instructions."""
    return Ticket(
        rater, spec.id, item.id, item.round, seen.purpose, seen.group,
        _number(connection, item.id, rater, item.round, seen.purpose),
        shown_order(spec, item.id, rater, seen.purpose),
        version, seen.shown, secrets.token_hex(16),
    )  # fmt: skip


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
            if _is_stored(connection, ticket):
                return "again"
            spec, status = read_batch(connection, ticket.batch)
            if status != "open":
                return "closed"
            item = read_item(connection, ticket.item)
            if item.round != ticket.round or ticket.version != current_version(
                connection, item.content.policies
            ):
                return "stale"
            whole = check_answer(TASKS[spec.task], answer) if answer else None
            _append(connection, ticket, whole, active_seconds)
            _account(connection, ticket, counted=whole is not None)
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
    connection.execute(
        insert(schema.votes).values(
            submission=ticket.nonce, batch=ticket.batch, item=ticket.item, rater=ticket.rater,
            round=ticket.round, purpose=ticket.purpose, grp=ticket.group, number=ticket.number,
            value=answer.value if answer else SKIPPED, flags=dict(answer.flags) if answer else {},
            note=answer.note if answer else "", edited=answer.text if answer else None,
            shown_order=ticket.order, instructions=ticket.version,
            seconds=round(max(0.0, at - ticket.shown), 3), active_seconds=active, at=at,
        )
    )  # fmt: skip


def _account(connection: Connection, ticket: Ticket, *, counted: bool) -> None:
    """End the lease and settle the place: used by a vote, free again after a skip."""
    leases = schema.leases
    held = connection.execute(
        delete(leases).where(
            leases.c.rater == ticket.rater, leases.c.batch == ticket.batch,
            leases.c.item == ticket.item,
        )
    )  # fmt: skip
    if counted and not held.rowcount:
        # The lease ran out and its place is open again: this vote takes one.
        give_back(connection, ticket.item, ticket.group, -1)
    if not counted and held.rowcount:
        give_back(connection, ticket.item, ticket.group)
    if counted:
        _count(connection, ticket.item, ticket.purpose, 1)
    drop_draft(connection, ticket.rater, ticket.item)


def _note_work(connection: Connection, spec: BatchSpec, ticket: Ticket, *, given: int) -> None:
    """Write down the stretch of work with its votes, and the end of a qualification."""
    table = schema.memberships
    own = (table.c.rater == ticket.rater, table.c.batch == ticket.batch)
    at = time.time()
    began = case((table.c.seen > at - _PAUSE, table.c.began), else_=at)
    connection.execute(
        update(table).where(*own).values(began=began, seen=at, given=table.c.given + given)
    )
    if ticket.purpose == "qualification":
        right, done = _qualified(connection, ticket.rater, spec.id)
        if done >= spec.qualification:
            passed = right / done >= spec.pass_share
            status = "active" if passed else "refused"
            connection.execute(update(table).where(*own).values(status=status))


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


def _number(connection: Connection, item: int, rater: int, round_: int, purpose: str) -> int:
    table = schema.votes
    own = (table.c.item == item, table.c.rater == rater, table.c.round == round_)
    found = connection.execute(
        select(func.max(table.c.number)).where(*own, table.c.purpose == purpose)
    ).scalar()
    return (found or 0) + 1


def _count(connection: Connection, item: int, purpose: str, by: int) -> None:
    if purpose == "work":
        table = schema.items
        connection.execute(update(table).where(table.c.id == item).values(votes=table.c.votes + by))


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode()
