"""Dividing rows into development and held-out by whole groups, in proportion everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selaras.core.fingerprint import seed_from
from selaras.core.records import Preference, Query

Group = tuple[int, ...]
# Pairs are measured apart from other rows, so that a fair share of them has to be sealed.
PAIRS = " pairs"


@dataclass(frozen=True, slots=True)
class Split:
    """Groups of row numbers on each side; together they are all groups."""

    development: tuple[Group, ...]
    held_out: tuple[Group, ...]


def stratum(row: Query) -> str:
    """Return the cell of a row: policy, use case, kind; pairs have cells of their own.

    >>> stratum(Query(id="a", query="q", policies=("hate",), use_case="answer"))
    'hate/answer/ordinary'
    """
    policy = row.policies[0] if row.policies else "-"
    kind = f"{row.kind}{PAIRS}" if isinstance(row, Preference) else row.kind
    return f"{policy}/{row.use_case or '-'}/{kind}"


def split_groups(rows: Sequence[Query], groups: Sequence[Group], share: float, seed: int) -> Split:
    """Return the split that seals about `share` of the rows of every cell, whole groups only.

    Groups of the same cells are shuffled by the seed; then the rounding error is carried from group
    to group, so that both the cells and the whole come out in proportion. The same rows, share and
    seed give the same split, whatever the order in which groups come.
    """
    generator = np.random.default_rng(seed_from("split", seed))
    signatures: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        cells = tuple(sorted({stratum(rows[i]) for i in group}))
        signatures.setdefault(cells, []).append(group)
    held: list[Group] = []
    kept: list[Group] = []
    debt = 0.0
    # Pairs come last, so that adding them to a project divides its other rows as before.
    for cells in sorted(signatures, key=lambda own: (own[0].endswith(PAIRS), own)):
        members = sorted(signatures[cells], key=lambda group: min(rows[i].id for i in group))
        for place in generator.permutation(len(members)):
            group = members[int(place)]
            debt += share * len(group)
            if debt >= len(group) / 2:
                held.append(group)
                debt -= len(group)
            else:
                kept.append(group)
    return Split(tuple(sorted(kept)), tuple(sorted(held)))
