"""Public sets for safety and helpfulness: what each is for, on what terms, how it becomes rows.

None of the data is shipped. A set is read from a local file or folder, or through `datasets` where
a hub can be reached; its licence travels with every row.
"""

from collections.abc import Collection, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import InputError, MissingExtraError, one_line
from selaras.core.files import write_jsonl
from selaras.core.project import load_yaml
from selaras.core.records import Identifier, Record
from selaras.data.formats.reading import Source

FILE = "catalogue.yaml"


class Entry(Record):
    """One set of the catalogue.

    `format` is that of its records, or `columns` say where our fields are; `policies` maps the
    set's own categories to ours. `hub` is its name on the Hugging Face hub, `files` are the names
    of its published files.
    """

    name: Identifier
    use: str
    licence: str
    rows: int = Field(ge=0)
    source: str
    format: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    fields: dict[str, Any] = Field(default_factory=dict)
    policies: dict[str, list[str]] = Field(default_factory=dict)
    files: tuple[str, ...] = ()
    hub: str | None = None
    note: str = ""


def read_catalogue() -> tuple[Entry, ...]:
    """Return the sets of the catalogue, in its order."""
    with resources.as_file(resources.files(__package__).joinpath(FILE)) as path:
        return tuple(checked(Entry, value, path=path) for value in load_yaml(path))


def entry_named(name: str) -> Entry:
    """Return the set of that name; raises InputError with the names there are."""
    entries = {entry.name: entry for entry in read_catalogue()}
    if name not in entries:
        raise InputError(f"no set {name!r} in the catalogue",
                         fix=f"use one of: {', '.join(entries)}")  # fmt: skip
    return entries[name]


def sourced(entry: Entry, source: Source, policies: Collection[str]) -> Source:
    """Return a source read as the set is: what the person gave stands before what is known of it.

    Only `policies` that the project has are given to rows.
    """
    known = {topic: [p for p in named if p in policies] for topic, named in entry.policies.items()}
    return Source(
        path=source.path,
        format=source.format or (None if source.columns else entry.format),
        columns=source.columns or ({} if source.format else entry.columns),
        fields={"source": entry.name, "licence": entry.licence, **entry.fields, **source.fields},
        policies=known,
    )


def file_in(entry: Entry, folder: Path) -> Path:
    """Return the first of a set's published files that a folder holds; raises InputError."""
    for name in entry.files:
        found = sorted(folder.rglob(Path(name).name))
        if found:
            return found[0]
    known = ", ".join(entry.files) or "(none)"
    raise InputError(f"no file of {entry.name} in it", path=folder,
                     fix=f"name a file; published are: {known}")  # fmt: skip


def fetched(entry: Entry, place: str, split: str, folder: Path) -> Path:
    """Return a JSON Lines file of a set's records, read through `datasets`.

    `place` is a name on the hub or a folder that `datasets` can load. Raises InputError where it
    cannot be had; nothing is then written.
    """
    path = folder / f"{entry.name}-{split}.jsonl"
    write_jsonl(path, _streamed(entry, place, split))
    return path


def _streamed(entry: Entry, place: str, split: str) -> Iterator[dict[str, Any]]:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError("datasets", "tune") from error
    try:
        yield from datasets.load_dataset(place, split=split, streaming=True)
    except Exception as error:
        # The hub's client raises dozens of kinds: all of them mean that the set cannot be had.
        raise InputError(
            f"the set {entry.name!r} cannot be loaded from {place!r} ({one_line(str(error), 160)})",
            fix=f"download {', '.join(entry.files) or 'its files'} and import the file",
        ) from error
