"""Instructions in the store: which version holds for an item, and what a changed policy opens."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, ScalarSelect, func, insert, select, update

from selaras.core.decisions import now
from selaras.policy import Policy
from selaras.rating import schema
from selaras.rating.batches import read_batch
from selaras.rating.instructions import (
    Borderline,
    Instructions,
    instructions_for,
    read_instructions,
)


def refresh(connection: Connection, policies: Mapping[str, Policy]) -> dict[str, int]:
    """Write the instructions of all items anew and return how many items each batch opens again.

    Items open again where the revision of one of their policies was raised: they get a new round,
    in which all their places are free. The votes of earlier rounds stay, and count no more.
    """
    items = schema.items
    wanted = connection.execute(
        select(items.c.batch, items.c.policies).distinct().order_by(items.c.batch)
    ).all()
    cases = borderline_cases(connection)
    reopened: dict[str, int] = {}
    newest: dict[str, tuple[Instructions, Mapping[str, int] | None]] = {}
    for row in wanted:
        if row.policies not in newest:
            made = instructions_for(row.policies.split(), policies, cases)
            newest[row.policies] = (made, _write(connection, row.policies, made))
        made, before = newest[row.policies]
        if before is not None and before != made.revisions:
            count = _reopen(connection, row.batch, row.policies)
            reopened[row.batch] = reopened.get(row.batch, 0) + count
    return {batch: count for batch, count in reopened.items() if count}


def newest_of_item() -> ScalarSelect[Any]:
    """Return the subquery of the instructions that hold for an item, by their number."""
    own = schema.instructions.alias()
    newest = select(func.max(own.c.id)).where(own.c.policies == schema.items.c.policies)
    return newest.correlate(schema.items).scalar_subquery()


def guides_of(text: Mapping[str, Any] | None) -> Instructions:
    """Return the instructions of a row of the table, empty ones where there is none."""
    return Instructions(()) if text is None else read_instructions(text)


def current_version(connection: Connection, policies: Sequence[str]) -> str:
    """Return the version of the instructions that hold for items under these policies."""
    table = schema.instructions
    found = connection.execute(
        select(table.c.version)
        .where(table.c.policies == " ".join(policies))
        .order_by(table.c.id.desc())
        .limit(1)
    ).scalar()
    return str(found) if found is not None else Instructions(()).version


def borderline_cases(connection: Connection) -> list[Borderline]:
    """Return the cases that adjudication decided to be shown to raters, oldest first."""
    table = schema.adjudications
    rows = connection.execute(
        select(table.c.example, table.c.value, table.c.why).order_by(table.c.id)
    )
    return [
        Borderline(row.example["policy"], row.example["text"], row.example["side"], row.why)
        for row in rows
        if row.example
    ]


def _write(connection: Connection, key: str, made: Instructions) -> Mapping[str, int] | None:
    """Store a version if it is new; return the revisions before it, None where there were none."""
    table = schema.instructions
    last = connection.execute(
        select(table.c.version, table.c.revisions)
        .where(table.c.policies == key)
        .order_by(table.c.id.desc())
        .limit(1)
    ).one_or_none()
    if last is None or last.version != made.version:
        connection.execute(
            insert(table).values(
                policies=key, version=made.version, text=made.to_dict(),
                revisions=made.revisions, at=now(),
            )
        )  # fmt: skip
    return None if last is None else dict(last.revisions)


def _reopen(connection: Connection, batch: str, key: str) -> int:
    items, needs = schema.items, schema.needs
    spec, _ = read_batch(connection, batch)
    own = (items.c.batch == batch, items.c.policies == key)
    connection.execute(update(items).where(*own).values(round=items.c.round + 1, votes=0))
    ids = select(items.c.id).where(*own).scalar_subquery()
    for group, count in spec.needs.items():
        connection.execute(
            update(needs)
            .where(needs.c.item.in_(ids), needs.c.grp == group)
            .values(remaining=count, round=needs.c.round + 1)
        )
    # Whoever is looking at one of them right now holds a lease of the old round: it ends.
    leases = schema.leases
    connection.execute(leases.delete().where(leases.c.item.in_(ids)))
    connection.execute(
        update(schema.memberships).where(schema.memberships.c.batch == batch).values(cursor=0)
    )
    return int(connection.execute(select(func.count()).select_from(items).where(*own)).scalar_one())
