"""Preferences as pairs to train on or to measure by: which can be used, and why others cannot.

They are rows like any other: grouped, split and sealed with them, and opened by the same two doors.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from selaras.core.decisions import Removal
from selaras.core.records import Expected, Preference, Query

# The two directions that a product needs: to refuse what breaks a policy, to help where nothing is
# broken. Pairs of one direction alone teach to refuse, or to help, whatever is asked.
SAFE, HELPFUL = "safe over unsafe", "helpful over refusing"


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs that say something, and the preferences left out, each with its reason."""

    kept: tuple[Preference, ...] = field(repr=False)
    left_out: tuple[Removal, ...] = ()

    @property
    def labels(self) -> dict[str, int]:
        """How many pairs of each combination of labels, better side first (`unlabelled`)."""
        return dict(sorted(Counter(map(labels_of, self.kept)).items()))


def usable_pairs(rows: Iterable[Query]) -> Pairs:
    """Return the preferences among the rows that differ by more than blanks, one side better.

    >>> row = Preference(id="p", query="q", response_a="No.", response_b="No. ", best="a")
    >>> usable_pairs([row]).left_out[0].reason
    'both sides are the same'
    """
    kept: list[Preference] = []
    out: list[Removal] = []
    for row in rows:
        if isinstance(row, Preference):
            reason = _useless(row)
            if reason:
                out.append(Removal(row.id, reason))
            else:
                kept.append(row)
    return Pairs(tuple(kept), tuple(out))


def labels_of(row: Preference) -> str:
    """Return the labels of a pair, better side first.

    >>> row = Preference(id="p", query="q", response_a="x", response_b="y", best="b",
    ...                  label_a="unsafe", label_b="safe")
    >>> labels_of(row)
    'safe/unsafe'
    """
    sides = (row.label_a, row.label_b) if row.best == "a" else (row.label_b, row.label_a)
    return "/".join(label for label in sides if label) if all(sides) else "unlabelled"


def direction(row: Preference) -> str | None:
    """Return which of the two directions a pair teaches, None where that is not said."""
    if row.expected is Expected.REFUSE:
        return SAFE
    return HELPFUL if row.expected in {Expected.ANSWER, Expected.SAFE_COMPLETION} else None


def _useless(row: Preference) -> str | None:
    if not (row.response_a.strip() and row.response_b.strip()):
        return "a response is empty"
    if row.response_a.split() == row.response_b.split():
        return "both sides are the same"
    return "neither side is better" if row.best == "tie" else None
