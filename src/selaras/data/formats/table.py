"""Rows as tables: our own JSON, and flat cells for spreadsheets and Parquet.

In a spreadsheet no cell is a formula: one that begins like one gets an apostrophe before it, which
is taken off again. A column `seen` holds the row's fingerprint, so that a table that comes back
tells its changed rows from the others; by that column our own tables are known.
"""

import json
from typing import Any

from selaras.core.csv_cells import FORMULA
from selaras.core.files import parse_json
from selaras.core.records import Query
from selaras.data.formats.format import Fields, Format, RowFields, columns
from selaras.data.rows import dump_row

SEEN = "seen"
_LISTS = ("policies", "parents")
_OBJECTS = ("context", "turns", "made")
# More than what spreadsheets run: what already begins with an apostrophe gets one too, or it could
# not be taken off again without loss.
_MARKED = (*FORMULA, "\n", "'")
COLUMNS = (
    "id", "kind", "expected", "policies", "use_case", "query", "response", "response_label",
    "response_a", "response_b", "best", "label_a", "label_b", "context", "turns", "cluster",
    "topic", "source", "licence", "parents", "origin", "made", SEEN,
)  # fmt: skip


def flat(row: Query) -> dict[str, str]:
    """Return a row as text cells: lists with `; ` between, objects as JSON.

    >>> flat(Query(id="a", query="Hi", policies=("hate", "spam")))["policies"]
    'hate; spam'
    """
    return {name: _cell(name, value) for name, value in dump_row(row).items()}


def unflat(cells: Fields) -> RowFields:
    """Return the fields of a row's cells; raises ValueError for an object that is no JSON."""
    return {name: _uncell(name, value) for name, value in cells.items()}


def _cell(name: str, value: Any) -> str:
    if name in _LISTS:
        if any(";" in item or item != item.strip() or item[:1] == "[" for item in value):
            return json.dumps(value, ensure_ascii=False)
        return "; ".join(value)
    if name in _OBJECTS:
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _uncell(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name in _LISTS and not value.startswith("["):
        return [item.strip() for item in value.split(";") if item.strip()]
    if name in _LISTS or name in _OBJECTS:
        try:
            return parse_json(value)
        except ValueError as error:
            raise ValueError(f"{name!r} is not JSON ({error})") from error
    return value


def _read_sheet(fields: Fields) -> RowFields:
    """Return the fields of a row of our own spreadsheet; empty cells hold nothing."""
    cells = {
        name: text.removeprefix("'") for name, text in fields.items()
        if isinstance(text, str) and text != "" and name != SEEN
    }  # fmt: skip
    unknown = sorted(set(cells) - set(COLUMNS))
    if unknown:
        raise ValueError(f"an unknown column {unknown[0]!r}")
    if _is_example(fields, cells):
        cells.setdefault("response", "")
    return unflat(cells)


def _is_example(fields: Fields, cells: Fields) -> bool:
    # An example may have an empty response, which in a sheet looks like a query.
    seen = str(fields.get(SEEN) or "")
    return "response_label" in cells or seen.partition(":")[0] == "example"


def _write_sheet(row: Query) -> dict[str, Any]:
    cells = {
        name: f"'{text}" if text.startswith(_MARKED) else text for name, text in flat(row).items()
    }
    cells[SEEN] = f"{row.record}:{row.fingerprint}"
    return {name: cells.get(name, "") for name in COLUMNS}


def _read_rows(fields: Fields) -> RowFields:
    # Parquet has all columns in all records: what is null is not there.
    return unflat({name: value for name, value in fields.items() if value is not None})


def _write_flat(row: Query) -> dict[str, Any]:
    cells = flat(row)
    return {name: cells.get(name) for name in COLUMNS if name != SEEN}


SELARAS = Format("selaras", "our own rows, with every field", columns("id", "query"),
                 _read_rows, dump_row, ours=True)  # fmt: skip
SHEET = Format("sheet", "a spreadsheet of rows for people: it comes back with nothing lost",
               columns("id", "query", SEEN), _read_sheet, _write_sheet, ".csv",
               ours=True)  # fmt: skip
PARQUET = Format("parquet", "our own rows as columns", (), _read_rows, _write_flat,
                 ".parquet", ours=True)  # fmt: skip
