"""The loop: thin cells of the coverage -> drafts -> audits of the drafts -> coverage again.

The review queue stands between: drafts count for nothing until a person approves them, so the
coverage is said twice, as it is and as it would be if every draft were approved.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.late import resolve
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.core.system import Sampling
from selaras.data import AUDITS
from selaras.data.audit import AuditReport, run_audits
from selaras.data.coverage import Cell, Coverage, coverage
from selaras.data.development import text_vectors
from selaras.data.finding import AuditInput
from selaras.data.making.generate import Order
from selaras.data.making.run import Generated, run_generation
from selaras.data.rows import Rows
from selaras.policy import load_policies

DRAFT_AUDITS = ("hygiene", "diversity")


@dataclass(frozen=True, slots=True)
class Filled:
    """What a fill did: the generation, the audits of its drafts, the cells before and after.

    The drafts' diversity is told beside that of the rows that stood before.
    """

    generated: Generated
    audited: AuditReport
    before: Coverage
    after: Coverage

    def to_dict(self) -> dict[str, Any]:
        """Return the fill as JSON values; `if_approved` counts the drafts as rows."""
        cells = self.generated.manifest.config["cells"]
        return {
            "run": self.generated.manifest.id, **self.generated.manifest.figures,
            "findings": self.audited.counts(),
            "diversity": dict(self.audited.figures.get("diversity", {})),
            "cells": [
                {"cell": str(cell), "asked": cells[str(cell)],
                 "rows": self.before.counts.get(cell, 0),
                 "if_approved": self.after.counts.get(cell, 0),
                 "minimum": self.before.settings.minimum}
                for cell in self.after.wanted if str(cell) in cells
            ],
        }  # fmt: skip


def thin_cells(
    found: Coverage, each: int | None = None, only: Collection[str] = (), most: int | None = None
) -> dict[Cell, int]:
    """Return the thin cells, emptiest first, and how many rows each is to get.

    That is what it lacks, or `each`. `only` are parts of cells' names ("hate", "look_alike"); all
    must be in it. `most` bounds the number of cells.
    """
    lacking = {
        cell: each or found.settings.minimum - n
        for cell, label, n in sorted(found.lacking(), key=lambda lack: (lack[2], str(lack[0])))
        if label is None and all(name in (cell.policy, cell.use_case, cell.kind) for name in only)
    }
    return dict(list(lacking.items())[:most])


def fill(
    project: Project,
    model: str,
    sampling: Sampling,
    order: Order,
    known: Rows,
    *,
    max_calls: int | None = None,
    resume: bool = False,
    progress: Progress = SILENT,
) -> Filled:
    """Write drafts for an order's cells, audit them, and return the coverage before and after.

    `known` are the project's rows as they stand.
    """
    before = _given(project, known.kept, progress)
    generated = run_generation(project, order, model, sampling, known, max_calls=max_calls,
                               resume=resume, progress=progress)  # fmt: skip
    # A run that was resumed may have written some of its drafts before it was cut off.
    there = {row.id: row for row in (*known.waiting, *generated.made.rows)}
    after = replace(before, rows=(*known.kept, *there.values()))
    drafts = replace(before, rows=generated.made.rows, reference=before.rows)
    chosen = {name: resolve(AUDITS[name]) for name in DRAFT_AUDITS if drafts.rows}
    report = run_audits(drafts, chosen)
    return Filled(generated, report, coverage(before), coverage(after))


def grid(project: Project, rows: Sequence[Query]) -> Coverage:
    """Return the coverage of a project's rows."""
    return coverage(_given(project, rows, SILENT))


def _given(project: Project, rows: Sequence[Query], progress: Progress) -> AuditInput:
    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return text_vectors(project, texts, progress)

    return AuditInput(tuple(rows), embed, load_policies(project), project.file.use_cases,
                      project.file.audit, project, (), progress)  # fmt: skip
