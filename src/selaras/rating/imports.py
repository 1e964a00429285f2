"""Votes that were given elsewhere, taken into a batch under their raters' names."""

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from selaras.core.errors import InputError
from selaras.rating import schema
from selaras.rating.assign import give_back
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import item_of
from selaras.rating.guides import current_version
from selaras.rating.people import invite
from selaras.rating.tasks import TASKS, Answer, check_answer


def import_votes(
    connection: Connection, spec: BatchSpec, votes: Mapping[str, Sequence[Mapping[str, Any]]]
) -> int:
    """Store votes by item key and return how many; a rater's second vote on an item is left out.

    Raises InputError for a value that the task does not know. Times, orders and versions that
    another tool did not write are not made up: 0 seconds stand for unknown.
    """
    table = schema.items
    rows = connection.execute(
        select(table).where(table.c.batch == spec.id, table.c.key.in_(list(votes)))
    ).all()
    names: dict[str, int] = {}
    stored = 0
    for row in rows:
        item = item_of(row)
        version = current_version(connection, item.content.policies)
        given: set[str] = set()
        for one in votes[item.key]:
            rater, value = str(one.get("rater", "")), str(one.get("value", ""))
            if rater in given:
                continue
            given.add(rater)
            try:
                answer = check_answer(
                    TASKS[spec.task], Answer(value=value, note=str(one.get("note") or "")[:4000])
                )
            except (InputError, ValueError) as error:
                raise InputError(f"item {item.key!r}, rater {rater[:40]!r}: {error}") from error
            if rater not in names:
                names[rater] = invite(connection, spec, rater[:100] or "unnamed").rater
            stored += _store(
                connection, spec, item.id, item.round, names[rater], answer, one, version
            )
    return stored


def _store(
    connection: Connection, spec: BatchSpec, item: int, round_: int, rater: int, answer: Answer,
    given: Mapping[str, Any], version: str,
) -> int:  # fmt: skip
    votes = schema.votes
    there = connection.execute(
        select(votes.c.id).where(votes.c.item == item, votes.c.rater == rater,
                                 votes.c.round == round_)
    ).scalar()  # fmt: skip
    if there is not None:
        return 0
    group = next((g for g in ("", *spec.quotas) if g in spec.needs), None)
    seconds = given.get("seconds")
    connection.execute(
        insert(votes).values(
            submission=secrets.token_hex(16), batch=spec.id, item=item, rater=rater, round=round_,
            purpose="work", grp=group, number=1, value=answer.value, flags={}, note=answer.note,
            edited=None, shown_order=str(given.get("order") or "ab")[:2], instructions=version,
            seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
            active_seconds=None, at=time.time(),
        )
    )  # fmt: skip
    give_back(connection, item, group, -1)
    items, members = schema.items, schema.memberships
    connection.execute(update(items).where(items.c.id == item).values(votes=items.c.votes + 1))
    connection.execute(
        update(members)
        .where(members.c.rater == rater, members.c.batch == spec.id)
        .values(given=members.c.given + 1)
    )
    return 1
