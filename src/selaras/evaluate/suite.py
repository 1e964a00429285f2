"""What a System is measured on: rows with their clusters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from selaras.core.fingerprint import fingerprint
from selaras.core.project import Project
from selaras.core.records import Preference, Query
from selaras.data import DEVELOPMENT_FIGURES, Development
from selaras.data.opener import open_held_out, reveal
from selaras.data.seal import Seal
from selaras.evaluate.checks import Part

HELD_OUT_FIGURES = "held-out figures"
# How the note ends that says that a suite's rows may have been developed on.
OWN_ROWS = "rows are among the project's own rows"


@dataclass(frozen=True, slots=True)
class Suite:
    """Rows to answer. `clusters` names each row's cluster; `seal` is set where they are sealed.

    `seeds` is added to the sampling's seed for each row (none: 0 for all), so that repeats differ;
    `notes` is what a reader has to know of the rows; `name` is what selaras.yaml calls them, empty
    for the sealed rows and the development rows themselves. `unwritten` has a row once for each of
    its other wordings that no model was asked for yet.

    The text of sealed rows stays out of every repr, log and journal.
    """

    rows: tuple[Query, ...] = field(repr=False)
    clusters: tuple[str, ...] = field(repr=False)
    stamp: str
    seal: Seal | None = field(default=None, repr=False)
    seeds: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""
    unwritten: tuple[Query, ...] = field(default=(), repr=False)

    @property
    def planned(self) -> tuple[Query, ...]:
        """The rows, and for each wording that is still to be written its row in its stead."""
        return self.rows + self.unwritten * (1 + max(self.seeds, default=0))

    @property
    def checks(self) -> Part:
        """Which of the capability checks are run beside these rows."""
        return "reported" if self.seal else "choosing"

    @property
    def fingerprint(self) -> str:
        """Identity of the rows, of the labels that figures depend on, and of their clusters."""
        rows = [
            [row.id, row.fingerprint, row.kind, row.expected, row.policies, row.use_case]
            for row in self.rows
        ]
        return fingerprint([rows, self.clusters, *([self.seeds] if any(self.seeds) else [])])


def development_suite(development: Development, rows: Sequence[Query] | None = None) -> Suite:
    """Return the suite of development rows, or of some of them; pairs are not asked."""
    chosen = asked(development.rows if rows is None else rows)
    clusters = tuple(development.groups[row.id] for row in chosen)
    return Suite(chosen, clusters, DEVELOPMENT_FIGURES)


def held_out_suite(project: Project) -> Suite:
    """Return the suite of the sealed rows; raises SealError where there are none.

    Pairs are not asked: reward models are measured on them.
    """
    held_out = open_held_out(project)
    groups = {row.id: row.group for row in held_out.seal.rows}
    rows = asked(reveal(held_out))
    clusters = tuple(groups[row.id] for row in rows)
    return Suite(rows, clusters, HELD_OUT_FIGURES, held_out.seal)


def held_out_pairs(project: Project) -> Suite:
    """Return the sealed pairs, to measure a reward model by; raises SealError without a seal."""
    held_out = open_held_out(project)
    groups = {row.id: row.group for row in held_out.seal.rows}
    rows = tuple(row for row in reveal(held_out) if isinstance(row, Preference))
    clusters = tuple(groups[row.id] for row in rows)
    return Suite(rows, clusters, HELD_OUT_FIGURES, held_out.seal)


def asked(rows: Iterable[Query]) -> tuple[Query, ...]:
    """Return the rows that a System is asked: all but pairs, whose responses are there already."""
    return tuple(row for row in rows if not isinstance(row, Preference))
