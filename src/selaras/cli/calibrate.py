"""`selaras calibrate`: judges held against people's labels."""

from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import JsonOption, ProjectOption, command, open_project_at, print_json, say


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
        typer.Argument(help="Evaluations; by default those that hold most of the labelled rows."),
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
    from selaras.evaluate import read_evaluation
    from selaras.evaluate.calibration import calibrate as calibrated
    from selaras.evaluate.calibration import labelled_runs, write_calibration
    from selaras.evaluate.labels import VALUES, read_labels

    if axis not in VALUES:
        raise InputError(f"no axis {axis!r}", fix=f"use one of: {', '.join(VALUES)}")
    project = open_project_at(folder)
    known = [label for label in read_labels(labels) if label.axis == axis]
    if not known:
        raise InputError(f"no label is about {axis}", path=labels, fix="give another --axis")
    chosen = (
        [read_evaluation(project, run) for run in runs] if runs else labelled_runs(project, known)
    )
    found = [calibrated(one, known, axis) for one in chosen]
    written = [write_calibration(project, one, labels) for one in found]
    if as_json:
        print_json({"calibrations": [one.to_dict() for one in found], "runs": written})
        return
    from selaras.cli.render import print_calibrations

    print_calibrations(found)
    for run in written:
        say(f"wrote {run}")
