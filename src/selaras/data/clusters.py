"""From pairs of alike rows to clusters: one row is kept, the others are alike to *it*.

Duplicates are stars, not chains: a row is only taken out for a row that stays and that it is
itself alike to, so that a template filled a hundred times does not collapse along a chain. Groups
that must stay on one side of a split are the opposite: there every chain counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Star:
    """A row that is kept and those that are alike to it, each with its likeness."""

    kept: int
    others: tuple[tuple[int, float], ...]


def stars(pairs: Iterable[tuple[int, int, float]], rank: Sequence[int]) -> list[Star]:
    """Return the clusters of alike rows; of two alike rows the one of lower rank is kept.

    In the order of ranks, each row is taken out where a row that was kept is alike to it (by the
    highest likeness), and kept otherwise. `rank` has a different number for each row.

    >>> stars([(0, 1, 0.9), (1, 2, 0.8)], rank=[0, 1, 2])
    [Star(kept=0, others=((1, 0.9),))]
    """
    earlier: dict[int, list[tuple[int, float]]] = {}
    for one, other, score in pairs:
        first, second = sorted((one, other), key=lambda row: rank[row])
        earlier.setdefault(second, []).append((first, score))
    out: dict[int, list[tuple[int, float]]] = {}
    gone: set[int] = set()
    for row in sorted(earlier, key=lambda row: rank[row]):
        staying = [(score, -rank[to], to) for to, score in earlier[row] if to not in gone]
        if staying:
            score, _, kept = max(staying)
            out.setdefault(kept, []).append((row, score))
            gone.add(row)
    return [Star(kept, tuple(out[kept])) for kept in sorted(out, key=lambda row: rank[row])]


def chains(size: int, links: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the groups of rows that links connect, each sorted, ordered by their first row.

    >>> chains(4, [(0, 2), (2, 3)])
    [(0, 2, 3), (1,)]
    """
    parent = list(range(size))

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for a, b in links:
        parent[max(find(a), find(b))] = min(find(a), find(b))
    groups: dict[int, list[int]] = {}
    for row in range(size):
        groups.setdefault(find(row), []).append(row)
    return [tuple(group) for group in groups.values()]
