"""Evaluation data that tuning data is kept clean of: the user's files and folders of public sets.

`evaluation_sets` in selaras.yaml names files or folders, from the project's folder: JSON Lines,
JSON, CSV, TSV, Parquet. The column of questions is found by its usual names or written after a `#`:
`public/gsm8k/test.jsonl#question`. The project's capability checks are always one of them.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.core.files import parse_json, read_jsonl, read_text
from selaras.core.fingerprint import normalise
from selaras.core.project import FILE, Project
from selaras.core.records import Kind
from selaras.data.finding import Embed
from selaras.data.shards import read_shards
from selaras.data.sketch import Sketch, item_sketch

COLUMNS = ("query", "prompt", "question", "instruction", "input", "text", "sentence", "goal",
           "behavior", "problem", "turns", "messages", "conversation")  # fmt: skip
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


@dataclass(frozen=True, slots=True)
class Items:
    """The questions of one evaluation file. A kind is "" where the file does not say it."""

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    kinds: tuple[str, ...]

    def sketch(self, embed: Embed | None) -> Sketch:
        """Return the sketch of the questions; without an encoder, one without vectors."""
        nothing = np.zeros((len(self.texts), 0), np.float32)
        vectors: NDArray[np.float32] = embed(self.texts) if embed else nothing
        return item_sketch(self.ids, self.kinds, self.texts, vectors)


def evaluation_sets(project: Project) -> list[Items]:
    """Return the project's evaluation sets, one a file, in the order in which they are named.

    Raises InputError for a pattern that names nothing, or a file in which no question is found.
    """
    named = list(project.file.evaluation_sets)
    if project.file.capability:
        named.append(project.file.capability)
    found: dict[str, Items] = {}
    for entry in named:
        where, _, column = entry.partition("#")
        path = project.root / where
        if not path.exists():
            raise InputError(f"no such file or folder: {where}", path=project.root / FILE,
                             field="evaluation_sets")  # fmt: skip
        for file in _files(path):
            name = file.relative_to(path.parent).as_posix() if path.is_dir() else file.name
            found.setdefault(str(file), read_items(file, column or None, name))
    return list(found.values())


def read_items(path: Path, column: str | None = None, name: str | None = None) -> Items:
    """Return the questions of a file, without repeats; raises InputError where there are none."""
    texts: dict[str, tuple[str, str]] = {}
    known: Sequence[str] = ()
    for number, record in enumerate(_records(path, column), 1):
        known = known or list(record)
        key = column or next((key for key in COLUMNS if _text(record.get(key))), "")
        if text := normalise(_text(record.get(key))):
            kind = str(record.get("kind", ""))
            texts.setdefault(text, (str(record.get("id") or f"{path.name}:{number}"),
                                    kind if kind in {*Kind} else ""))  # fmt: skip
    if not texts:
        raise InputError(
            "no questions found", path=path, field=column,
            fix=f"name the column after a '#', one of: {', '.join(known) or '(no rows)'}",
        )  # fmt: skip
    ids, kinds = zip(*texts.values(), strict=True)
    return Items(name or path.name, ids, tuple(texts), kinds)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    found = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file())
    if not found:
        raise InputError("no evaluation files", path=path,
                         fix=f"files end in {', '.join(SUFFIXES)}")  # fmt: skip
    yield from found


def _records(path: Path, column: str | None) -> Iterable[Mapping[str, Any]]:
    if path.suffix == ".jsonl":
        return (record for _, record in read_jsonl(path))
    if path.suffix in {".csv", ".tsv"}:
        lines = read_text(path).splitlines(keepends=True)
        return csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
    if path.suffix == ".parquet":
        key = column or "query"
        return ({key: text} for batch in read_shards([path], key) for text in batch)
    if path.suffix == ".json":
        try:
            value = parse_json(read_text(path))
        except ValueError as error:
            raise InputError(f"broken JSON ({error})", path=path) from error
        rows = value if isinstance(value, list) else []
        return (row if isinstance(row, dict) else {"text": row} for row in rows)
    raise InputError(f"a file of an unknown kind ({path.suffix or 'no suffix'})", path=path,
                     fix=f"files end in {', '.join(SUFFIXES)}")  # fmt: skip


def _text(value: Any) -> str:
    """Return a question as text: a string, the first string of a list, a message's content."""
    if isinstance(value, list) and value:
        users = [turn for turn in value if isinstance(turn, dict) and turn.get("role") == "user"]
        return _text(users[0] if users else value[0])
    if isinstance(value, dict):
        return _text(value.get("content") or value.get("value"))
    return value if isinstance(value, str) else ""
