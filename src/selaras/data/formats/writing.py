"""Rows to a file of any format, with what the format cannot say in a sidecar."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.decisions import Removal
from selaras.core.errors import InputError, MissingExtraError
from selaras.core.files import json_line, replacing
from selaras.core.records import Example, Query
from selaras.data.formats import format_named
from selaras.data.formats.sidecar import note, sidecar_path
from selaras.data.formats.table import COLUMNS

_NON_COMMERCIAL = re.compile(r"\bNC\b|non-?commercial|research only", re.IGNORECASE)
_BATCH = 1 << 12
TARGETS_ONLY = "its response is unsafe, and an unsafe response is never a target"
# Formats whose examples are trained on as they stand.
TRAINED_ON = frozenset({"trl", "openai", "alpaca", "sharegpt", "messages", "kerashub"})


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and which rows could not be, with reasons."""

    path: Path
    written: int
    left_out: tuple[Removal, ...]
    non_commercial: tuple[str, ...]


def non_commercial(row: Query) -> bool:
    """Return whether the row's licence forbids commercial use.

    >>> non_commercial(Query(id="a", query="q", licence="CC-BY-NC-4.0"))
    True
    """
    return bool(row.licence and _NON_COMMERCIAL.search(row.licence))


def export_rows(
    rows: Iterable[Query], path: Path, name: str, *, commercial: bool = False, sidecar: bool = True
) -> Exported:
    """Write rows in a format and their metadata beside it; kept and left out are the input.

    An example labelled unsafe is left out of formats that are trained on; with `commercial`, rows
    of a non-commercial licence are left out, and without they are named. Raises InputError for a
    format that is only read.
    """
    made = format_named(name)
    if made.write is None:
        raise InputError(f"{name} is read, not written", fix="choose another format")
    left_out: list[Removal] = []
    restricted: list[str] = []
    notes: list[Mapping[str, Any]] = []

    def records() -> Iterator[Mapping[str, Any]]:
        for row in rows:
            reason = _reason_against(row, name, commercial)
            try:
                record = made.write(row) if made.write and reason is None else {}
            except ValueError as error:
                reason = str(error)
            if reason is not None:
                left_out.append(Removal(row.id, reason))
                continue
            if non_commercial(row):
                restricted.append(row.id)
            notes.append(note(row, record, made))
            yield record

    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise InputError("a file of an unknown kind", path=path,
                         fix=f"files end in {', '.join(WRITERS)}")  # fmt: skip
    WRITERS[suffix](path, records())
    beside = sidecar_path(path)
    if sidecar and any(n["fields"] or n["without"] for n in notes):
        with replacing(beside) as sink:
            sink.writelines(map(json_line, notes))
    else:
        beside.unlink(missing_ok=True)
    return Exported(path, len(notes), tuple(left_out), tuple(restricted))


def _reason_against(row: Query, name: str, commercial: bool) -> str | None:
    if name in TRAINED_ON and isinstance(row, Example) and row.response_label == "unsafe":
        return TARGETS_ONLY
    if commercial and non_commercial(row):
        return f"its licence ({row.licence}) forbids commercial use"
    return None


def _jsonl(path: Path, records: Iterator[Mapping[str, Any]]) -> None:
    with replacing(path) as sink:
        sink.writelines(map(json_line, records))


def _json(path: Path, records: Iterator[Mapping[str, Any]]) -> None:
    with replacing(path) as sink:
        sink.write("[")
        for number, record in enumerate(records):
            sink.write(",\n" if number else "\n")
            sink.write(json.dumps(record, ensure_ascii=False, allow_nan=False))
        sink.write("\n]\n")


def _csv(path: Path, records: Iterator[Mapping[str, Any]]) -> None:
    import csv
    import io

    with replacing(path, "wb") as sink:
        # A mark at the beginning, without which spreadsheets read UTF-8 as something else.
        text = io.TextIOWrapper(sink, encoding="utf-8-sig", newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        for record in records:
            if set(record) - set(COLUMNS):
                raise InputError("this format has no columns", path=path, fix="write .jsonl")
            writer.writerow(record)
        text.flush()
        text.detach()


def _parquet(path: Path, records: Iterator[Mapping[str, Any]]) -> None:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "data") from error
    names = [name for name in COLUMNS if name != "seen"]
    schema = arrow.schema([(name, arrow.string()) for name in names])
    with replacing(path, "wb") as sink, parquet.ParquetWriter(sink, schema) as writer:
        for batch in _batches(records):
            if any(set(record) - set(names) for record in batch):
                raise InputError("this format has no columns", path=path, fix="write .jsonl")
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))


def _batches(records: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


_Write = Callable[[Path, Iterator[Mapping[str, Any]]], None]
WRITERS: dict[str, _Write] = {
    ".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet,
}  # fmt: skip
