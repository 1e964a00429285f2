"""Which item a rater sees next, and in which order its sides stand.

A rater looks at one item of a batch at a time and holds its place (a lease) for a while, so that
two raters do not both take the last one. The order of the sides follows from item and rater, never
from what a model was called; a second look at the same item shows them the other way round.
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, and_, case, delete, exists, func, insert, select, update

from selaras.core.fingerprint import seed_from
from selaras.rating import schema
from selaras.rating.batch import BatchSpec
from selaras.rating.people import background_of

Purpose = Literal["work", "repeat", "gold", "qualification"]
LEASE_SECONDS = 30 * 60.0
# Among this many open items each rater begins with another one.
_WINDOW = 16
# An own item comes a second time only after this many others.
_REPEAT_AFTER = 10


@dataclass(frozen=True, slots=True)
class Assigned:
    """An item that a rater is looking at; `shown` is when it was first shown, in seconds."""

    item: int
    purpose: Purpose
    group: str | None
    shown: float


@dataclass(frozen=True, slots=True)
class Member:
    """A rater in a batch: what the next item and the page around it depend on."""

    rater: int
    status: str
    given: int
    cursor: int
    code: str
    warned: bool
    began: float


def member_of(connection: Connection, rater: int, batch: str) -> Member | None:
    """Return a rater's membership in a batch, None where there is none."""
    table = schema.memberships
    row = connection.execute(
        select(table).where(table.c.rater == rater, table.c.batch == batch)
    ).one_or_none()
    if row is None:
        return None
    return Member(rater, row.status, row.given, row.cursor, row.code, row.warned, row.began)


def shown_order(spec: BatchSpec, item: int, rater: int, purpose: Purpose) -> Literal["ab", "ba"]:
    """Return which side stands first: even odds over items and raters, reversed in a repeat.

    >>> spec = BatchSpec(id="b", title="B", task="preference")
    >>> shown_order(spec, 1, 1, "work") != shown_order(spec, 1, 1, "repeat")
    True
    """
    first = seed_from("order", spec.id, spec.seed, item, rater) % 2 == 0
    return "ab" if first != (purpose == "repeat") else "ba"


def next_item(connection: Connection, spec: BatchSpec, member: Member) -> Assigned | None:
    """Return the item that a rater looks at, choosing one where none is held; None at the end.

    Runs inside a writing transaction: a place is taken.
    """
    held = _held(connection, spec, member.rater)
    if held is not None:
        return held
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
        insert(schema.leases).values(
            rater=rater, batch=batch, item=item, grp=group, purpose=purpose, shown=begun,
            until=begun + LEASE_SECONDS,
        )
    )  # fmt: skip
    return Assigned(item, purpose, group, begun)


def _held(connection: Connection, spec: BatchSpec, rater: int) -> Assigned | None:
    leases = schema.leases
    own = and_(leases.c.rater == rater, leases.c.batch == spec.id)
    row = connection.execute(select(leases).where(own)).one_or_none()
    if row is None:
        return None
    begun = time.time()
    if row.until - begun < LEASE_SECONDS / 2:
        connection.execute(update(leases).where(own).values(until=begun + LEASE_SECONDS))
    return Assigned(row.item, row.purpose, row.grp, row.shown)


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
    needs, votes = schema.needs, schema.votes
    # A vote that was taken back counts one down: the item may come again.
    standing = (
        select(func.sum(case((votes.c.value == "withdrawn", -1), else_=1)))
        .where(
            votes.c.item == needs.c.item, votes.c.rater == rater,
            votes.c.round == needs.c.round, votes.c.purpose == "work",
        )
        .scalar_subquery()
    )  # fmt: skip
    return list(
        connection.execute(
            select(needs.c.item, needs.c.position)
            .where(
                needs.c.batch == batch, needs.c.grp == group, needs.c.remaining > 0,
                needs.c.position >= cursor, func.coalesce(standing, 0) <= 0,
            )
            .order_by(needs.c.position)
            .limit(_WINDOW)
        )
    )  # fmt: skip


def _take(connection: Connection, item: int, group: str) -> bool:
    needs = schema.needs
    taken = connection.execute(
        update(needs)
        .where(needs.c.item == item, needs.c.grp == group, needs.c.remaining > 0)
        .values(remaining=needs.c.remaining - 1)
    )
    return bool(taken.rowcount)


def _move_cursor(connection: Connection, batch: str, member: Member, position: int) -> None:
    table = schema.memberships
    if position != member.cursor:
        connection.execute(
            update(table)
            .where(table.c.rater == member.rater, table.c.batch == batch)
            .values(cursor=position)
        )
