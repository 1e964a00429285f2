"""`selaras start`, `selaras init` and `selaras quickstart`."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ResumeOption,
    SetOption,
    command,
    pairs,
    print_json,
    say,
    showing,
)

Folder = Annotated[Path, typer.Argument(help="The project folder.")]


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    app.command("start")(start)
    app.command("quickstart")(quickstart)
    app.command("init")(init)


@command
def start(
    prompt: Annotated[
        Path | None,
        typer.Option("--prompt", "-p", help="Your system prompt: .prompt, .prompty or plain text."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="The model, or your application: http:URL, python:M:F."),
    ] = None,
    folder: Annotated[Path, typer.Option("--to", help="The project folder to make.")] = Path(
        "selaras-start"
    ),
    judge: Annotated[
        list[str] | None,
        typer.Option(help="TYPE:MODEL-OR-FILE, such as policy:openai:NAME@URL; may be repeated."),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="A variable of the prompt; may be repeated."),
    ] = None,
    ask_model: Annotated[
        bool, typer.Option("--ask-model", help="Let the model help to draft use cases.")
    ] = False,
    send_prompt: Annotated[
        bool, typer.Option("--send-prompt", help="Send the prompt to an application as well.")
    ] = False,
    principle: Annotated[
        str | None, typer.Option(help="A principle of your own in place of the proposed one.")
    ] = None,
    most: Annotated[
        int | None, typer.Option("--probes", min=4, help="Run this many probes at most.")
    ] = None,
    resume: Annotated[  # noqa: ARG001 - what a stop tells people to write has to be understood
        bool, typer.Option("--resume", help="Go on after a stop; running it again does so anyway.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Begin with nothing but a system prompt: a project, a first look, one proposed principle.

    Drafts use cases and policies, runs about 120 probe queries, shows the ten worst answers,
    proposes one principle, runs the probes again and leaves a project behind. Its figures are
    development figures. Run it again to go on after a stop.
    """
    from selaras.cli.render_start import print_draft, print_started
    from selaras.evaluate import DEFAULT_JUDGE
    from selaras.starter.start import Request, begin
    from selaras.starter.start import start as run

    request = Request(
        folder, prompt, model, tuple(judge or [DEFAULT_JUDGE]),
        pairs(value or (), "--value", "name=text"), ask_model, send_prompt, principle, most,
    )  # fmt: skip
    with showing(quiet=as_json) as progress:
        if dry_run:
            with tempfile.TemporaryDirectory() as scratch:
                begun = begin(replace(request, folder=Path(scratch) / "p"), progress)
                calls = 2 * len(begun.rows)
                if as_json:
                    print_json({"calls": calls, "policies": list(begun.project.file.policies)})
                    return
                print_draft(begun)
                say(f"would make {calls} calls: {len(begun.rows)} probes, before and after")
                return
        found = run(request, progress)
    print_json(found.to_dict()) if as_json else print_started(found, folder)


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
    system prompt, tuned naively and tuned with guards, and behind a guard, and writes a report.
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
    from selaras.cli.render import print_comparisons, print_figures, print_levers, print_twins

    print_twins(outcome.twins, outcome.showcase)
    print_figures(outcome.evaluations)
    print_levers(outcome.evaluations)
    print_comparisons([c for c in outcome.comparisons if c.p_value < 0.05])
    for line in outcome.sentences:
        typer.echo(line)
    typer.echo(f"\nReport:  {outcome.report}   ({outcome.seconds:.0f} s, "
               f"{outcome.looks} Systems have looked at the sealed rows)")  # fmt: skip
    typer.echo("Next:    selaras data list -C " + str(folder))
    typer.echo(f"         selaras eval prompted --development -C {folder}")
    typer.echo(f"         selaras tune sft --set tune.epochs=3 -C {folder}")
