"""Batches in the store: made from contents, opened, closed, and how far each has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sqlalchemy import Connection, func, insert, select, update

from selaras.core.check import checked
from selaras.core.decisions import now
from selaras.core.errors import InputError
from selaras.core.fingerprint import seed_from
from selaras.rating import schema
from selaras.rating.batch import BatchSpec
from selaras.rating.tasks import TASKS, Content, check_content

Status = Literal["draft", "open", "closed"]
_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to be rated; `key` is its own in the batch. `gold` are the answers known to be right.

    A gold item measures raters and is no work of the batch.
    """

    key: str
    content: Content
    gold: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it stands in the store."""

    id: int
    batch: str
    key: str
    content: Content
    round: int
    gold: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RaterProgress:
    """What one rater has given to a batch. `seconds` is the sum over votes, in seconds."""

    pseudonym: str
    external: str | None
    status: str
    given: int
    seconds: float
    code: str
    joined: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is: votes that count, votes wanted, items that have all theirs."""

    batch: BatchSpec
    status: str
    items: int
    gold: int
    wanted: int
    given: int
    complete: int
    raters: tuple[RaterProgress, ...]


def create_batch(connection: Connection, spec: BatchSpec, made: Sequence[NewItem]) -> None:
    """Store a batch and its items, in an order shuffled by the batch's seed; nobody sees it yet.

    Raises InputError for a batch or an item that is there already, an item that does not show what
    the task asks about, and gold answers that the task does not know.
    """
    if connection.execute(
        select(schema.batches.c.id).where(schema.batches.c.id == spec.id)
    ).scalar():
        raise InputError(f"there is a batch {spec.id!r} already", fix="give it another name")
    _check(spec, made)
    connection.execute(
        insert(schema.batches).values(
            id=spec.id, spec=spec.model_dump(mode="json"), status="draft", created=now()
        )
    )
    order = np.random.default_rng(seed_from("batch", spec.id, spec.seed)).permutation(len(made))
    for start in range(0, len(made), _CHUNK):
        chunk = [(int(place), made[place]) for place in order[start : start + _CHUNK]]
        connection.execute(
            insert(schema.items),
            [
                {
                    "batch": spec.id, "key": item.key, "position": start + offset, "round": 1,
                    "votes": 0, "policies": " ".join(item.content.policies),
                    "content": item.content.model_dump(mode="json", exclude_defaults=True),
                    "golden": bool(item.gold),
                    "gold": {"accepted": list(item.gold), "why": item.why} if item.gold else None,
                }
                for offset, (_, item) in enumerate(chunk)
            ],
        )  # fmt: skip
    work = connection.execute(
        select(schema.items.c.id, schema.items.c.position, schema.items.c.key)
        .where(schema.items.c.batch == spec.id)
    ).all()  # fmt: skip
    golden = {item.key for item in made if item.gold}
    places = [
        {"item": row.id, "grp": group, "batch": spec.id, "position": row.position, "round": 1,
         "remaining": count}
        for row in work if row.key not in golden
        for group, count in spec.needs.items()
    ]  # fmt: skip
    for start in range(0, len(places), _CHUNK):
        connection.execute(insert(schema.needs), places[start : start + _CHUNK])


def set_status(connection: Connection, batch: str, status: Status) -> None:
    """Open or close a batch; raises InputError for an unknown one."""
    changed = connection.execute(
        update(schema.batches).where(schema.batches.c.id == batch).values(status=status)
    )
    if not changed.rowcount:
        raise _unknown(connection, batch)


def read_batch(connection: Connection, batch: str) -> tuple[BatchSpec, Status]:
    """Return a batch and its status; raises InputError with the names there are."""
    found = connection.execute(
        select(schema.batches.c.spec, schema.batches.c.status).where(schema.batches.c.id == batch)
    ).one_or_none()
    if found is None:
        raise _unknown(connection, batch)
    return checked(BatchSpec, found.spec), found.status


def batch_of_crowd(connection: Connection, token_hash: str) -> str | None:
    """Return the batch whose own link a token belongs to."""
    table = schema.batches
    return connection.execute(select(table.c.id).where(table.c.crowd_hash == token_hash)).scalar()


def list_batches(connection: Connection) -> list[tuple[BatchSpec, Status]]:
    """Return all batches, oldest first."""
    table = schema.batches
    rows = connection.execute(
        select(table.c.spec, table.c.status).order_by(table.c.created, table.c.id)
    )
    return [(checked(BatchSpec, row.spec), row.status) for row in rows]


def read_item(connection: Connection, item: int) -> Item:
    """Return an item of the store; raises InputError where there is none."""
    row = connection.execute(select(schema.items).where(schema.items.c.id == item)).one_or_none()
    if row is None:
        raise InputError("no such item")
    return item_of(row)


def items_of(connection: Connection, batch: str) -> list[Item]:
    """Return all items of a batch in their order."""
    table = schema.items
    rows = connection.execute(
        select(table).where(table.c.batch == batch).order_by(table.c.position)
    )
    return [item_of(row) for row in rows]


def item_of(row: Any) -> Item:
    """Return a row of the table as an item. It was checked when it was stored."""
    return Item(row.id, row.batch, row.key, checked(Content, row.content), row.round, row.gold)


def progress_of(connection: Connection, batch: str) -> Progress:
    """Return how far a batch is, and what each of its raters has given."""
    spec, status = read_batch(connection, batch)
    items, votes = schema.items, schema.votes
    own = items.c.batch == batch
    rows = connection.execute(select(items.c.gold, items.c.votes).where(own)).all()
    work = [row.votes for row in rows if row.gold is None]
    spent = connection.execute(
        select(votes.c.rater, func.sum(votes.c.seconds))
        .where(votes.c.batch == batch)
        .group_by(votes.c.rater)
    )
    seconds = {row[0]: row[1] for row in spent}
    member, rater = schema.memberships, schema.raters
    people = connection.execute(
        select(member, rater.c.pseudonym, rater.c.external)
        .join(rater, rater.c.id == member.c.rater)
        .where(member.c.batch == batch)
        .order_by(rater.c.id)
    )
    return Progress(
        batch=spec, status=status, items=len(work), gold=len(rows) - len(work),
        wanted=len(work) * spec.overlap, given=sum(min(v, spec.overlap) for v in work),
        complete=sum(v >= spec.overlap for v in work),
        raters=tuple(
            RaterProgress(p.pseudonym, p.external, p.status, p.given,
                          round(float(seconds.get(p.rater) or 0), 1), p.code, p.joined)
            for p in people
        ),
    )  # fmt: skip


def measured_seconds(connection: Connection, task: str, most: int = 5_000) -> list[float]:
    """Return the seconds of the newest votes on batches of a task, for a forecast."""
    same = [spec.id for spec, _ in list_batches(connection) if spec.task == task]
    votes = schema.votes
    rows = connection.execute(
        select(votes.c.seconds)
        .where(
            votes.c.batch.in_(same),
            votes.c.value.not_in(("skipped", "withdrawn")),
            votes.c.seconds > 0,
        )
        .order_by(votes.c.id.desc())
        .limit(most)
    )
    return [row.seconds for row in rows]


def _check(spec: BatchSpec, made: Sequence[NewItem]) -> None:
    task = TASKS[spec.task]
    seen: set[str] = set()
    for item in made:
        if item.key in seen:
            raise InputError(f"two items have the key {item.key!r}", fix="give each its own id")
        seen.add(item.key)
        check_content(task, item.content)
        if strange := sorted(set(item.gold) - {choice.value for choice in task.choices}):
            raise InputError(
                f"item {item.key!r}: {strange[0]!r} is no answer to a {spec.task} task",
                field="gold", fix=f"use one of: {', '.join(task.values)}",
            )  # fmt: skip
    golden = sum(bool(item.gold) for item in made)
    if golden == len(made):
        raise InputError("there is nothing to rate", fix="give rows that are not gold")
    if spec.qualification > golden:
        raise InputError(
            f"the qualification asks {spec.qualification} gold items and there are {golden}",
            field="qualification", fix="give more gold items, or lower it",
        )  # fmt: skip


def _unknown(connection: Connection, batch: str) -> InputError:
    known = ", ".join(spec.id for spec, _ in list_batches(connection)) or "(none yet)"
    return InputError(f"no batch {batch!r}", fix=f"use one of: {known}")
