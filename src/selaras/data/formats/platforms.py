"""Rows for annotation platforms: Argilla's records, Label Studio's tasks.

The texts are what raters see, the rest travels as metadata under the names that our rows have, so
that a task that comes back is the row it was. Votes are read by the rating stage.
"""

from collections.abc import Mapping
from typing import Any

from selaras.core.records import RECORDS, Query
from selaras.data.formats.format import Fields, Format, RowFields, columns
from selaras.data.formats.table import flat, unflat

_SHOWN = ("query", "response", "response_a", "response_b")
_KNOWN = frozenset(name for record in RECORDS.values() for name in record.model_fields)


def _read_argilla(fields: Fields) -> RowFields:
    shown, more = _mapping(fields, "fields"), _mapping(fields, "metadata")
    return _row({**more, **shown}, fields.get("id"))


def _write_argilla(row: Query) -> dict[str, Any]:
    value = flat(row)
    shown = {name: value.pop(name) for name in _SHOWN if name in value}
    return {"id": value.pop("id"), "fields": shown, "metadata": value}


def _read_label_studio(fields: Fields) -> RowFields:
    return _row(_mapping(fields, "data"), fields.get("id"))


def _write_label_studio(row: Query) -> dict[str, Any]:
    return {"data": flat(row)}


def _mapping(fields: Fields, name: str) -> dict[str, Any]:
    value = fields.get(name, {})
    if not isinstance(value, Mapping):
        raise ValueError(f"{name!r} is no object")
    return dict(value)


def _row(value: dict[str, Any], name: Any) -> RowFields:
    # Other tools call the question something else; what is not a row's field is theirs alone.
    for other in ("prompt", "instruction", "text"):
        if "query" not in value and isinstance(value.get(other), str):
            value["query"] = value[other]
    known = {key: item for key, item in value.items() if key in _KNOWN and item is not None}
    if "id" not in known and name is not None:
        known["id"] = str(name)
    return unflat(known)


ARGILLA = Format("argilla", "Argilla: records of fields and metadata",
                 columns("fields"), _read_argilla, _write_argilla, ".json",
                 ours=True)  # fmt: skip
LABEL_STUDIO = Format("label-studio", "Label Studio: tasks with their data",
                      columns("data"), _read_label_studio, _write_label_studio,
                      ".json", ours=True)  # fmt: skip
