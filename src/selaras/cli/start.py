"""`selaras init` and `selaras quickstart`."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ResumeOption,
    SetOption,
    command,
    print_json,
    say,
    showing,
)

Folder = Annotated[Path, typer.Argument(help="The project folder.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("quickstart")(quickstart)
    app.command("init")(init)


@command
def init(
    folder: Folder,
    example: Annotated[
        str | None, typer.Option("--example", help="Start from an example: household-helper.")
    ] = None,
) -> None:
    """Create a project, empty or from an example."""
    from selaras.starter import create_project

    project = create_project(folder, example)
    say(f"made {project.root / 'selaras.yaml'}")
    follow = (
        "selaras data split" if example else "write rows to data/*.jsonl, then: selaras data list"
    )
    say(f"next: cd {folder} && {follow}")


@command
def quickstart(
    folder: Folder = Path("quickstart"),
    resume: ResumeOption = False,
    as_json: JsonOption = False,
    dry_run: DryRunOption = False,
    overrides: SetOption = None,
) -> None:
    """Run the whole loop once, offline, on a starter project: some ten minutes on two cores.

    Writes a project into the folder, seals a hold-out, measures the embedded model as it is, with a
    system prompt, tuned naively and tuned with guards, and writes a report.
    """
    from selaras.core.project import FILE
    from selaras.recipe import forecast, open_or_create
    from selaras.recipe import quickstart as run

    with showing() as progress:
        if dry_run:
            with tempfile.TemporaryDirectory() as scratch:
                there = folder if (folder / FILE).exists() else Path(scratch)
                work = forecast(open_or_create(there, overrides or ()), progress)
            print_json(work.to_dict()) if as_json else say(work.text)
            return
        outcome = run(folder, resume=resume, overrides=overrides or (), progress=progress)
    if as_json:
        print_json(outcome.to_dict())
        return
    from selaras.cli.render import print_comparisons, print_figures, print_twins

    print_twins(outcome.twins, outcome.showcase)
    print_figures(outcome.evaluations)
    print_comparisons([c for c in outcome.comparisons if c.p_value < 0.05])
    for line in outcome.sentences:
        typer.echo(line)
    typer.echo(f"\nReport:  {outcome.report}   ({outcome.seconds:.0f} s, "
               f"{outcome.looks} Systems have looked at the sealed rows)")  # fmt: skip
    typer.echo("Next:    selaras data list -C " + str(folder))
    typer.echo(f"         selaras eval prompted --development -C {folder}")
    typer.echo(f"         selaras tune sft --set tune.epochs=3 -C {folder}")
