"""`selaras guard`: fit a classifier, check texts, serve the proxy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selaras.cli.frame import (
    JsonOption,
    ProjectOption,
    SetOption,
    command,
    group,
    open_project_at,
    print_json,
    say,
    showing,
)
from selaras.cli.guard_serve import MAIN, serve

if TYPE_CHECKING:
    from selaras.safeguard.checking import Checked
    from selaras.safeguard.guard import Guard

GuardOption = Annotated[
    str, typer.Option("--guard", help="The guard's file in the project.", show_default=True)
]


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    stage = group("Check what is asked and what is answered, and block it.")
    stage.command("fit")(fit)
    stage.command("check")(check)
    stage.command("serve")(serve)
    app.add_typer(stage, name="guard")


@command
def fit(
    folder: ProjectOption = Path(),
    name: Annotated[str, typer.Option(help="The guard's name: guards/NAME.yaml.")] = "main",
    features: Annotated[
        str,
        typer.Option(help="What is read: static, minilm, or probe (the model's own inside)."),
    ] = "probe",
    budget: Annotated[
        float,
        typer.Option(help="The share of rows to be answered that may be blocked.", min=0, max=1),
    ] = 0.05,
    layer: Annotated[
        list[int] | None,
        typer.Option(help="A layer to try for a probe; may be repeated.", min=1),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="The System that is guarded; the first one by default.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with the curves here.")
    ] = None,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Fit a classifier on the approved development rows and freeze its threshold.

    Cross-validated with twins together; the threshold is the one that at most --budget of the rows
    to be answered reach. The sealed rows decide: measure a System with `guard: guards/NAME.yaml`.
    """
    from selaras.safeguard.fit import FitSettings, fit_guard

    project = open_project_at(folder, overrides)
    settings = FitSettings(name, features, budget, tuple(layer or ()), system)
    with showing(as_json) as progress:
        found = fit_guard(project, settings, progress)
    if html is not None:
        from selaras.core.files import write_text
        from selaras.report.guard_html import render_guard

        write_text(html, render_guard(found.manifest, found.scores, project.file.product))
        say(f"wrote {html}")
    if as_json:
        print_json({"run": found.manifest.id, "guard": found.file,
                    "stamp": found.manifest.stamp, "figures": found.manifest.figures})  # fmt: skip
        return
    from selaras.cli.render_guard import print_fit

    print_fit(found)
    say(f"wrote {found.file} and guards/{name}.npz ({found.manifest.id})")
    say(f"measure it: put `guard: {found.file}` into a System, then: selaras eval NAME")


@command
def check(
    given: Annotated[
        str, typer.Argument(metavar="FILE|TEXT", help="A JSONL file of rows, or a text.")
    ],
    folder: ProjectOption = Path(),
    guard: GuardOption = MAIN,
    response: Annotated[
        str | None, typer.Option(help="A response to the text, to be checked instead of it.")
    ] = None,
    attacks: Annotated[
        bool,
        typer.Option("--attacks", help="Ask a file's malicious rows under each attack instead."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a file's rows and outcomes to this page.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a text, or every row of a JSONL file (query, turns, response), by a guard.

    A row with a response has both sides checked. Nothing is sent to a model but what the guard's
    own stages ask. With --attacks it says which attacks get past which stage.
    """
    from selaras.core.errors import InputError
    from selaras.safeguard.checking import check_rows, check_text, rows_of
    from selaras.safeguard.spec import open_guard

    project = open_project_at(folder)
    opened = open_guard(project, guard)
    path = Path(given)
    is_file = len(given) < 4096 and "\n" not in given and path.suffix == ".jsonl"
    for option, wanted in (("--attacks", attacks), ("--html", html is not None)):
        if wanted and not is_file:
            raise InputError(f"{option} needs rows", fix="give a .jsonl file of rows")
    if attacks:
        _attack(opened, path, as_json)
        return
    with showing(as_json) as progress:
        if is_file:
            rows = rows_of(path)
            found = check_rows(opened, rows, progress)
        else:
            rows, found = [], [check_text(opened, given, response)]
    if html is not None:
        from selaras.core.files import write_text
        from selaras.report.guard_check_html import render_checked

        sealed = path.resolve().is_relative_to(project.holdout.resolve())
        texts = {} if sealed else {row.id: row for row in rows}
        write_text(html, render_checked(found, texts, opened.name, path.name))
        say(f"wrote {html}")
    if as_json:
        print_json(_as_json(opened.fingerprint, found))
        return
    from selaras.cli.render_guard import print_checked

    print_checked(found)
    read = {side for stage in opened.stages for side in stage.sides}
    for side in {one.side for each in found for one in each.outcomes} - read:
        say(f"no stage of this guard reads the {side} side: nothing of it was checked")


def _attack(guard: "Guard", path: Path, as_json: bool) -> None:
    from selaras.safeguard.attacking import attack_guard
    from selaras.safeguard.checking import rows_of

    with showing(as_json) as progress:
        under = attack_guard(guard, rows_of(path), progress)
    if as_json:
        print_json({"guard": guard.fingerprint, "attacks": [each.to_dict() for each in under]})
        return
    from selaras.cli.render_guard import print_attacks

    print_attacks(under)


def _as_json(fingerprint: str, found: "list[Checked]") -> dict[str, Any]:
    return {"guard": fingerprint, "rows": [each.to_dict() for each in found]}
