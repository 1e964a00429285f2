"""All levers that were measured stand in one table; a guard that was measured is not advised."""

import dataclasses

import report_builder as build

from selaras.evaluate import Evaluation
from selaras.evaluate.figures import figures_of
from selaras.report import sentences
from selaras.report.levers import levers
from selaras.report.model import measured


def behind_guard(evaluation: Evaluation, name: str) -> Evaluation:
    """Return the evaluation as that of the same System behind a guard that blocks every query."""
    judged = [dataclasses.replace(row, guard="query", value="full") for row in evaluation.judged]
    system = evaluation.manifest.system
    assert system is not None
    manifest = evaluation.manifest.model_copy(
        update={
            "id": f"eval-{name}",
            "system": system.model_copy(update={"name": name, "guard": "g"}),
            "figures": figures_of(judged, evaluation.checks),
        }
    )
    return dataclasses.replace(evaluation, manifest=manifest, judged=tuple(judged))


def test_every_lever_has_its_row_and_a_measured_guard_is_not_what_to_try_next(tmp_path):
    project = build.make_project(tmp_path)
    rows = build.make_rows()
    alone = build.story(project, rows, build.make_seal(project, rows))
    assert levers(measured(alone)) == []
    assert "a guard in front of the model" in " ".join(sentences(alone, project))
    found = [*alone, behind_guard(alone[0], "guard"), behind_guard(alone[3], "guarded+guard")]
    assert [(row.label, row.part) for row in levers(measured(found))] == [
        ("base", "model"), ("guard", "guard"), ("guard", "together"),
        ("prompted", "prompt"), ("naive", "tune"),
        ("guarded", "tune"), ("guarded+guard", "guard"), ("guarded+guard", "together"),
    ]  # fmt: skip
    said = " ".join(sentences(found, project))
    assert "more rows to fit the guard on" in said
    assert "a guard in front of the model" not in said
