"""Choosing few-shot examples out of development rows: by policy, likeness, diversity.

The chooser takes a `Development`, which only `open_development` makes: it cannot reach a sealed
row. Methods are named in `selaras.prompt.SELECTORS`; each orders rows, the first ones are shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.late import resolve
from selaras.core.records import Example, Kind, Preference, Query
from selaras.data import Development

# What a pair of examples teaches together: where to refuse, and what only sounds like it.
_PAIRED = (Kind.MALICIOUS, Kind.LOOK_ALIKE)
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pool:
    """The rows that may be shown, in an order that a seed decides; `target` is what they are for.

    `vectors` (rows, dimensions) and `target` (dimensions,) are unit vectors, empty where the method
    needs none.
    """

    rows: tuple[Query, ...] = field(repr=False)
    vectors: Vectors = field(repr=False)
    target: Vectors = field(repr=False)


def may_be_shown(row: Query) -> bool:
    """Return whether a row holds a response to learn from (a safe one, where that is known)."""
    if isinstance(row, Preference):
        return row.best != "tie"
    return (
        isinstance(row, Example) and bool(row.response.strip()) and row.response_label != "unsafe"
    )


def choose_examples(
    development: Development,
    count: int,
    *,
    by: str = "policy",
    policies: Collection[str] = (),
    vectors: Vectors | None = None,
    target: Vectors | None = None,
    seed: int = 0,
) -> list[Query]:
    """Return up to `count` development rows to show, no two of one split group unless twins.

    `vectors` are the rows' embeddings in the development's order, and `target` that of what the
    examples are for; the methods by likeness and diversity need them. Raises InputError where no
    row has a response, or the method is unknown.
    """
    from selaras.prompt import SELECTORS

    if by not in SELECTORS:
        raise InputError(f"no selector {by!r}", fix=f"use one of: {', '.join(SELECTORS)}")
    numbers = [
        i for i, row in enumerate(development.rows)
        if may_be_shown(row)
        and (not policies or not row.policies or set(policies) & {*row.policies})
    ]  # fmt: skip
    if not numbers:
        raise InputError("no development row has a response to show", fix="add rows with responses")
    numbers.sort(key=lambda i: fingerprint([seed, development.rows[i].id]))
    empty = np.zeros((0, 0), np.float32)
    pool = Pool(
        tuple(development.rows[i] for i in numbers),
        vectors[numbers] if vectors is not None else empty,
        target if target is not None else np.zeros(0, np.float32),
    )
    ordered: Sequence[Query] = resolve(SELECTORS[by])(pool)
    return _apart(ordered, development.groups)[:count]


def by_policy(pool: Pool) -> list[Query]:
    """Order rows so that each policy comes in turn, a row to refuse beside one that looks alike."""
    cells: dict[str, list[Query]] = {}
    for row in pool.rows:
        for policy in row.policies[:1] or ("-",):
            cells.setdefault(policy, []).append(row)
    for rows in cells.values():
        rows[:] = _kinds_in_turn(rows)
    return _in_turn([cells[name] for name in sorted(cells)])


def by_similarity(pool: Pool) -> list[Query]:
    """Order rows by their cosine with the target.

    Raises InputError without vectors and a target.
    """
    _needs(pool, target=True)
    order = np.argsort(-(pool.vectors @ pool.target), kind="stable")
    return [pool.rows[i] for i in order]


def by_diversity(pool: Pool) -> list[Query]:
    """Order rows so that each is the farthest from those before it (greedy k-centre).

    Source: Gonzalez 1985; used for few-shot choice by Su et al. 2022 (arXiv:2209.01975).
    """
    _needs(pool, target=False)
    chosen = [0]
    nearest = pool.vectors @ pool.vectors[0]
    while len(chosen) < len(pool.rows):
        nearest[chosen] = np.inf
        chosen.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, pool.vectors @ pool.vectors[chosen[-1]])
    return [pool.rows[i] for i in chosen]


def _needs(pool: Pool, target: bool) -> None:
    if len(pool.vectors) != len(pool.rows) or (target and not pool.target.size):
        raise InputError("this selector needs embeddings", fix="use the selector policy")


def _kinds_in_turn(rows: Sequence[Query]) -> list[Query]:
    kinds = [*_PAIRED, *(kind for kind in Kind if kind not in _PAIRED)]
    return _in_turn([[row for row in rows if row.kind == kind] for kind in kinds])


def _in_turn(lists: Sequence[Sequence[Query]]) -> list[Query]:
    longest = max(map(len, lists), default=0)
    return [rows[i] for i in range(longest) for rows in lists if i < len(rows)]


def _apart(rows: Sequence[Query], groups: dict[str, str]) -> list[Query]:
    kept: list[Query] = []
    seen: dict[str, set[Kind]] = {}
    for row in rows:
        kinds = seen.setdefault(groups.get(row.id, row.id), set())
        if not kinds or row.kind not in kinds:
            kept.append(row)
            kinds.add(row.kind)
    return kept
