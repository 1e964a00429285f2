"""`selaras gate`: do the launch criteria hold? Exit code 3 where they do not."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selaras.cli.frame import (
    JsonOption,
    ProjectOption,
    SetOption,
    command,
    open_project_at,
    print_json,
    say,
)

if TYPE_CHECKING:
    from selaras.evaluate import Evaluation, GateState

FAILED = 3
COLOURS = {"met": "green", "not met": "red", "undecided": "yellow"}


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("gate")(gate)


@command
def gate(
    named: Annotated[
        str | None,
        typer.Argument(
            metavar="[SYSTEM|RUN]",
            help="What is to pass: by default `candidate` of selaras.yaml, or the only System.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option("--against", help="A System or run to show figures and flips against."),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", help="Write figures, criteria and flips here, for a comment."),
    ] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Print a GitHub Actions workflow and do nothing else.")
    ] = False,
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Judge an evaluation by the launch criteria of selaras.yaml; exit 3 unless all are met.

    Each is met, not met, or not decided at this n, with the n that would do. Nothing is measured:
    run `selaras eval` first.
    """
    from selaras import evaluate as stage
    from selaras.core.errors import InputError
    from selaras.core.files import write_text
    from selaras.core.project import FILE
    from selaras.report.comment import comment, workflow

    if github:
        typer.echo(workflow(), nl=False)
        return
    project = open_project_at(folder, overrides)
    if not project.file.gates:
        raise InputError(
            "there are no launch criteria", path=project.root / FILE, field="gates",
            fix="write some, such as: gates: [{figure: over_refusal_rate, at_most: 0.1}]",
        )  # fmt: skip
    evaluation, others = stage.gate_runs(project, named)
    states = stage.gate_states(project, evaluation, others)
    reference = stage.reference_of(project, evaluation, others, against)
    if markdown:
        write_text(markdown, comment(project, evaluation, states, reference))
    if as_json:
        print_json(stage.gate_summary(evaluation, states))
    else:
        _print(evaluation, states)
    if not stage.passed(states):
        raise typer.Exit(FAILED)


def _print(evaluation: "Evaluation", states: "list[GateState]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from selaras.cli.render import print_figures
    from selaras.evaluate import gate_words, passed
    from selaras.evaluate.gate_words import state_words

    print_figures([evaluation])
    table = Table(title="Launch criteria", title_justify="left")
    for column in ("criterion", "state", "what the bounds say"):
        table.add_column(column)
    for state in states:
        word = Text(state.state, style=COLOURS[state.state])
        table.add_row(Text(gate_words(state.gate)), word, Text("\n".join(state_words(state))))
    Console(highlight=False).print(table)
    counts = [f"{sum(s.state == word for s in states)} {word}" for word in COLOURS]
    verdict = "passes" if passed(states) else "does not pass"
    say(f"{evaluation.name} {verdict}: {', '.join(counts)} ({evaluation.manifest.id})")
