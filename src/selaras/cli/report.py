"""`selaras report` and `selaras trace`."""

from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import (
    JsonOption,
    OpenOption,
    ProjectOption,
    command,
    open_project_at,
    print_json,
    say,
)


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("report")(report)
    app.command("trace")(trace)


@command
def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(help="Runs or Systems; by default the newest of each System on one suite."),
    ] = None,
    folder: ProjectOption = Path(),
    out: Annotated[Path | None, typer.Option("--out", help="Write the page here.")] = None,
    opened: OpenOption = None,
) -> None:
    """Write evaluations into one self-contained HTML file."""
    from selaras import evaluate as stage
    from selaras.report import write_report

    project = open_project_at(folder)
    if opened is not None:
        say(f"{len(stage.open_rows(project, opened))} sealed rows are open; they count no more")
    found = stage.runs_named(project, runs or stage.newest_together(project))
    say(f"wrote {write_report(project, found, path=out)}")


@command
def trace(
    run: Annotated[str | None, typer.Argument(help="A run; without one, all are listed.")] = None,
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """List runs; show what a run came from and what came of it."""
    from selaras.core.manifest import ledger
    from selaras.report import lineage

    project = open_project_at(folder)
    if run is None:
        found = ledger(project.runs)
        if as_json:
            print_json([{"id": m.id, "kind": m.kind, "status": m.status} for m in found])
            return
        for m in found:
            typer.echo(f"{m.started}  {m.kind:8} {m.status:9} {m.id}")
        if not found:
            say("no runs yet")
        return
    value = lineage(project, run)
    print_json(value.to_dict()) if as_json else typer.echo(value.text)
