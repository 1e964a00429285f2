"""`selaras data`: rows, their cells, the sealed split."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from selaras.cli import data_audit, data_formats, data_make
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


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    data = group("Rows: make, import, audit and list them, split and seal the hold-out.")
    data.command("list")(list_rows)
    data.command("audit")(data_audit.audit)
    data.command("import")(data_formats.import_file)
    data.command("export")(data_formats.export)
    data.command("formats")(data_formats.formats)
    data.command("catalogue")(data_formats.catalogue)
    for name, made in data_make.commands():
        data.command(name)(made)
    data.command("decide")(data_audit.decide)
    data.command("restore")(data_audit.restore)
    data.command("split")(split)
    app.add_typer(data, name="data")


@command
def list_rows(folder: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Count the project's rows by policy and kind, and the sealed ones beside them.

    Counts only: the text of sealed rows is never shown.
    """
    from selaras.data import load_rows, looks_at, read_seal
    from selaras.data.split import stratum

    project = open_project_at(folder)
    rows = load_rows(project)
    seal = read_seal(project)
    development = Counter(stratum(row) for row in rows.kept if not _is_sealed(row.id, seal))
    sealed = Counter(row.stratum for row in seal.rows) if seal else Counter[str]()
    cells = sorted(set(development) | set(sealed))
    if as_json:
        print_json(
            {
                "development": sum(development.values()),
                "held_out": sum(sealed.values()),
                "removed": [removal.record for removal in rows.removed],
                "waiting": [row.id for row in rows.waiting],
                "looks": len(looks_at(project, seal)) if seal else 0,
                "cells": [
                    {"cell": c, "development": development[c], "held_out": sealed[c]} for c in cells
                ],
            }
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Rows by policy / use case / kind", title_justify="left")
    for name in ("cell", "development", "sealed"):
        table.add_column(name, justify="left" if name == "cell" else "right")
    for cell in cells:
        table.add_row(cell, str(development[cell]), str(sealed[cell]))
    table.add_section()
    table.add_row("all", str(sum(development.values())), str(sum(sealed.values())))
    Console().print(table)
    if taken_out := len(rows.removed) - len(rows.waiting):
        say(f"{taken_out} rows are taken out by decisions (data/decisions.jsonl)")
    if rows.waiting:
        say(f"{len(rows.waiting)} rows wait for review and are used by nothing until then")
    if seal is None:
        say(
            "nothing is sealed yet: every figure is a development figure until 'selaras data split'"
        )
    else:
        used = len(looks_at(project, seal))
        say(f"seal {seal.id}, generation {seal.generation}: {used} of "
            f"{project.file.look_budget} looks used")  # fmt: skip


@command
def split(
    folder: ProjectOption = Path(),
    extend: Annotated[bool, typer.Option(help="Seal a share of the rows added since.")] = False,
    renew: Annotated[bool, typer.Option(help="Start a new generation from all rows.")] = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Seal a share of the rows: duplicates, paraphrases and twins stay on one side."""
    from selaras.data import split_project

    project = open_project_at(folder, overrides)
    with showing() as progress:
        made = split_project(project, extend=extend, renew=renew, progress=progress)
    if as_json:
        print_json(
            {
                "seal": made.seal.id,
                "generation": made.seal.generation,
                "development": made.development,
                "held_out": made.held_out,
                "groups": made.groups,
                "removed": [removal.record for removal in made.removed],
            }
        )
        return
    say(f"sealed {made.held_out} rows, {made.development} are for development "
        f"({made.groups} groups; generation {made.seal.generation})")  # fmt: skip
    for removal in made.removed:
        say(f"left out {removal.record}: {removal.reason} ({removal.matched})")
    say(f"commit {project.holdout / 'seal.json'} and sketch.npz; rows.jsonl may live on CI only")


def _is_sealed(row: str, seal: Any) -> bool:
    return seal is not None and any(sealed.id == row for sealed in seal.rows)
