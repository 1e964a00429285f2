"""A file of any format to rows, one by one; what is no row is an error with its place."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.records import Query
from selaras.data.formats import FORMATS, format_named, format_of
from selaras.data.formats.format import Fields, Format, RowFields
from selaras.data.formats.records import Place, scan_records
from selaras.data.formats.sidecar import read_notes, restored
from selaras.data.rows import parse_row


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from and how they are read.

    `columns` says which column holds which field ({"query": "prompt"}), in place of a format;
    `fields` are given to every row that does not have them ({"licence": "MIT"}); `policies` are
    those of a topic, for rows that name none ({"Drugs": ["illicit-goods"]}).
    """

    path: Path
    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name that the rows' ids begin with."""
        given = self.fields.get("source") or self.path.name.removesuffix(".gz").rsplit(".", 1)[0]
        return re.sub(r"[^\w.-]+", "-", str(given)).strip("-.")[:60] or "rows"


def scan_rows(source: Source) -> Iterator[tuple[Place, Query | InputError]]:
    """Yield (place, row) of each record, or (place, InputError) of one that is no row.

    The format is told from the first record where none is named. Raises InputError where the file
    cannot be read, is empty, or its format cannot be told.
    """
    notes = read_notes(source.path)
    made: Format | None = format_named(source.format) if source.format else None
    number = 0
    for number, (place, value) in enumerate(scan_records(source.path), 1):
        if isinstance(value, InputError):
            yield place, value
            continue
        if made is None and not source.columns:
            made = _told(value, source.path)
        fields: RowFields
        try:
            fields = _mapped(value, source.columns) if source.columns else _read(made, value)
            ours = number in notes or (made is not None and made.ours)
            if number in notes:
                fields = restored(fields, notes[number])
            row = parse_row(_completed(fields, source, place, ours), source.path, place)
            yield place, row
        except ValueError as error:
            yield place, InputError(str(error), path=source.path, line=place)
        except InputError as error:
            yield place, error
    if not number:
        raise InputError("no records", path=source.path, fix="check that this is the right file")


def _told(value: Fields, path: Path) -> Format:
    made = format_of(value)
    if made is None:
        names = ", ".join(list(value)[:12]) or "(none)"
        raise InputError(
            f"a format that is not known; the columns are {names}", path=path,
            fix=f"name the columns (--map query=COLUMN), or the format: {', '.join(FORMATS)}",
        )  # fmt: skip
    return made


def _read(made: Format | None, value: Fields) -> RowFields:
    assert made is not None, "a format is told before the first record is read"  # noqa: S101
    return made.read(value)


def _mapped(value: Fields, columns: Mapping[str, str]) -> RowFields:
    missing = sorted(set(columns.values()) - set(value))
    if missing:
        raise ValueError(f"no column {missing[0]!r}; they are {', '.join(list(value)[:12])}")
    found = {name: value[column] for name, column in columns.items()}
    return {name: item for name, item in found.items() if item not in (None, "")}


def _completed(fields: RowFields, source: Source, place: Place, ours: bool) -> RowFields:
    given = {name: item for name, item in source.fields.items() if name not in fields}
    made = {**fields, **given}
    if not ours:
        made.setdefault("origin", "public")
    topics = str(made.get("topic") or "").split("+")
    found = [name for topic in topics for name in source.policies.get(topic, ())]
    if found and not made.get("policies"):
        made["policies"] = list(dict.fromkeys(found))
    name = str(made.get("id", "")) or f"{source.name}-{place}"
    made["id"] = re.sub(r"[^\w.:-]+", "-", name).lstrip(".:-")[:128] or f"{source.name}-{place}"
    return made
