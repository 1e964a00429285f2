"""Published data files as records of named fields: CSV, TSV, JSON Lines, JSON, YAML."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import read_json, read_jsonl, read_text
from selaras.core.project import load_yaml

LARGEST_FIELD = 8 << 20


def read_table(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (place, fields) of each record: a line for CSV, TSV and JSON Lines, else its number.

    A JSON or YAML file holds a list, or an object with one list under `examples`, `data` or `rows`.
    Raises InputError for another shape.
    """
    suffix = path.suffix.lower()
    if suffix in {".csv", ".tsv"}:
        yield from _delimited(path, "\t" if suffix == ".tsv" else ",")
    elif suffix == ".jsonl":
        yield from read_jsonl(path)
    elif suffix in {".json", ".yaml", ".yml"}:
        yield from _listed(path, read_json(path) if suffix == ".json" else load_yaml(path))
    else:
        raise InputError("not a table", path=path, fix="use .csv, .tsv, .jsonl, .json or .yaml")


def _delimited(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(LARGEST_FIELD)
    reader = csv.DictReader(io.StringIO(read_text(path)), delimiter=delimiter, strict=True)
    try:
        for value in reader:
            if None in value or None in value.values():
                raise InputError(
                    "the number of fields is not that of the header",
                    path=path, line=reader.line_num, fix="quote fields that hold a separator",
                )  # fmt: skip
            yield reader.line_num, value
    except csv.Error as error:
        raise InputError(f"broken CSV ({error})", path=path, line=reader.line_num) from error


def _listed(path: Path, value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    if isinstance(value, dict):
        value = next((value[k] for k in ("examples", "data", "rows") if k in value), None)
    if not isinstance(value, list):
        raise InputError("not a list of records", path=path)
    for number, record in enumerate(value, 1):
        if not isinstance(record, dict):
            raise InputError(f"record {number} is not an object", path=path)
        yield number, record
