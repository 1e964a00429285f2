"""`selaras data split`: sealing rows, adding to the seal, renewing it.

The order of writing makes a kill harmless. Rows and sketch are written first and hold the old
sealed rows beside the new; writing seal.json is the moment that decides; then what no longer
belongs is taken away. A split that was cut off is tidied up by the next one.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from selaras.core.decisions import Removal, apply_decisions, now, read_decisions
from selaras.core.errors import InputError, SealError
from selaras.core.files import json_line, lock, replacing
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.contamination import contaminated
from selaras.data.development import refuse_lost_seal, row_vectors, sealed_sketch
from selaras.data.embeddings import ENCODER
from selaras.data.groups import group_rows
from selaras.data.rows import Rows, drop_lines, dump_row, load_rows, read_rows, write_rows
from selaras.data.seal import (
    Seal,
    read_seal,
    rows_path,
    seal_path,
    sealed_row,
    sketch_path,
    write_seal,
)
from selaras.data.sketch import (
    OutdatedSketchError,
    make_sketch,
    query_hash,
    read_sketch,
    selected,
    write_sketch,
)
from selaras.data.split import Group, split_groups
from selaras.data.vault import read_sealed, stored_rows


@dataclass(frozen=True, slots=True)
class SplitResult:
    """What a split did. `removed` are new rows that copied sealed ones."""

    seal: Seal
    development: int
    held_out: int
    groups: int
    removed: tuple[Removal, ...] = ()


def split_project(
    project: Project, *, extend: bool = False, renew: bool = False, progress: Progress = SILENT
) -> SplitResult:
    """Seal a share of the project's rows and move them to holdout/.

    Raises SealError where a seal exists and neither `extend` (seal a share of the new rows as well)
    nor `renew` (start a new generation from all rows) is asked for.
    """
    with lock(project.cache / "split.lock"):
        previous = read_seal(project)
        if previous is not None:
            _renew_sketch(project, previous, progress)
            _tidy(project, previous)
        if previous is None or renew:
            return _seal_all(project, previous, progress)
        if not extend:
            raise SealError(
                f"{len(previous.rows)} rows are sealed already (generation {previous.generation})",
                path=project.holdout,
                fix="use --extend for new rows; --renew starts a new generation with its own looks",
            )
        return _extend(project, previous, progress)


def _renew_sketch(project: Project, seal: Seal, progress: Progress) -> None:
    """Make a sketch that an earlier version wrote anew, of the same rows."""
    try:
        if sketch_path(project).is_file():
            read_sketch(sketch_path(project))
    except OutdatedSketchError:
        rows = read_sealed(project, seal)
        sketch = make_sketch(rows, row_vectors(project, rows, progress), seal.salt)
        write_sketch(sketch_path(project), sketch)


def _seal_all(project: Project, previous: Seal | None, progress: Progress) -> SplitResult:
    loaded = load_rows(project)
    sealed = read_sealed(project, previous) if previous else _none_lost(project, loaded)
    _refuse_shared_ids(sealed, loaded)
    standing, _ = apply_decisions(sealed, read_decisions(project.decisions))
    rows = [*loaded.kept, *standing]
    seed = project.file.seed + (previous.generation if previous else 0)
    groups = group_rows(rows, row_vectors(project, rows, progress))
    split = split_groups(rows, groups, project.file.held_out_share, seed)
    if not split.held_out or not split.development:
        raise SealError(f"{len(rows)} rows in {len(groups)} groups are too few to divide")
    held = [rows[i] for group in split.held_out for i in group]
    kept = [rows[i].id for group in split.development for i in group]
    homes = {row.id: row.file for row in previous.rows} if previous else {}
    homes |= _files(project, loaded)
    salt = previous.salt if previous else secrets.token_hex(16)
    names = _group_names(rows, split.held_out)
    seal = Seal(
        generation=previous.generation + 1 if previous else 1,
        created=now(),
        seed=seed,
        share=project.file.held_out_share,
        salt=salt,
        embedder=ENCODER,
        previous=previous.id if previous else None,
        rows=tuple(sealed_row(row, names[row.id], homes[row.id], salt) for row in held),
        development=tuple(kept),
    )
    _write(project, seal, held, [row for row in sealed if row.id not in names], homes, progress)
    return SplitResult(seal, len(kept), len(held), len(groups))


def _extend(project: Project, previous: Seal, progress: Progress) -> SplitResult:
    loaded = load_rows(project)
    sealed = read_sealed(project, previous)
    known = {*previous.development, *(row.id for row in previous.rows)}
    vectors = row_vectors(project, loaded.kept, progress)
    sketch = sealed_sketch(project, previous)
    clean, removed = contaminated(loaded.kept, sketch, previous.salt, vectors)
    groups = group_rows(clean, row_vectors(project, clean, progress))
    # A new row that resembles one already developed on can no longer be held out.
    fresh = [group for group in groups if not any(clean[i].id in known for i in group)]
    seed = project.file.seed + previous.generation
    split = split_groups(clean, fresh, project.file.held_out_share, seed)
    held = [clean[i] for group in split.held_out for i in group]
    names, homes = _group_names(clean, split.held_out), _files(project, loaded)
    new = tuple(sealed_row(row, names[row.id], homes[row.id], previous.salt) for row in held)
    kept = [row.id for row in clean if row.id not in names]
    news = tuple(out for out in removed if out.record not in previous.development)
    seal = previous.model_copy(
        update={
            "generation": previous.generation + 1,
            "created": now(),
            "seed": seed,
            "previous": previous.id,
            "extends": (*previous.extends, previous.id),
            "rows": (*previous.rows, *new),
            "development": tuple(dict.fromkeys((*previous.development, *kept))),
        }
    )
    _write(project, seal, [*sealed, *held], [], {}, progress)
    return SplitResult(seal, len(kept), len(seal.rows), len(groups), news)


def _write(
    project: Project,
    seal: Seal,
    rows: Sequence[Query],
    returned: Sequence[Query],
    homes: dict[str, str],
    progress: Progress,
) -> None:
    """Put a seal in force; `returned` are rows of the one before that go back to their files."""
    both = [*rows, *returned]
    sketch = make_sketch(both, row_vectors(project, both, progress), seal.salt)
    write_rows(rows_path(project), both)
    write_sketch(sketch_path(project), sketch)
    for file in sorted({homes[row.id] for row in returned}):
        _give_back(project, file, [row for row in returned if homes[row.id] == file])
    write_seal(project, seal)
    _tidy(project, seal)


def _tidy(project: Project, seal: Seal) -> None:
    """Take sealed rows out of the data files, and what the seal does not name out of holdout/.

    Nothing is taken from one side that is not on the other.
    """
    sealed = {row.id: row.query_hash for row in seal.rows}
    stored = stored_rows(project)
    safe = {row.id for row in stored if query_hash(row, seal.salt) == sealed.get(row.id)}
    outside: set[str] = set()
    for path in project.data_files:
        rows, places = read_rows([path])
        moved = {row.id for row in rows if row.id in safe and _is(row, sealed, seal.salt)}
        outside |= {row.id for row in rows} - moved
        if moved:
            drop_lines(path, {places[name][1] for name in moved})
    kept = [row for row in stored if row.id in sealed or row.id not in outside]
    if len(kept) < len(stored):
        write_rows(rows_path(project), kept)
    if sketch_path(project).is_file():
        sketch = read_sketch(sketch_path(project))
        if sealed.keys() < set(sketch.ids):
            write_sketch(sketch_path(project), selected(sketch, list(sealed)))


def _is(row: Query, sealed: dict[str, str], salt: str) -> bool:
    return query_hash(row, salt) == sealed[row.id]


def _give_back(project: Project, file: str, rows: Iterable[Query]) -> None:
    path = project.root / file
    if path not in project.data_files:
        path = project.data_files[0]
    text = path.read_bytes()
    text += b"" if not text or text.endswith(b"\n") else b"\n"
    with replacing(path, "wb") as sink:
        sink.write(text + "".join(json_line(dump_row(row)) for row in rows).encode())


def _none_lost(project: Project, loaded: Rows) -> list[Query]:
    """Return no rows, or raise SealError where holdout/ has some that are nowhere else."""
    refuse_lost_seal(project, loaded)
    lost = [row for row in stored_rows(project) if row.id not in loaded.places]
    if lost:
        raise SealError(
            f"{rows_path(project).name} holds {len(lost)} rows, but the seal is missing",
            path=seal_path(project), fix="take it from version control again",
        )  # fmt: skip
    return []


def _refuse_shared_ids(sealed: Iterable[Query], loaded: Rows) -> None:
    for row in sealed:
        if row.id in loaded.places:
            path, line = loaded.places[row.id]
            raise InputError(
                f"the id {row.id!r} is also that of a sealed row", path=path, line=line, field="id",
                fix="give every row an id of its own",
            )  # fmt: skip


def _group_names(rows: Sequence[Query], groups: Iterable[Group]) -> dict[str, str]:
    return {rows[i].id: f"group:{rows[group[0]].id}" for group in groups for i in group}


def _files(project: Project, loaded: Rows) -> dict[str, str]:
    return {name: _inside(path, project.root) for name, (path, _) in loaded.places.items()}


def _inside(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
