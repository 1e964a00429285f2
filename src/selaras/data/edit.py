"""Changed rows back into the files that hold them; every other line stays byte for byte."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from selaras.core.files import json_line, replacing
from selaras.core.records import Query
from selaras.data.rows import Place, dump_row


def change_rows(rows: Iterable[Query], places: Mapping[str, Place]) -> list[Path]:
    """Write rows over the lines that held them and return the files that changed.

    `places` says where each row was read. Each file is replaced whole; raises KeyError for a row
    without a place.
    """
    changes: dict[Path, dict[int, bytes]] = defaultdict(dict)
    for row in rows:
        path, line = places[row.id]
        changes[path][line] = json_line(dump_row(row)).encode()
    for path, lines in changes.items():
        with path.open("rb") as source, replacing(path, "wb") as sink:
            for number, raw in enumerate(source, 1):
                sink.write(lines.get(number, raw))
    return sorted(changes)
