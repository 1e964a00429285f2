"""Rows of a file into a project: checked one by one, those that fail written down with reasons."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, one_line
from selaras.core.files import json_line, replacing
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.edit import change_rows
from selaras.data.formats.reading import Source, scan_rows
from selaras.data.formats.writing import non_commercial
from selaras.data.rows import dump_row, read_rows
from selaras.data.seal import read_seal
from selaras.policy import check_rows, load_policies

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in: new rows and their file, rows changed in place, those refused with reasons.

    `missing` counts rows of the project that the file does not hold (with `update` only); they
    stay. `restricted` are new rows whose licence forbids commercial use.
    """

    path: Path
    added: int
    changed: int
    unchanged: int
    missing: int
    restricted: int
    rejected: tuple[tuple[int, str], ...]
    rejects: Path | None


@dataclass(slots=True)
class _Found:
    """What is told apart while the file is read."""

    changes: list[Query]
    seen: set[str]
    rejected: list[tuple[int, str]]
    added: int = 0
    unchanged: int = 0
    restricted: int = 0


def import_rows(
    project: Project,
    source: Source,
    out: Path | None = None,
    *,
    update: bool = False,
    progress: Progress = SILENT,
) -> Imported:
    """Write a file's rows into the project and return what came in.

    New rows go to `out`, `data/NAME.jsonl` by default. With `update` (a spreadsheet that comes
    back) rows that the project has are changed where they stand and new ones are appended. The
    refused ones are written to `rejected/NAME.jsonl` with place and reason. Raises InputError where
    the file cannot be read or no row of it can be used; nothing is then written.
    """
    path = out or project.root / "data" / f"{source.name}.jsonl"
    if path.exists() and not update:
        raise InputError("it exists already", path=path,
                         fix="name another file with --out, or --update its rows")  # fmt: skip
    known, places = read_rows(project.data_files)
    content = {row.id: dump_row(row) for row in known}
    found = _Found([], set(), [])
    with replacing(path, "wb") as sink:
        if path.exists():
            with path.open("rb") as before:
                shutil.copyfileobj(before, sink)
        sink.writelines(_new(project, source, content, update, found, progress))
        if not (found.added or found.changes or found.unchanged):
            place, reason = found.rejected[0]
            raise InputError(f"no record is a row; the first: {reason}", path=source.path,
                             line=place)  # fmt: skip
    if not path.stat().st_size:
        path.unlink()
    change_rows(found.changes, places)
    return Imported(
        path=path, added=found.added, changed=len(found.changes), unchanged=found.unchanged,
        missing=len(set(content) - found.seen) if update else 0, restricted=found.restricted,
        rejected=tuple(found.rejected), rejects=_write_rejected(project, source, found.rejected),
    )  # fmt: skip


def _new(
    project: Project,
    source: Source,
    content: Mapping[str, Mapping[str, Any]],
    update: bool,
    found: _Found,
    progress: Progress,
) -> Iterator[bytes]:
    """Yield the lines of new rows; what is changed or refused is put into `found`."""
    seal = read_seal(project)
    sealed = {row.id for row in seal.rows} if seal else set[str]()
    taken = sealed if update else sealed | content.keys()
    policies = load_policies(project)
    size = source.path.stat().st_size / MEGABYTE if source.path.exists() else 0
    with progress.task(f"reading {source.path.name} (MB)", size) as task:
        for place, row in scan_rows(source):
            if isinstance(row, InputError):
                found.rejected.append((place, _reason(row)))
                continue
            value = dump_row(row)
            line = json_line(value).encode()
            task.advance(len(line) / MEGABYTE)
            try:
                if row.id in found.seen or row.id in taken:
                    where = "is sealed" if row.id in sealed else "stands already"
                    raise InputError(f"the id {row.id!r} {where} in this project or file")
                check_rows([row], policies, project.file.use_cases)
            except InputError as error:
                found.rejected.append((place, _reason(error)))
                continue
            found.seen.add(row.id)
            before = content.get(row.id)
            if before is None:
                found.added += 1
                found.restricted += non_commercial(row)
                yield line
            elif before == value:
                found.unchanged += 1
            else:
                found.changes.append(row)


def _reason(error: InputError) -> str:
    return one_line(f"{error.field}: {error.what}" if error.field else error.what, 300)


def _write_rejected(
    project: Project, source: Source, rejected: list[tuple[int, str]]
) -> Path | None:
    path = project.root / "rejected" / f"{source.name}.jsonl"
    if not rejected:
        path.unlink(missing_ok=True)
        return None
    with replacing(path) as sink:
        sink.writelines(json_line({"place": place, "reason": why}) for place, why in rejected)
    return path
