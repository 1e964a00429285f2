"""`selaras compare`: evaluations side by side, row by row."""

from pathlib import Path
from typing import Annotated, Any

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
    app.command("compare")(compare)


@command
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="Evaluations or Systems; the first is the reference.")
    ],
    policy: Annotated[str | None, typer.Option(help="Only rows of this policy.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only rows of this kind.")] = None,
    use_case: Annotated[str | None, typer.Option(help="Only rows of this use case.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page here: side by side, with filters.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="Write the rows here: .json for LLM Comparator (two runs), .csv or .parquet.",
        ),
    ] = None,
    opened: OpenOption = None,
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Compare evaluations of the same rows, paired row by row, flips first.

    Any mix of prompts, models and tuned runs. Text is shown for development rows and for sealed
    ones that were opened; of the other sealed rows ids and judgements only.
    """
    from selaras import evaluate as stage
    from selaras.core.errors import InputError
    from selaras.core.files import write_text
    from selaras.evaluate.cells import compare_cells
    from selaras.evaluate.compare import changed_between, only_rows
    from selaras.report import comparisons
    from selaras.report.compare_html import render_comparison
    from selaras.report.export import export as write_export
    from selaras.report.model import measured
    from selaras.report.side_by_side import open_texts, side_by_side

    if len(runs) < 2:
        raise InputError("one run compares with nothing", fix="name two evaluations or more")
    project = open_project_at(folder)
    if opened is not None:
        if any(one.manifest.seal is None for one in stage.runs_named(project, runs)):
            raise InputError("these are development rows, which are open", fix="leave --open out")
        say(f"{len(stage.open_rows(project, opened))} sealed rows are open; they count no more")
    found = [only_rows(one, policy, kind, use_case) for one in stage.runs_named(project, runs)]
    paired = comparisons(found)
    texts = open_texts(project, found) if html or export else {}
    rows = side_by_side(found, texts)
    if html:
        write_text(html, render_comparison(found, texts, project.file.product))
        say(f"wrote {html}")
    if export:
        left_out = write_export(export, found, rows)
        say(f"wrote {export}" + (f", without {left_out} rows that are sealed" if left_out else ""))
    changed = changed_between(found)
    if as_json:
        told = [_flip(side, runs) for side in rows if side.change]
        pairs = [one.to_dict() for one in paired]
        cells = {
            run: [cell.to_dict() for cell in compare_cells(found[0], other)]
            for run, other in zip(runs[1:], found[1:], strict=True)
        }
        print_json({"paired": pairs, "cells": cells, "flips": told, "warnings": changed})
        return
    from selaras.cli.render import print_comparisons, print_figures, print_flips

    print_figures(found)
    print_comparisons(paired)
    print_flips(rows, [line.label for line in measured(found).lines])
    for line in changed:
        say(f"warning: {line}")


def _flip(side: Any, runs: list[str]) -> dict[str, Any]:
    return {
        "row": side.row.row,
        "kind": side.row.kind,
        "policies": list(side.row.policies),
        "change": side.change,
        "judged": dict(zip(runs, side.values, strict=True)),
    }
