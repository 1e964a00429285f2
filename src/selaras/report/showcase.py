"""Answers of several Systems to the same development rows, for reading side by side.

Figures alone do not show what a product became. Sealed rows never come here: an evaluation under a
seal is refused, and text is joined from development rows only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from selaras.core.errors import SealError
from selaras.core.records import Query
from selaras.data import Development
from selaras.data.seal import Seal
from selaras.evaluate import Evaluation
from selaras.report.model import Line


@dataclass(frozen=True, slots=True)
class Shown:
    """One System's answer to one row; `verdict` is the judge's value, None where there is none."""

    label: str
    text: str
    verdict: str | None
    cut: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Rows of one cluster (a malicious row and its look-alike, say) with every System's answers."""

    rows: tuple[Query, ...]
    answers: tuple[tuple[Shown, ...], ...]


def exhibits(
    showcase: Sequence[Evaluation],
    development: Development,
    seal: Seal | None,
    lines: Sequence[Line],
) -> list[Exhibit]:
    """Return the showcase's rows by cluster, in the order in which they were answered.

    A row that is no development row any more is left out. Raises SealError for an evaluation under
    a seal and for a row that is sealed by now.
    """
    for evaluation in showcase:
        _check_open(evaluation, seal)
    texts = {row.id: row for row in development.rows}
    labels = _labels(showcase, lines)
    clusters: dict[str, list[Query]] = {}
    for name in dict.fromkeys(answer.row for e in showcase for answer in e.answers):
        if name in texts:
            clusters.setdefault(texts[name].cluster or f"row:{name}", []).append(texts[name])
    return [
        Exhibit(tuple(rows), tuple(_answers(row, showcase, labels) for row in rows))
        for rows in clusters.values()
    ]


def _check_open(evaluation: Evaluation, seal: Seal | None) -> None:
    fix = "show an evaluation of development rows"
    if evaluation.manifest.seal is not None:
        raise SealError(f"{evaluation.manifest.id} measured sealed rows", fix=fix)
    sealed = {row.id for row in seal.rows} if seal else set()
    shown = {answer.row for answer in evaluation.answers} | {row.row for row in evaluation.judged}
    if shown & sealed:
        raise SealError(f"rows of {evaluation.manifest.id} were sealed since", fix=fix)


def _labels(showcase: Sequence[Evaluation], lines: Sequence[Line]) -> dict[str, str]:
    """Return the label of each showcase evaluation: that of its System in the report's table."""
    known = {
        system.fingerprint: line.label
        for line in lines
        if (system := line.evaluation.manifest.system)
    }
    labels = {}
    for evaluation in showcase:
        system = evaluation.manifest.system
        mark = system.fingerprint if system else ""
        labels[evaluation.manifest.id] = known.get(mark, evaluation.name)
    return labels


def _answers(
    row: Query, showcase: Sequence[Evaluation], labels: dict[str, str]
) -> tuple[Shown, ...]:
    found = []
    for evaluation in showcase:
        verdicts = {judged.row: judged.value for judged in evaluation.judged}
        found += [
            Shown(
                labels[evaluation.manifest.id], answer.text, verdicts.get(row.id),
                answer.finish == "length", answer.error,
            )
            for answer in evaluation.answers
            if answer.row == row.id
        ]  # fmt: skip
    return tuple(found)
