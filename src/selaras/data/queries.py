"""Query sets for on-policy RL: drawn from approved rows to a balance, without responses."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from selaras.core.errors import InputError
from selaras.core.fingerprint import seed_from
from selaras.core.records import Query
from selaras.data.coverage import ADVERSARIAL


def rl_queries(
    rows: Sequence[Query], number: int, adversarial: float, seed: int = 0
) -> list[Query]:
    """Return `number` queries of which the share `adversarial` is inadvertent or malicious.

    Each half is drawn evenly from its cells (first policy and kind), one row a split cluster as
    long as there are others; the same rows and seed give the same set. A query's parent is its row.
    Raises InputError where a half has too few rows, with the numbers that would do.

    >>> made = [Query(id=f"r{i}", query=f"q{i}", kind=k) for i in range(6)
    ...         for k in (["ordinary"] if i % 2 else ["malicious"])]
    >>> [row.kind.value for row in rl_queries(made, 2, 0.5)]
    ['malicious', 'ordinary']
    """
    wanted = {True: round(number * adversarial)}
    wanted[False] = number - wanted[True]
    drawn: list[Query] = []
    for side, n in wanted.items():
        pool = _without_repeats([row for row in rows if (row.kind in ADVERSARIAL) == side])
        if len(pool) < n:
            name = "adversarial" if side else "other"
            fix = f"ask for fewer, or another balance ({len(rows)} rows)"
            raise InputError(f"{len(pool)} {name} queries, {n} are asked for", fix=fix)
        drawn += _evenly(pool, n, seed)
    return [_query(row) for row in drawn]


def _without_repeats(rows: Sequence[Query]) -> list[Query]:
    return list({row.query_key: row for row in reversed(rows)}.values())[::-1]


def _evenly(rows: Sequence[Query], number: int, seed: int) -> list[Query]:
    """Return rows cell by cell in turn, shuffled within a cell."""
    cells: dict[tuple[str, str], list[Query]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.id):
        cells[row.policies[0] if row.policies else "-", row.kind.value].append(row)
    generator = np.random.default_rng(seed_from("rl-queries", seed))
    stacks = []
    for name in sorted(cells):
        order = [cells[name][int(i)] for i in generator.permutation(len(cells[name]))]
        # Rows of a cluster already met come last, so that a set of a few asks different things.
        first = {row.cluster or row.id: row for row in reversed(order)}
        early = [row for row in order if first[row.cluster or row.id] is row]
        stacks.append(early + [row for row in order if first[row.cluster or row.id] is not row])
    drawn: list[Query] = []
    while len(drawn) < number:
        for stack in stacks:
            if stack and len(drawn) < number:
                drawn.append(stack.pop(0))
    return drawn


def _query(row: Query) -> Query:
    value = {name: getattr(row, name) for name in Query.model_fields}
    return Query(**{**value, "id": f"rl-{row.id}"[:128], "parents": (row.id,)})
