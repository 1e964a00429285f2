"""The rows that one may develop on: all but the sealed ones and their copies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selaras.core.decisions import Removal
from selaras.core.errors import SealError
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Query
from selaras.data.contamination import contaminated
from selaras.data.embeddings import embed_cached
from selaras.data.groups import group_rows
from selaras.data.rows import load_rows
from selaras.data.seal import Seal, read_seal, rows_path, sketch_path
from selaras.data.sketch import read_sketch

DEVELOPMENT_FIGURES = "development figures"


@dataclass(frozen=True, slots=True)
class Development:
    """Rows for training, search and selection; only `open_development` makes one.

    `groups` holds the split group of each row, by id; `removed` what was taken out and why;
    `seal` the id of the hold-out that the rows are clean of, None where nothing is sealed.
    """

    rows: tuple[Query, ...]
    groups: dict[str, str]
    removed: tuple[Removal, ...]
    seal: str | None


def open_development(project: Project, progress: Progress = SILENT) -> Development:
    """Return the project's development rows, without copies or paraphrases of sealed ones.

    Raises InputError for bad rows, SealError where the seal's own files are missing.
    """
    seal = read_seal(project)
    loaded = load_rows(project)
    vectors = row_vectors(project, loaded.kept, progress)
    if seal is None:
        return _development(loaded.kept, vectors, loaded.removed, None)
    sketch = read_sketch(sketch_path(project))
    if set(sketch.ids) != {row.id for row in seal.rows}:
        raise SealError(
            "seal.json and sketch.npz name different rows", path=sketch_path(project),
            fix="take both from version control again",
        )  # fmt: skip
    clean, copies = contaminated(loaded.kept, sketch, seal.salt, vectors)
    kept = {row.id for row in clean}
    chosen = [i for i, row in enumerate(loaded.kept) if row.id in kept]
    # The rows that a crash left on both sides are no news: the seal decides.
    both = {row.id for row in seal.rows}
    news = tuple(removal for removal in copies if removal.record not in both)
    return _development(clean, vectors[chosen], (*loaded.removed, *news), seal.id)


def row_vectors(
    project: Project, rows: Sequence[Query], progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Return the cached sentence embeddings of rows (all the user gives, normalised)."""
    from selaras.models.local_embed import PACKAGE, open_embedder

    texts = [row.query_key for row in rows]
    return embed_cached(texts, project.cache / f"embeddings-{PACKAGE}.npz", open_embedder, progress)


def held_out_file_missing(project: Project, seal: Seal) -> SealError:
    """Return the error for a hold-out whose rows live elsewhere (on CI, say)."""
    return SealError(
        f"{len(seal.rows)} rows are sealed, but their file is missing", path=rows_path(project),
        fix="put the file back, or run this where it lives",
    )  # fmt: skip


def _development(
    rows: Sequence[Query],
    vectors: NDArray[np.float32],
    removed: Sequence[Removal],
    seal: str | None,
) -> Development:
    groups = {
        rows[i].id: f"group:{rows[group[0]].id}"
        for group in group_rows(rows, vectors)
        for i in group
    }
    return Development(tuple(rows), groups, tuple(removed), seal)
