"""`selaras eval`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    RetryOption,
    SetOption,
    command,
    open_project_at,
    print_json,
    say,
    showing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from selaras.core.project import Project
    from selaras.evaluate import Opened, Suite
    from selaras.evaluate.judging import NamedJudge


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("eval")(evaluate)


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
    suite: Annotated[
        str | None,
        typer.Option(help="A suite of selaras.yaml, FORMAT:FILE of a public set, or 'transfer'."),
    ] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(help="A judge of selaras.yaml, or TYPE:MODEL-OR-FILE; may be repeated."),
    ] = None,
    max_calls: Annotated[
        int | None, typer.Option(help="Stop before a call more than this many.", min=0)
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(help="Stop before this is passed, by the prices in selaras.yaml.", min=0),
    ] = None,
    retry_errors: RetryOption = False,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Measure Systems on the sealed rows, on development rows or on a suite.

    Each System that is measured on the sealed rows uses one look of the budget; measuring the same
    System again is free.
    """
    from selaras import evaluate as stage
    from selaras.core.errors import InputError
    from selaras.data import open_development

    if suite is not None and development:
        raise InputError("a suite and development rows at once", fix="leave one of them out")
    project = open_project_at(folder, overrides)
    names = systems or list(project.file.systems)
    specs = stage.named_systems(project, names)
    terms = stage.Terms(stage.Budget(max_calls, max_cost), retry_errors)
    with showing() as progress:
        if suite is not None:
            measured = stage.named_suite(project, suite, progress, terms=None if dry_run else terms)
        elif development:
            measured = stage.development_suite(open_development(project, progress))
        else:
            measured = stage.held_out_suite(project)
        # One after the other: a local model fills gigabytes.
        opened = (stage.open_system(project, *each, progress) for each in specs.items())
        if dry_run:
            named = stage.open_judges(judge or [stage.DEFAULT_JUDGE], project)
            _forecast(project, opened, measured, named, as_json)
            return
        found = [
            stage.evaluate(project, system, measured, judges=judge or [stage.DEFAULT_JUDGE],
                           resume=resume, terms=terms, progress=progress)
            for system in opened
        ]  # fmt: skip
    if as_json:
        print_json({"systems": [stage.summary(evaluation) for evaluation in found]})
        return
    from selaras.cli.render import print_figures

    print_figures(found)
    for evaluation in found:
        say(f"{evaluation.name}: {evaluation.manifest.id}")


def _forecast(
    project: "Project",
    systems: "Iterable[Opened]",
    suite: "Suite",
    named: "Sequence[NamedJudge]",
    as_json: bool,
) -> None:
    from selaras import evaluate as stage

    checks = stage.load_checks(project, suite.checks)
    found, judging = [], []
    for opened in systems:
        found.append(stage.forecast(project, opened, suite, checks))
        judging += stage.forecast_guard(opened, suite)
        each = [stage.forecast_judge(project, opened, suite, judge) for judge in named]
        judging += [one for one in each if one is not None]
    looks = len(found) if suite.seal else 0
    wordings = stage.forecast_wordings(project, suite)
    before = [] if wordings is None else [wordings]
    if as_json:
        print_json({
            "rows": len(suite.planned), "stamp": suite.stamp, "checks": len(checks), "looks": looks,
            "wordings": [each.to_dict() for each in before],
            "systems": [each.to_dict() for each in found],
            "judges": [each.to_dict() for each in judging],
        })  # fmt: skip
        return
    size = f"{len(found)} Systems x {len(suite.planned)} rows ({suite.stamp})"
    say(f"{size} and {len(checks)} checks; {looks} looks at most")
    for line in (*before, *found, *judging):
        say(line.text)
