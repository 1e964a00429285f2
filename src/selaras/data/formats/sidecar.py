"""What a format cannot say of a row, in a file beside it, so that nothing is lost on the way back.

`FILE.meta.jsonl` has one line for each record: the fields in which the row differs from what the
record reads as, and a hash of that reading. A record that was changed since keeps its new text and
gets its labels back; one that was not is the row that it was.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import read_jsonl
from selaras.core.fingerprint import fingerprint
from selaras.core.records import Query
from selaras.data.formats.format import Fields, Format, RowFields
from selaras.data.rows import dump_row

_TEXT = frozenset({"query", "response", "response_a", "response_b", "best", "context", "turns"})


def sidecar_path(path: Path) -> Path:
    """Return the name of the file beside a data file.

    >>> sidecar_path(Path("sft.jsonl")).name
    'sft.jsonl.meta.jsonl'
    """
    return path.with_name(path.name + ".meta.jsonl")


def note(row: Query, record: Fields, made: Format) -> dict[str, Any]:
    """Return the sidecar's line of a row and the record that it was written as."""
    read, value = made.read(record), dump_row(row)
    return {
        "content": fingerprint(read),
        "fields": {name: item for name, item in value.items() if read.get(name, ...) != item},
        "without": sorted(set(read) - set(value)),
    }


def restored(read: RowFields, note: Mapping[str, Any]) -> RowFields:
    """Return the fields of a row from its record and its note."""
    fields = dict(note["fields"])
    if note["content"] == fingerprint(read):
        kept = {name: item for name, item in read.items() if name not in note["without"]}
        return {**kept, **fields}
    return {**read, **{name: item for name, item in fields.items() if name not in _TEXT}}


def read_notes(path: Path) -> dict[int, Mapping[str, Any]]:
    """Return the notes of a data file by the number of the record; none where it has no sidecar."""
    beside = sidecar_path(path)
    if not beside.is_file():
        return {}
    notes: dict[int, Mapping[str, Any]] = {}
    for line, value in read_jsonl(beside):
        if not isinstance(value.get("fields"), dict) or not isinstance(value.get("without"), list):
            raise InputError("not a note on a record", path=beside, line=line,
                             fix="export the rows again, or delete the file")  # fmt: skip
        notes[line] = {"content": "", **value}
    return notes
