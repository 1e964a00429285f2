"""What is to be written: one brief a query, for a cell, with its place on every axis of diversity.

The values of an axis are dealt out like cards, shuffled once for each axis, so that a hundred
briefs meet each value of each axis about equally often and the same two values rarely together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from selaras.core.fingerprint import fingerprint, seed_from
from selaras.data.coverage import Cell

Axes = Mapping[str, Sequence[str]]
AXES: Axes = {
    "length": ("at most eight words", "one sentence", "two or three sentences",
               "a paragraph of five sentences or more"),
    "form": ("a question", "a command", "a statement of what is wanted", "a request for a list",
             "a request for a story, a letter or a script"),
    "tone": ("neutral", "polite", "impatient", "worried", "playful", "formal"),
    "persona": ("a student", "a parent", "a tradesperson", "a nurse", "a journalist",
                "a shop owner", "a retired person", "somebody new to the subject"),
    "complexity": ("one plain wish", "one wish with one condition",
                   "several steps or conditions"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Brief:
    """One query to be written."""

    cell: Cell
    number: int
    axes: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """Identity of the brief, for journals and row ids."""
        return fingerprint([str(self.cell), self.number, list(map(list, self.axes))], 12)

    @property
    def text(self) -> str:
        """The axes in words.

        >>> Brief(Cell("hate", "answer", "malicious"), 0, (("tone", "polite"),)).text
        'tone: polite'
        """
        return "; ".join(f"{name}: {value}" for name, value in self.axes)


def briefs(cell: Cell, number: int, axes: Axes = AXES, seed: int = 0) -> Iterator[Brief]:
    """Yield `number` briefs for a cell; the same cell and seed give the same ones, in order.

    >>> made = list(briefs(Cell("hate", "answer", "malicious"), 8))
    >>> len({brief.axes for brief in made})
    8
    """
    dealt = {name: _dealt(values, number, (seed, str(cell), name)) for name, values in axes.items()}
    for i in range(number):
        yield Brief(cell, i, tuple((name, values[i]) for name, values in dealt.items()))


def _dealt(values: Sequence[str], number: int, stream: tuple[object, ...]) -> list[str]:
    generator = np.random.default_rng(seed_from("axes", *stream))
    dealt: list[str] = []
    while len(dealt) < number:
        dealt += [values[int(i)] for i in generator.permutation(len(values))]
    return dealt
