"""Votes that were given elsewhere, taken into a batch under their raters' names."""

import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from selaras.core.errors import InputError
from selaras.rating import schema
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import items_of
from selaras.rating.guides import current_version
from selaras.rating.people import join_batch, rater_named
from selaras.rating.tasks import TASKS, Answer, check_answer

Votes = Mapping[str, Sequence[Mapping[str, Any]]]
_CHUNK = 2_000


def import_votes(connection: Connection, spec: BatchSpec, votes: Votes) -> int:
    """Store votes by item key and return how many; a rater's second vote on an item is left out.

    Raises InputError for a value that the task does not know; nothing is then stored. Times, orders
    and versions that another tool did not write are not made up: 0 seconds stand for unknown.
    """
    table = schema.votes
    there = {
        (row.item, row.rater, row.round)
        for row in connection.execute(
            select(table.c.item, table.c.rater, table.c.round).where(table.c.batch == spec.id)
        )
    }
    names: dict[str, int] = {}
    made: list[dict[str, Any]] = []
    for row in _rows(connection, spec, votes):
        name = row.pop("name")
        if name not in names:
            # No link is made: one that the rater has would end.
            names[name], _ = rater_named(connection, name, spec.language)
            join_batch(connection, spec, names[name])
        key = (row["item"], names[name], row["round"])
        if key not in there:
            there.add(key)
            made.append({**row, "rater": names[name]})
    for start in range(0, len(made), _CHUNK):
        connection.execute(insert(table), made[start : start + _CHUNK])
    _count(connection, spec, made)
    return len(made)


def _rows(connection: Connection, spec: BatchSpec, votes: Votes) -> Iterator[dict[str, Any]]:
    """Yield what is stored of each vote, with the rater's name; raises InputError for a bad one."""
    group = next(iter({"": 0} if "" in spec.needs else spec.needs), None)
    versions: dict[tuple[str, ...], str] = {}
    at = time.time()
    for item in items_of(connection, spec.id):
        if item.key not in votes:
            continue
        policies = item.content.policies
        if policies not in versions:
            versions[policies] = current_version(connection, policies)
        for one in votes[item.key]:
            rater = str(one.get("rater") or "unnamed")[:100]
            try:
                note = str(one.get("note") or "")[:4000]
                answer = check_answer(
                    TASKS[spec.task], Answer(value=str(one.get("value", "")), note=note)
                )
            except (InputError, ValidationError) as error:
                raise InputError(f"item {item.key!r}, rater {rater!r}: {error}") from error
            seconds = one.get("seconds")
            yield {
                "name": rater, "submission": secrets.token_hex(16), "batch": spec.id,
                "item": item.id, "round": item.round, "purpose": "work", "grp": group, "number": 1,
                "value": answer.value, "flags": {}, "note": answer.note, "edited": None,
                "shown_order": "ba" if one.get("order") == "ba" else "ab",
                "instructions": versions[policies],
                "seconds": float(seconds) if isinstance(seconds, int | float) else 0.0,
                "active_seconds": None, "at": at,
            }  # fmt: skip


def _count(connection: Connection, spec: BatchSpec, made: Sequence[Mapping[str, Any]]) -> None:
    """Bring the counts that follow from votes up to date: items', places', raters'."""
    if not made:
        return
    items, needs, members = schema.items, schema.needs, schema.memberships
    by_item = [{"of": k, "by": n} for k, n in Counter(row["item"] for row in made).items()]
    by_rater = [{"of": k, "by": n} for k, n in Counter(row["rater"] for row in made).items()]
    of: BindParameter[int] = bindparam("of")
    by: BindParameter[int] = bindparam("by")
    connection.execute(
        update(items).where(items.c.id == of).values(votes=items.c.votes + by), by_item
    )
    connection.execute(
        update(needs)
        .where(needs.c.item == of, needs.c.grp == made[0]["grp"])
        .values(remaining=needs.c.remaining - by),
        by_item,
    )
    connection.execute(
        update(members)
        .where(members.c.rater == of, members.c.batch == spec.id)
        .values(given=members.c.given + by),
        by_rater,
    )
