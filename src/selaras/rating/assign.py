"""Which item a rater sees next, and in which order its sides stand.

A rater looks at one item of a batch at a time and holds its place (a lease) for a while, so that
two raters do not both take the last one. The order of the sides follows from item and rater, never
from what a model was called; a second look at the same item shows them the other way round.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    BindParameter,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)

from selaras.core.check import checked
from selaras.core.fingerprint import seed_from
from selaras.rating import schema
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import Status
from selaras.rating.people import background_of

Purpose = Literal["work", "repeat", "gold", "qualification"]
LEASE_SECONDS = 30 * 60.0
# Among this many open items each rater begins with another one.
_WINDOW = 16
# An own item comes a second time only after this many others.
_REPEAT_AFTER = 10
# So many answers in a row tell a rater's pace.
_PACE = 5


@dataclass(frozen=True, slots=True)
class Assigned:
    """An item that a rater is looking at; `shown` is when it was first shown, in seconds."""

    item: int
    purpose: Purpose
    group: str | None
    shown: float


@dataclass(frozen=True, slots=True)
class Member:
    """A rater in a batch: what the next item and the page around it depend on.

    `held` is the item on show and `until` when its place is given back. `slowest` is the longest
    that one of the last five answers took, in seconds; None before there are five.
    """

    rater: int
    spec: BatchSpec
    batch_status: Status
    status: str
    given: int
    cursor: int
    code: str
    warned: bool
    began: float
    slowest: float | None
    held: Assigned | None
    until: float


def member_of(connection: Connection, rater: int, batch: str) -> Member | None:
    """Return a rater's membership in a batch, None where there is none."""
    row = connection.execute(_MEMBER, {"of_rater": rater, "of_batch": batch}).one_or_none()
    if row is None:
        return None
    held = None
    if row.item is not None:
        held = Assigned(row.item, row.purpose, row.grp, row.shown)
    return Member(
        rater, checked(BatchSpec, row.spec), row.batch_status, row.status, row.given, row.cursor,
        row.code, row.warned, row.began, row.slowest, held, row.until or 0.0,
    )  # fmt: skip


def shown_order(spec: BatchSpec, item: int, rater: int, purpose: Purpose) -> Literal["ab", "ba"]:
    """Return which side stands first: even odds over items and raters, reversed in a repeat.

    >>> spec = BatchSpec(id="b", title="B", task="preference")
    >>> shown_order(spec, 1, 1, "work") != shown_order(spec, 1, 1, "repeat")
    True
    """
    first = seed_from("order", spec.id, spec.seed, item, rater) % 2 == 0
    return "ab" if first != (purpose == "repeat") else "ba"


def next_item(connection: Connection, member: Member) -> Assigned | None:
    """Return the item that a rater looks at, choosing one where none is held; None at the end.

    Runs inside the writing transaction that read the member: a place is taken. Raises
    IntegrityError where the same rater was given an item in another tab since.
    """
    spec = member.spec
    if member.held is not None:
        _keep(connection, member)
        return member.held
    if member.status == "refused" or (spec.most is not None and member.given >= spec.most):
        return None
    if member.status == "qualifying":
        return _gold(connection, spec, member, "qualification")
    chance = seed_from("kind", spec.id, spec.seed, member.rater, member.given) / 2**32
    if chance < spec.gold and (found := _gold(connection, spec, member, "gold")):
        return found
    if spec.gold <= chance < spec.gold + spec.repeats and (
        found := _repeat(connection, spec, member)
    ):
        return found
    return _work(connection, spec, member)


def release_expired(connection: Connection) -> int:
    """Give back the places of items that nobody answered in time; returns how many."""
    leases = schema.leases
    old = connection.execute(
        delete(leases).where(leases.c.until < time.time()).returning(leases.c.item, leases.c.grp)
    ).all()
    for row in sorted(old, key=lambda lease: lease.item):
        give_back(connection, row.item, row.grp)
    return len(old)


def release(connection: Connection, rater: int, batch: str) -> None:
    """Give back the place of the item that a rater is looking at."""
    leases = schema.leases
    held = connection.execute(
        delete(leases)
        .where(leases.c.rater == rater, leases.c.batch == batch)
        .returning(leases.c.item, leases.c.grp)
    ).one_or_none()
    if held is not None:
        give_back(connection, held.item, held.grp)


def give_back(connection: Connection, item: int, group: str | None, places: int = 1) -> None:
    """Add places to an item's group (or, where `places` is negative, take them)."""
    needs = schema.needs
    if group is not None:
        connection.execute(
            update(needs)
            .where(needs.c.item == item, needs.c.grp == group)
            .values(remaining=needs.c.remaining + places)
        )


def hold(
    connection: Connection,
    rater: int,
    batch: str,
    item: int,
    purpose: Purpose,
    group: str | None,
) -> Assigned:
    """Write down that a rater looks at an item from now on."""
    begun = time.time()
    connection.execute(
        _LEASE,
        {"rater": rater, "batch": batch, "item": item, "grp": group, "purpose": purpose,
         "shown": begun, "until": begun + LEASE_SECONDS},
    )  # fmt: skip
    return Assigned(item, purpose, group, begun)


def _keep(connection: Connection, member: Member) -> None:
    """Prolong the lease of an item that is looked at again."""
    leases, at = schema.leases, time.time()
    if member.until - at < LEASE_SECONDS / 2:
        connection.execute(
            update(leases)
            .where(leases.c.rater == member.rater, leases.c.batch == member.spec.id)
            .values(until=at + LEASE_SECONDS)
        )


def _gold(
    connection: Connection, spec: BatchSpec, member: Member, purpose: Purpose
) -> Assigned | None:
    items, votes = schema.items, schema.votes
    seen = exists().where(votes.c.item == items.c.id, votes.c.rater == member.rater,
                          votes.c.round == items.c.round)  # fmt: skip
    rows = connection.execute(
        select(items.c.id).where(items.c.batch == spec.id, items.c.golden, ~seen)
    ).all()
    if not rows:
        return None
    item = min((row.id for row in rows), key=lambda i: seed_from("gold", i, member.rater))
    return hold(connection, member.rater, spec.id, item, purpose, None)


def _repeat(connection: Connection, spec: BatchSpec, member: Member) -> Assigned | None:
    votes, items, again = schema.votes, schema.items, schema.votes.alias()
    known = exists().where(
        again.c.item == votes.c.item, again.c.rater == member.rater, again.c.purpose == "repeat"
    )
    rows = connection.execute(
        select(votes.c.item)
        .join(items, and_(items.c.id == votes.c.item, items.c.round == votes.c.round))
        .where(
            votes.c.rater == member.rater, votes.c.batch == spec.id, votes.c.purpose == "work",
            votes.c.value.not_in(("skipped", "withdrawn")), ~known,
        )
        .order_by(votes.c.id.desc())
        .limit(60)
        .offset(_REPEAT_AFTER)
    ).all()  # fmt: skip
    if not rows:
        return None
    item = min((row.item for row in rows), key=lambda i: seed_from("repeat", i, member.rater))
    return hold(connection, member.rater, spec.id, item, "repeat", None)


def _work(connection: Connection, spec: BatchSpec, member: Member) -> Assigned | None:
    for cursor in dict.fromkeys((member.cursor, 0)):
        frontiers: list[int] = []
        for group in _groups(connection, spec, member.rater):
            rows = _open_items(connection, spec.id, group, member.rater, cursor)
            frontiers += [row.position for row in rows[:1]]
            rows.sort(key=lambda row: seed_from("next", row.item, member.rater))
            for row in rows:
                if _take(connection, row.item, group):
                    _move_cursor(connection, spec.id, member, min(frontiers))
                    return hold(connection, member.rater, spec.id, row.item, "work", group)
    return None


def _groups(connection: Connection, spec: BatchSpec, rater: int) -> list[str]:
    """Return the groups whose places a rater may take, the own one first."""
    own = background_of(connection, rater).get(spec.group_by) if spec.group_by else None
    return [group for group in (own, "") if group is not None and group in spec.needs]


def _open_items(
    connection: Connection, batch: str, group: str, rater: int, cursor: int
) -> list[Any]:
    asked = {"of_batch": batch, "of_group": group, "of_rater": rater, "cursor": cursor}
    return list(connection.execute(_OPEN, asked))


def _take(connection: Connection, item: int, group: str) -> bool:
    return bool(connection.execute(_TAKE, {"of_item": item, "of_group": group}).rowcount)


def _move_cursor(connection: Connection, batch: str, member: Member, position: int) -> None:
    """Write down where the search begins; a few items behind is near enough, ahead is not."""
    table = schema.memberships
    if not 0 <= position - member.cursor < _WINDOW:
        connection.execute(
            update(table)
            .where(table.c.rater == member.rater, table.c.batch == batch)
            .values(cursor=position)
        )


# Statements of every page. They are made once: putting an expression together costs the server
# about as much as what the database is asked for.


def _member() -> Select[Any]:
    member, batches, leases = schema.memberships, schema.batches, schema.leases
    rater: BindParameter[int] = bindparam("of_rater")
    batch: BindParameter[str] = bindparam("of_batch")
    votes = schema.votes
    last = (
        select(votes.c.seconds)
        .where(votes.c.rater == rater, votes.c.batch == batch, votes.c.value != "withdrawn")
        .order_by(votes.c.id.desc())
        .limit(_PACE)
        .subquery()
    )
    pace = select(case((func.count() == _PACE, func.max(last.c.seconds)))).select_from(last)
    return (
        select(
            member.c.status, member.c.given, member.c.cursor, member.c.code, member.c.warned,
            member.c.began, batches.c.spec, batches.c.status.label("batch_status"),
            leases.c.item, leases.c.grp, leases.c.purpose, leases.c.shown, leases.c.until,
            pace.scalar_subquery().label("slowest"),
        )
        .select_from(member)
        .join(batches, batches.c.id == member.c.batch)
        .outerjoin(
            leases, and_(leases.c.rater == member.c.rater, leases.c.batch == member.c.batch)
        )
        .where(member.c.rater == rater, member.c.batch == batch)
    )  # fmt: skip


def _open() -> Select[Any]:
    needs, votes = schema.needs, schema.votes
    # A vote that was taken back counts one down: the item may come again.
    standing = (
        select(func.sum(case((votes.c.value == "withdrawn", -1), else_=1)))
        .where(
            votes.c.item == needs.c.item, votes.c.rater == bindparam("of_rater"),
            votes.c.round == needs.c.round, votes.c.purpose == "work",
        )
        .scalar_subquery()
    )  # fmt: skip
    return (
        select(needs.c.item, needs.c.position)
        .where(
            needs.c.batch == bindparam("of_batch"), needs.c.grp == bindparam("of_group"),
            # Not a parameter, so that every plan may use the index of open places.
            needs.c.remaining > literal_column("0"), needs.c.position >= bindparam("cursor"),
            func.coalesce(standing, 0) <= 0,
        )
        .order_by(needs.c.position)
        .limit(_WINDOW)
    )  # fmt: skip


_MEMBER, _OPEN = _member(), _open()
_TAKE = (
    update(schema.needs)
    .where(
        schema.needs.c.item == bindparam("of_item"),
        schema.needs.c.grp == bindparam("of_group"),
        schema.needs.c.remaining > 0,
    )
    .values(remaining=schema.needs.c.remaining - 1)
)
_LEASE = insert(schema.leases)
