"""Where two Systems differ: paired differences by policy, use case and kind, adjusted together."""

from dataclasses import dataclass
from typing import Any

from selaras.core.records import Expected
from selaras.evaluate.compare import LEVEL, check_alike, paired_rows
from selaras.evaluate.figures import Judged
from selaras.evaluate.store import Evaluation
from selaras.stats import PairedDifference, holm

_FIGURE = {
    Expected.REFUSE.value: "compliance_rate",
    Expected.ANSWER.value: "over_refusal_rate",
    Expected.SAFE_COMPLETION.value: "unhelpful_refusal",
}


@dataclass(frozen=True, slots=True)
class CellDifference:
    """The paired difference of a figure in one cell; `p_value` is adjusted by Holm over all cells
    of the comparison.
    """

    policy: str
    use_case: str
    kind: str
    figure: str
    paired: PairedDifference
    p_value: float

    @property
    def tied(self) -> bool:
        """Whether the two cannot be told apart here: the adjusted p-value is .05 or more."""
        return self.p_value >= LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as JSON values."""
        p = self.paired
        return {
            "policy": self.policy, "use_case": self.use_case, "kind": self.kind,
            "figure": self.figure, "difference": p.difference, "low": p.low, "high": p.high,
            "n": p.n, "p_value": self.p_value, "p_value_unadjusted": p.p_value, "tie": self.tied,
        }  # fmt: skip


def compare_cells(before: Evaluation, after: Evaluation) -> list[CellDifference]:
    """Return the differences in every cell of policy, use case and kind, the surest first.

    A row of two policies counts in the cells of both. Raises InputError where the two do not
    compare.
    """
    check_alike(before, after)
    second = {row.row: row for row in after.judged if row.status == "scored"}
    found: dict[tuple[str, str, str, str], list[tuple[Judged, Judged]]] = {}
    for row in before.judged:
        figure = _FIGURE.get(row.expected or "")
        if figure and row.status == "scored" and row.row in second:
            for policy in row.policies or ("-",):
                key = (policy, row.use_case or "-", row.kind, figure)
                found.setdefault(key, []).append((row, second[row.row]))
    paired = {key: pair for key, rows in sorted(found.items()) if (pair := paired_rows(rows))}
    adjusted = holm([pair.p_value for pair in paired.values()])
    cells = [
        CellDifference(*key, pair, p)
        for (key, pair), p in zip(paired.items(), adjusted, strict=True)
    ]
    return sorted(cells, key=lambda cell: (cell.p_value, cell.paired.p_value))
