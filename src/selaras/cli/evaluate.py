"""`selaras eval` and `selaras compare`."""

from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    SetOption,
    command,
    open_project_at,
    print_json,
    say,
    showing,
)


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("eval")(evaluate)
    app.command("compare")(compare)


@command
def evaluate(
    systems: Annotated[
        list[str] | None,
        typer.Argument(help="Systems of selaras.yaml, or model strings (run:ID, openai:NAME@URL)."),
    ] = None,
    folder: ProjectOption = Path(),
    development: Annotated[
        bool, typer.Option("--development", help="Use development rows; costs no look.")
    ] = False,
    judge: Annotated[str, typer.Option(help="The judge.")] = "refusal-rules",
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Measure Systems on the sealed rows, or on development rows.

    Each System that is measured on the sealed rows uses one look of the budget; measuring the same
    System again is free.
    """
    from selaras import evaluate as stage
    from selaras.data import open_development

    project = open_project_at(folder, overrides)
    names = systems or list(project.file.systems)
    specs = stage.named_systems(project, names)
    found = []
    with showing() as progress:
        suite = (
            stage.development_suite(open_development(project, progress))
            if development
            else stage.held_out_suite(project)
        )
        if dry_run:
            checks = stage.load_checks(project)
            say(f"{len(specs)} Systems x {len(suite.rows)} rows ({suite.stamp}) and {len(checks)} "
                f"checks; {0 if development else len(specs)} looks at most")  # fmt: skip
            return
        for name, spec in specs.items():
            opened = stage.open_system(project, name, spec, progress)
            found.append(
                stage.evaluate(
                    project, opened, suite, judge_name=judge, resume=resume, progress=progress
                )
            )
    if as_json:
        print_json({"systems": [stage.summary(evaluation) for evaluation in found]})
        return
    from selaras.cli.render import print_figures

    print_figures(found)
    for evaluation in found:
        say(f"{evaluation.name}: {evaluation.manifest.id}")


@command
def compare(
    runs: Annotated[list[str], typer.Argument(help="Evaluations; the first is the reference.")],
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Compare evaluations of the same rows, paired row by row."""
    from selaras import evaluate as stage
    from selaras.core.errors import InputError
    from selaras.report import comparisons

    if len(runs) < 2:
        raise InputError("one run compares with nothing", fix="name two evaluations or more")
    project = open_project_at(folder)
    first, *others = [stage.read_evaluation(project, run) for run in runs]
    found = comparisons([first, *others])
    if as_json:
        print_json({"paired": [comparison.to_dict() for comparison in found]})
        return
    from selaras.cli.render import print_comparisons, print_figures

    print_figures([first, *others])
    print_comparisons(found)
