"""Trying checkpoints at adapter scales on rows kept aside: the figures that a choice rests on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selaras.core.fingerprint import fingerprint
from selaras.core.journal import Journal
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.core.system import Sampling
from selaras.evaluate import renderer
from selaras.evaluate.figures import figures_of, judged_row
from selaras.evaluate.judging import judgement_of
from selaras.evaluate.runner import Job, answer_rows
from selaras.judge.refusal import refusal_rules
from selaras.models.local import LocalModel, open_local
from selaras.models.local_adapter import Adapter
from selaras.template import PLAIN
from selaras.tune.choose_point import SELECTION_TOKENS, Point


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows to choose by, with their groups; answers are journalled in the run's folder."""

    base: Path
    rows: tuple[Query, ...] = field(repr=False)
    groups: Mapping[str, str] = field(repr=False)
    folder: Path
    chat_template: str | None = None


def tried(
    project: Project, selection: Selection, candidates: Iterable[tuple[Path, float]],
    progress: Progress = SILENT,
) -> list[Point]:  # fmt: skip
    """Return each checkpoint at its scale with its figures on the rows, judged by rules."""
    journal = Journal(selection.folder / "selection.jsonl")
    return [
        _point(project, selection, Adapter(path, scale), journal, progress)
        for path, scale in candidates
    ]


def asking(project: Project, model: LocalModel, rows: Sequence[Query]) -> Job:
    """Return the rows as they are asked to choose by, without a system prompt.

    How a use case puts a query is part of what is asked: answers under another input are others.
    """
    cases = {case.id: case.input for case in project.file.use_cases}
    return Job(
        fingerprint([model.identity, cases]), model, Sampling(max_tokens=SELECTION_TOKENS), rows,
        renderer(project, PLAIN),
    )  # fmt: skip


def _point(
    project: Project, selection: Selection, adapter: Adapter, journal: Journal, progress: Progress
) -> Point:
    model = open_local(selection.base, adapter=adapter, chat_template=selection.chat_template)
    rows = selection.rows
    job = asking(project, model, rows)
    name = adapter.folder.relative_to(selection.folder)
    answers = answer_rows(job, journal, progress, f"choosing: {name.name} x {adapter.scale:g}")
    judged = [
        judged_row(row, selection.groups[row.id], judgement_of(refusal_rules, row, answer))
        for row, answer in zip(rows, answers, strict=True)
    ]
    figures: dict[str, Any] = figures_of(judged, [])
    return Point(str(name), adapter.scale, figures)
