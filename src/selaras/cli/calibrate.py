"""`selaras calibrate`: judges held against people's labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selaras.cli.frame import JsonOption, ProjectOption, command, open_project_at, print_json, say

if TYPE_CHECKING:
    from selaras.core.project import Project
    from selaras.evaluate import Evaluation
    from selaras.evaluate.labels import Label


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("calibrate")(calibrate)


@command
def calibrate(
    labels: Annotated[
        Path, typer.Argument(help="JSONL: rater, row, system, axis, value (and policy).")
    ],
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Evaluations; by default the newest of each System with labels."),
    ] = None,
    axis: Annotated[
        str, typer.Option(help="What was labelled: refusal or response_harm.")
    ] = "refusal",
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Hold the judge against people, System by System, and correct the rates for its errors.

    Under 100 labels of a System its figures stay uncalibrated. Reports show the result.
    """
    from selaras.core.errors import InputError
    from selaras.evaluate.calibration import calibrate as calibrated
    from selaras.evaluate.calibration import write_calibration
    from selaras.evaluate.labels import VALUES, read_labels

    if axis not in VALUES:
        raise InputError(f"no axis {axis!r}", fix=f"use one of: {', '.join(VALUES)}")
    project = open_project_at(folder)
    known = [label for label in read_labels(labels) if label.axis == axis]
    if not known:
        raise InputError(f"no label is about {axis}", path=labels, fix="give another --axis")
    found = [calibrated(one, known, axis) for one in _evaluations(project, runs, known)]
    written = [write_calibration(project, one, labels) for one in found]
    if as_json:
        print_json({"calibrations": [one.to_dict() for one in found], "runs": written})
        return
    from selaras.cli.render import print_calibrations

    print_calibrations(found)
    for run in written:
        say(f"wrote {run}")


def _evaluations(
    project: "Project", runs: list[str] | None, labels: "list[Label]"
) -> "list[Evaluation]":
    """Return the evaluations that are named, or the newest one of each System with labels."""
    from selaras import evaluate as stage
    from selaras.core.errors import InputError
    from selaras.core.manifest import ledger

    if runs:
        return [stage.read_evaluation(project, run) for run in runs]
    asked = {label.system for label in labels}
    newest: dict[str, Any] = {}
    for manifest in ledger(project.runs):
        if (manifest.kind, manifest.status) == ("eval", "finished") and manifest.system:
            mark = manifest.system.fingerprint
            if asked & {manifest.system.name, manifest.id, mark}:
                newest[mark] = manifest.id
    if not newest:
        raise InputError(
            f"the labels are of {', '.join(sorted(asked)[:3])}, which no finished evaluation is of",
            fix="name a System, its fingerprint or a run under system",
        )
    return [stage.read_evaluation(project, run) for run in newest.values()]
