"""`selaras data import|export|catalogue`: rows from other tools' files and back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from selaras.cli.frame import (
    JsonOption,
    ProjectOption,
    command,
    open_project_at,
    pairs,
    print_json,
    say,
    showing,
)

FormatOption = Annotated[
    str | None, typer.Option("--format", help="The format; told from the columns if left out.")
]
MOST_SHOWN = 5


@command
def import_file(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="JSONL, JSON, CSV, TSV or Parquet, .gz or not; a folder of a --set, or nothing to "
            "fetch it from its hub."
        ),
    ] = None,
    folder: ProjectOption = Path(),
    form: FormatOption = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Where a field is: query=prompt."),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="FIELD=VALUE", help="For all rows: kind=malicious."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--set", help="A set of the catalogue: its format and licence.")
    ] = None,
    split: Annotated[str, typer.Option(help="The part of a set on a hub.")] = "train",
    out: Annotated[Path | None, typer.Option(help="Where new rows go: data/NAME.jsonl.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Change rows that the project has; append the others.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Read rows of another tool's file, or a spreadsheet that comes back, into the project.

    Rows that cannot be used are written to rejected/ with place and reason; the others come in.
    """
    from selaras.data.catalogue import entry_named, sourced
    from selaras.data.formats.reading import Source
    from selaras.data.importing import import_rows

    given: dict[str, Any] = dict(pairs(fields or (), "--row", "field=value"))
    if "policies" in given:
        given["policies"] = [name.strip() for name in given["policies"].split(",")]
    project = open_project_at(folder)
    source = Source(
        _file(file, dataset, split, project.cache),
        form,
        pairs(columns or (), "--map", "field=value"),
        given,
    )
    if dataset:
        source = sourced(entry_named(dataset), source, project.file.policies)
    with showing(as_json) as progress:
        made = import_rows(project, source, out, update=update, progress=progress)
    if as_json:
        print_json({"file": made.path, "added": made.added, "changed": made.changed,
                    "unchanged": made.unchanged, "missing": made.missing,
                    "non_commercial": made.restricted, "rejected": [
                        {"place": place, "reason": reason} for place, reason in made.rejected
                    ]})  # fmt: skip
        return
    if made.added:
        say(f"{made.added:,} new rows in {made.path}")
    if update:
        say(f"{made.changed:,} rows changed, {made.unchanged:,} not, "
            f"{made.missing:,} of the project are not in the file (they stay)")  # fmt: skip
    if made.restricted:
        say(f"{made.restricted:,} rows have a licence that forbids commercial use")
    if made.rejects:
        place, reason = made.rejected[0]
        say(f"{len(made.rejected):,} records were refused ({made.rejects}); "
            f"the first, at {place}: {reason}")  # fmt: skip


def _file(file: Path | None, dataset: str | None, split: str, cache: Path) -> Path:
    from selaras.core.errors import InputError
    from selaras.data.catalogue import entry_named, fetched, file_in

    if file is not None and not (dataset and file.is_dir()):
        return file
    if dataset is None:
        raise InputError("no file to import", fix="name a file, or a set with --set")
    entry = entry_named(dataset)
    if file is not None:
        return file_in(entry, file)
    if entry.hub is None:
        raise InputError(f"{dataset} is on no hub", fix=f"get {', '.join(entry.files)} from "
                         f"{entry.source} and name the file")  # fmt: skip
    return fetched(entry, entry.hub, split, cache)


@command
def export(
    file: Annotated[Path, typer.Argument(help="Where to: .jsonl, .json, .csv or .parquet.")],
    form: Annotated[str, typer.Option("--format", help="See 'selaras data formats'.")] = "selaras",
    folder: ProjectOption = Path(),
    record: Annotated[
        str | None, typer.Option(help="Only rows of one record: query, example or preference.")
    ] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out rows of non-commercial licences.")
    ] = False,
    sidecar: Annotated[
        bool, typer.Option(help="Write what the format cannot say to FILE.meta.jsonl.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Write the development rows for another tool; sealed rows are never exported.

    Policy, use case and the other metadata stand in a sidecar, so that nothing that trains sees
    them and nothing is lost on the way back.
    """
    from selaras.core.errors import InputError
    from selaras.core.records import RECORDS
    from selaras.data.formats.writing import export_rows
    from selaras.data.rows import load_rows

    if record is not None and record not in RECORDS:
        raise InputError(f"no record {record!r}", fix=f"use one of: {', '.join(RECORDS)}")
    rows = [r for r in load_rows(open_project_at(folder)).kept if record in {None, r.record}]
    made = export_rows(rows, file, form, commercial=commercial, sidecar=sidecar)
    if as_json:
        print_json({"file": made.path, "rows": made.written,
                    "left_out": [{"id": r.record, "reason": r.reason} for r in made.left_out],
                    "non_commercial": made.non_commercial})  # fmt: skip
        return
    say(f"{made.written:,} rows in {made.path}")
    reasons: dict[str, list[str]] = {}
    for removal in made.left_out:
        reasons.setdefault(removal.reason, []).append(removal.record)
    for reason, ids in reasons.items():
        shown = ", ".join(ids[:MOST_SHOWN]) + (" …" if len(ids) > MOST_SHOWN else "")
        say(f"left out {len(ids):,}: {reason} ({shown})")
    if made.non_commercial:
        say(f"{len(made.non_commercial):,} rows have a licence that forbids commercial use "
            "(--commercial leaves them out)")  # fmt: skip


@command
def formats(as_json: JsonOption = False) -> None:
    """List the formats that are read and written."""
    from selaras.data.formats import FORMATS

    if as_json:
        print_json([{"name": f.name, "about": f.about, "written": f.write is not None,
                     "suffix": f.suffix} for f in FORMATS.values()])  # fmt: skip
        return
    _table("Formats", ("name", "", "what"),
           [(f.name, "read, written" if f.write else "read", f.about)
            for f in FORMATS.values()])  # fmt: skip


@command
def catalogue(
    name: Annotated[str | None, typer.Argument(help="A set, for all that is known of it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List public sets for safety and helpfulness: what for, licence, size, how they are read."""
    from selaras.data.catalogue import entry_named, read_catalogue

    if name is not None:
        entry = entry_named(name)
        if as_json:
            print_json(entry.model_dump())
            return
        for field, value in entry.model_dump(exclude_defaults=True).items():
            say(f"{field}: {value}")
        say(f"load it: selaras data import FILE --set {entry.name}")
        return
    entries = read_catalogue()
    if as_json:
        print_json([entry.model_dump() for entry in entries])
        return
    _table("Public sets", ("name", "for", "rows", "licence"),
           [(e.name, e.use, f"{e.rows:,}", e.licence) for e in entries])  # fmt: skip


def _table(title: str, names: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, justify="right" if name == "rows" else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
