"""The rows behind the figures: how many of each policy and kind on each side, what was taken out.

The sealed side is told by `seal.json`, which knows strata and no text.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from selaras.core.decisions import Removal
from selaras.core.errors import MissingExtraError, SealError
from selaras.core.project import Project
from selaras.data import Development, open_development, read_seal
from selaras.data.seal import Seal
from selaras.data.split import PAIRS, stratum

NONE = "-"


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows by (policy, kind) on each side. `development` is None where it could not be opened."""

    development: Mapping[tuple[str, str], int] | None
    held_out: Mapping[tuple[str, str], int]
    removed: tuple[Removal, ...]

    @property
    def policies(self) -> list[str]:
        """The policies that rows name, those of no policy last."""
        names = {policy for policy, _ in (*self.held_out, *(self.development or ()))}
        return sorted(names - {NONE}) + sorted(names & {NONE})

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why rows were taken out, with how many each."""
        return sorted(Counter(removal.reason for removal in self.removed).items())


def development_of(project: Project, given: Development | None, needed: bool) -> Development | None:
    """Return the development rows to join text from, opened here unless they are given.

    Without the extra that opens them, None where they are not `needed`. Raises SealError where the
    given ones were opened under another seal: some of their rows may be sealed by now.
    """
    if given is None:
        try:
            return open_development(project)
        except MissingExtraError:
            if needed:
                raise
            return None
    seal = read_seal(project)
    if given.seal != (seal.id if seal else None):
        raise SealError(
            "the development rows were opened before the last split", fix="open them again"
        )
    return given


def row_counts(development: Development | None, seal: Seal | None) -> RowCounts:
    """Return the rows by policy and kind; a row of several policies counts under its first."""
    return RowCounts(
        _counted(map(stratum, development.rows)) if development else None,
        _counted(row.stratum for row in seal.rows) if seal else {},
        development.removed if development else (),
    )


def _counted(strata: Iterable[str]) -> dict[tuple[str, str], int]:
    counts: Counter[tuple[str, str]] = Counter()
    for name in strata:
        policy, _, rest = name.removesuffix(PAIRS).partition("/")
        counts[policy, rest.rpartition("/")[2]] += 1
    return dict(counts)
