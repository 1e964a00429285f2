"""`selaras calibrate`: judges held against people's labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selaras.cli.frame import JsonOption, ProjectOption, command, open_project_at, print_json, say

if TYPE_CHECKING:
    from selaras.core.project import Project
    from selaras.evaluate.labels import Label


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("calibrate")(calibrate)


@command
def calibrate(
    labels: Annotated[
        Path,
        typer.Argument(
            help="A drawn CSV filled in, JSONL (rater, row, system, axis, value), or a "
            "folder of either."
        ),
    ],
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Runs or Systems; by default the runs that hold most of the labelled rows."
        ),
    ] = None,
    axis: Annotated[
        str, typer.Option(help="What was labelled: refusal or response_harm.")
    ] = "refusal",
    draw: Annotated[
        int | None,
        typer.Option(
            "--draw",
            min=1,
            metavar="N",
            help="Write N answers of each RUN (a run or a "
            "System) to LABELS for people to label, blind; 100 are the least.",
        ),
    ] = None,
    fit: Annotated[
        Path | None,
        typer.Option(
            "--fit",
            help="Fit a classifier on the labels and write it here, to judge by (classifier:FILE).",
        ),
    ] = None,
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Hold the judge against people, System by System, and correct the rates for its errors.

    Draw answers with --draw, let people fill in the file, then give it here. Under 100 labels of a
    System its figures stay uncalibrated. Reports show the result.
    """
    from selaras.core.errors import InputError
    from selaras.evaluate.labelling import labels_in
    from selaras.evaluate.labels import VALUES

    if axis not in VALUES:
        raise InputError(f"no axis {axis!r}", fix=f"use one of: {', '.join(VALUES)}")
    project = open_project_at(folder)
    if draw is not None:
        _draw(project, labels, runs or [], axis, draw, as_json)
        return
    found, empty = labels_in(project, labels)
    known = [label for label in found if label.axis == axis]
    if empty:
        say(f"{empty} items have no label yet")
    if not known:
        raise InputError(f"no label is about {axis}", path=labels, fix="give another --axis")
    if fit is not None:
        _fit(project, known, axis, fit, as_json)
        return
    _calibrate(project, known, labels, runs, axis, as_json)


def _draw(
    project: "Project", path: Path, runs: list[str], axis: str, count: int, as_json: bool
) -> None:
    from selaras.core.errors import InputError
    from selaras.evaluate import runs_named
    from selaras.evaluate.calibration import LEAST
    from selaras.evaluate.labelling import draw_labels

    if not runs:
        raise InputError("of what is not said", fix="name runs or Systems after the file")
    drawn = draw_labels(project, runs_named(project, runs), count, axis, path)
    if as_json:
        print_json({"items": drawn.items, "systems": dict(drawn.systems), "sealed": drawn.sealed,
                    "files": [str(file) for file in drawn.files]})  # fmt: skip
        return
    told = ", ".join(f"{rows} of {name}" for name, rows in drawn.systems.items())
    say(f"wrote {drawn.items} items to {drawn.files[0]} (rows: {told}), and what raters read to "
        f"{drawn.files[1]}")  # fmt: skip
    if drawn.sealed:
        say("these are sealed rows: give them to raters alone, and not to anybody who develops")
    if any(rows < LEAST for rows in drawn.systems.values()):
        say(f"under {LEAST} rows of a System its figures stay uncalibrated")


def _fit(project: "Project", labels: "list[Label]", axis: str, path: Path, as_json: bool) -> None:
    from selaras.evaluate.judge_fit import fit_judge
    from selaras.models.local_embed import open_embedder

    found = fit_judge(project, labels, axis, path, open_embedder())  # type: ignore[arg-type]
    if as_json:
        print_json(found.to_dict())
        return
    say(
        f"wrote {path}: fitted on {found.rows} answers; on answers it was not fitted on kappa "
        f"{found.kappa.value:.2f} [{found.kappa.low:.2f}, {found.kappa.high:.2f}], sensitivity "
        f"{found.sensitivity.value:.2f}, specificity {found.specificity.value:.2f}"
    )
    say(f"judge by it: selaras eval --judge classifier:{path}")


def _calibrate(
    project: "Project", known: "list[Label]", path: Path, runs: list[str] | None, axis: str,
    as_json: bool,
) -> None:  # fmt: skip
    from selaras.evaluate.calibration import calibrate as calibrated
    from selaras.evaluate.calibration import labelled_runs, write_calibration

    chosen = labelled_runs(project, known, runs or ())
    found = [calibrated(one, known, axis) for one in chosen]
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    written = [write_calibration(project, one, files) for one in found]
    if as_json:
        print_json({"calibrations": [one.to_dict() for one in found], "runs": written})
        return
    from selaras.cli.render import print_calibrations

    print_calibrations(found)
    for run in written:
        say(f"wrote {run}")
