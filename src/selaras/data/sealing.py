"""`selaras data split`: sealing rows, adding to the seal, renewing it.

The order of writing makes a kill harmless: sealed rows and sketch first, then the seal, then the
development files without the sealed rows. Whatever is left half done is on the safe side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from selaras.core.decisions import Removal
from selaras.core.errors import SealError
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.contamination import contaminated
from selaras.data.development import held_out_file_missing, row_vectors
from selaras.data.groups import group_rows
from selaras.data.rows import load_rows, read_rows, write_rows
from selaras.data.seal import (
    Seal,
    Sealing,
    new_seal,
    read_seal,
    rows_path,
    sketch_path,
    write_seal,
)
from selaras.data.sketch import make_sketch, read_sketch, write_sketch
from selaras.data.split import split_groups


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
    previous = read_seal(project)
    if previous is None or renew:
        return _seal_all(project, previous, progress)
    if not extend:
        raise SealError(
            f"{len(previous.rows)} rows are sealed already (generation {previous.generation})",
            path=project.holdout,
            fix="use --extend for new rows; --renew starts a new generation with its own looks",
        )
    return _extend(project, previous, progress)


def _seal_all(project: Project, previous: Seal | None, progress: Progress) -> SplitResult:
    rows = list(load_rows(project).kept)
    returned: list[Query] = []
    if previous:
        known = {row.id for row in rows}
        returned = [row for row in _sealed_rows(project, previous) if row.id not in known]
        rows += returned
    seed = project.file.seed + (previous.generation if previous else 0)
    vectors = row_vectors(project, rows, progress)
    groups = group_rows(rows, vectors)
    split = split_groups(rows, groups, project.file.held_out_share, seed)
    held = [i for group in split.held_out for i in group]
    names = [f"group:{rows[group[0]].id}" for group in split.held_out for _ in group]
    kept = [rows[i] for group in split.development for i in group]
    if not held or not kept:
        raise SealError(f"{len(rows)} rows in {len(groups)} groups are too few to divide")
    sealing = Sealing(
        [rows[i] for i in held], names, kept, _encoder(), seed, project.file.held_out_share
    )
    seal = new_seal(sealing, previous)
    _write(project, seal, sealing.rows, vectors[held])
    sealed = set(held)
    stay = [row for i, row in enumerate(rows) if i not in sealed and row in returned]
    if stay:
        write_rows(project.root / "data" / f"returned-{seal.generation}.jsonl", stay)
    return SplitResult(seal, len(kept), len(held), len(groups))


def _extend(project: Project, previous: Seal, progress: Progress) -> SplitResult:
    rows = list(load_rows(project).kept)
    sealed = _sealed_rows(project, previous)
    known = set(previous.development) | {row.id for row in previous.rows}
    vectors = row_vectors(project, rows, progress)
    sketch = read_sketch(sketch_path(project))
    clean, removed = contaminated(rows, sketch, previous.salt, vectors)
    place = {row.id: i for i, row in enumerate(rows)}
    vectors = vectors[[place[row.id] for row in clean]]
    groups = group_rows(clean, vectors)
    # A new row that resembles one already developed on can no longer be held out.
    fresh = [group for group in groups if not any(clean[i].id in known for i in group)]
    seed, share = project.file.seed + previous.generation, project.file.held_out_share
    split = split_groups(clean, fresh, share, seed)
    held = [i for group in split.held_out for i in group]
    chosen = set(held)
    names = [row.group for row in previous.rows]
    names += [f"group:{clean[group[0]].id}" for group in split.held_out for _ in group]
    sealing = Sealing(
        [*sealed, *(clean[i] for i in held)],
        names,
        [row for i, row in enumerate(clean) if i not in chosen],
        previous.embedder,
        seed,
        share,
    )
    # The old salt stays, so that the old rows keep their hashes.
    seal = new_seal(sealing, previous, salt=previous.salt)
    old = row_vectors(project, sealed, progress)
    _write(project, seal, sealing.rows, np.concatenate([old, vectors[held]]))
    news = tuple(removal for removal in removed if removal.record not in known)
    return SplitResult(seal, len(sealing.development), len(sealing.rows), len(groups), news)


def _sealed_rows(project: Project, seal: Seal) -> list[Query]:
    if not rows_path(project).is_file():
        raise held_out_file_missing(project, seal)
    return read_rows([rows_path(project)])[0]


def _write(
    project: Project,
    seal: Seal,
    rows: Sequence[Query],
    vectors: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    write_rows(rows_path(project), rows)
    write_sketch(sketch_path(project), make_sketch(rows, vectors, seal.salt))
    write_seal(project, seal)
    sealed = {row.id for row in rows}
    for path in project.data_files:
        found, _ = read_rows([path])
        kept = [row for row in found if row.id not in sealed]
        if len(kept) < len(found):
            write_rows(path, kept)


def _encoder() -> str:
    from selaras.models.local_embed import PACKAGE

    return PACKAGE
