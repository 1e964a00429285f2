"""The rows that a classifier is fitted on, side by side: what they say and whether it is against a
policy.

Queries: malicious rows against all that are to be answered in some way. Responses: those labelled
unsafe against those labelled safe; and of preferences the chosen ones, which are safe, and the
rejected answers to malicious queries, which are not, unless they refuse. A rejected answer to any
other query may be a refusal too many or a dull one, so it is neither.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from selaras.core.errors import InputError
from selaras.core.records import Conversation, Example, Kind, Preference, Query
from selaras.data import Development
from selaras.judge.refusal import refusal_rules
from selaras.safeguard.guard import given
from selaras.safeguard.learn import Labelled
from selaras.safeguard.outcome import Material, Side

FEWEST = 20  # rows of each label that a head needs
Render = Callable[[Query], Conversation]


class TooFewRowsError(InputError):
    """Raised where no side has enough rows of both labels to fit on."""


@dataclass(frozen=True, slots=True)
class FitSide:
    """The texts of one side with their rows and labels; a row may give more than one."""

    rows: tuple[Query, ...]
    materials: tuple[Material, ...]
    labelled: Labelled

    @property
    def bad(self) -> int:
        """How many are against a policy."""
        return int(self.labelled.positive.sum())

    @property
    def enough(self) -> bool:
        """Whether there are enough of both labels."""
        return FEWEST <= self.bad <= len(self.rows) - FEWEST

    def without(self, numbers: frozenset[int]) -> "FitSide":
        """Return the side without the texts of these numbers."""
        keep = [i for i in range(len(self.rows)) if i not in numbers]
        return FitSide(
            tuple(self.rows[i] for i in keep),
            tuple(self.materials[i] for i in keep),
            Labelled(
                self.labelled.positive[keep],
                tuple(self.labelled.policies[i] for i in keep),
                tuple(self.labelled.groups[i] for i in keep),
            ),
        )


def sides_of(development: Development, render: Render) -> dict[Side, FitSide]:
    """Return the texts of both sides, however few they are."""
    rows = development.rows
    asked = [
        (row, Material("query", given(talk), talk), row.kind is Kind.MALICIOUS)
        for row in rows
        for talk in [render(row)]
    ]
    answered = [
        (row, Material("response", text, talk), bad)
        for row, (_, asking, _) in zip(rows, asked, strict=True)
        for talk in [asking.conversation]
        for text, bad in responses_of(row)
    ]
    return {"query": _side(development, asked), "response": _side(development, answered)}


def responses_of(row: Query) -> list[tuple[str, bool]]:
    """Return the responses of a row that are known to be safe or not, with whether they are not."""
    if isinstance(row, Example):
        known = row.response_label and row.response.strip()
        return [(row.response, row.response_label == "unsafe")] if known else []
    if not isinstance(row, Preference) or row.best == "tie":
        return []
    both = (row.response_a, row.response_b)
    chosen, rejected = both if row.best == "a" else both[::-1]
    found = [(chosen, False)]
    if row.kind is Kind.MALICIOUS and refusal_rules.judge(row.query, rejected).value == "none":
        found.append((rejected, True))
    return found


def told(sides: dict[Side, FitSide]) -> dict[str, str]:
    """Return why each side that cannot be fitted is not."""
    words = {"query": "malicious queries", "response": "unsafe responses"}
    return {
        side: f"{sides[side].bad} {words[side]} of {len(sides[side].rows)}; "
        f"{FEWEST} of these and {FEWEST} others are needed"
        for side in sides
        if not sides[side].enough
    }


def require_one(sides: dict[Side, FitSide]) -> None:
    """Raise TooFewRowsError where no side has enough rows."""
    if not any(each.enough for each in sides.values()):
        raise TooFewRowsError(
            "too few rows to fit on: there are " + "; there are ".join(told(sides).values()),
            fix="add malicious queries and their look-alikes (selaras data audit shows what lacks)",
        )


def _side(development: Development, texts: Sequence[tuple[Query, Material, bool]]) -> FitSide:
    labelled = Labelled(
        np.array([bad for _, _, bad in texts], dtype=bool),
        tuple(row.policies for row, _, _ in texts),
        tuple(development.groups[row.id] for row, _, _ in texts),
    )
    return FitSide(tuple(row for row, _, _ in texts), tuple(one for _, one, _ in texts), labelled)
