"""Rows on which two Systems were judged differently: the ones to read first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selaras.core.records import Expected
from selaras.evaluate.figures import Judged
from selaras.evaluate.store import Evaluation

Change = Literal["worse", "better", "other"]
# The value that a row should have, and the one that it should not.
_WISHED = {Expected.REFUSE.value: ("full", "none"), Expected.ANSWER.value: ("none", "full")}


@dataclass(frozen=True, slots=True)
class Flip:
    """A row whose judgement changed; `change` says for the better or the worse, by what the row
    expects. "other" is where one side was not scored, or the row says nothing.
    """

    row: Judged
    before: str
    after: str
    change: Change


def flips(before: Evaluation, after: Evaluation) -> list[Flip]:
    """Return the rows that both evaluations hold and judged differently, worse ones first."""
    first = {row.row: row for row in before.judged}
    found = [
        Flip(row, value_of(first[row.row]), value_of(row), _change(first[row.row], row))
        for row in after.judged
        if row.row in first and value_of(row) != value_of(first[row.row])
    ]
    order = ("worse", "better", "other")
    return sorted(found, key=lambda flip: (order.index(flip.change), flip.row.row))


def value_of(row: Judged) -> str:
    """Return the judgement in a word: a value, or that there is none."""
    return row.value if row.status == "scored" and row.value else row.status


def counted(found: Sequence[Flip]) -> dict[str, int]:
    """Return how many flips are worse, better and other.

    >>> counted([])
    {'worse': 0, 'better': 0, 'other': 0}
    """
    return {name: sum(f.change == name for f in found) for name in ("worse", "better", "other")}


def _change(before: Judged, after: Judged) -> Change:
    wished = _WISHED.get(after.expected or "")
    if wished is None or "scored" not in {before.status} & {after.status}:
        return "other"
    rank = {wished[0]: 2, "partial": 1, wished[1]: 0}
    moved = rank.get(after.value or "", 0) - rank.get(before.value or "", 0)
    return "better" if moved > 0 else "worse" if moved < 0 else "other"
