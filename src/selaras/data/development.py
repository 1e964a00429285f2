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
from selaras.data.contamination import SEALED, contaminated
from selaras.data.embeddings import ENCODER, embed_cached
from selaras.data.evaluation_sets import evaluation_sets
from selaras.data.groups import group_rows
from selaras.data.rows import Rows, load_rows
from selaras.data.seal import Seal, read_seal, seal_path, sketch_path
from selaras.data.sketch import Sketch, read_sketch, selected

DEVELOPMENT_FIGURES = "development figures"
NOTHING_CHECKED = (
    "no evaluation set was checked: whether these rows repeat what the product is measured on is "
    "not known (seal rows with 'selaras data split', or name files under evaluation_sets)"
)
LEFT_OUT = "its topic is left out of development, to measure transfer"


@dataclass(frozen=True, slots=True)
class Development:
    """Rows for training, search and selection; only `open_development` makes one.

    `groups` holds the split group of each row, by id; `removed` what was taken out and why;
    `seal` the id of the hold-out that the rows are clean of, None where nothing is sealed.
    `checked` names the evaluation sets that the rows were compared with, the seal among them.
    """

    rows: tuple[Query, ...]
    groups: dict[str, str]
    removed: tuple[Removal, ...]
    seal: str | None
    checked: tuple[str, ...] = ()


def open_development(project: Project, progress: Progress = SILENT) -> Development:
    """Return the project's development rows, without copies or paraphrases of evaluation rows.

    Compared with the sealed rows and with the project's evaluation sets; where there are neither,
    `progress` is told that nothing was checked. Raises InputError for bad rows, SealError where
    the seal's own files are missing.
    """
    seal = read_seal(project)
    loaded = _without_left_out(project, load_rows(project))
    rows = list(loaded.kept)
    vectors = row_vectors(project, rows, progress)
    removed = list(loaded.removed)
    checked = []
    if seal is None:
        refuse_lost_seal(project, loaded)
    else:
        clean, copies = contaminated(rows, sealed_sketch(project, seal), seal.salt, vectors)
        # The rows that a split left on both sides when it was killed are no news: the seal decides.
        removed += [removal for removal in copies if removal.reason != SEALED]
        rows, vectors = clean, _chosen(rows, clean, vectors)
        checked.append(f"seal {seal.id}")
    for items in evaluation_sets(project):
        sketch = items.sketch(lambda texts: text_vectors(project, texts, progress))
        clean, copies = contaminated(rows, sketch, "", vectors, f"an item of {items.name}")
        removed += copies
        rows, vectors = clean, _chosen(rows, clean, vectors)
        checked.append(items.name)
    if not checked:
        progress.say(NOTHING_CHECKED)
    return _development(rows, vectors, removed, seal.id if seal else None, checked)


def row_vectors(
    project: Project, rows: Sequence[Query], progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Return the cached sentence embeddings of rows (all the user gives, normalised)."""
    return text_vectors(project, [row.query_key for row in rows], progress)


def text_vectors(
    project: Project, texts: Sequence[str], progress: Progress = SILENT
) -> NDArray[np.float32]:
    """Return the cached sentence embeddings of texts in normal form."""
    cache = project.cache / f"embeddings-{ENCODER}.npz"
    return embed_cached(texts, cache, progress=progress)


def sealed_sketch(project: Project, seal: Seal) -> Sketch:
    """Return the sketch of exactly the rows that the seal names; the file may hold more.

    Raises SealError where rows are missing from it or another encoder made it.
    """
    sketch = read_sketch(sketch_path(project))
    hashes = dict(zip(sketch.ids, sketch.hashes, strict=True))
    if any(hashes.get(row.id) != row.query_hash for row in seal.rows):
        raise SealError(
            "seal.json names rows that sketch.npz does not hold", path=sketch_path(project),
            fix="take both from version control again",
        )  # fmt: skip
    if seal.embedder != ENCODER:
        raise SealError(
            f"the rows were sealed with the encoder {seal.embedder}, this version has {ENCODER}",
            path=seal_path(project), fix="start a new generation: selaras data split --renew",
        )  # fmt: skip
    return selected(sketch, [row.id for row in seal.rows])


def refuse_lost_seal(project: Project, loaded: Rows) -> None:
    """Raise SealError where a sketch names rows that are not in the data and the seal is gone."""
    if not sketch_path(project).is_file():
        return
    lost = [name for name in read_sketch(sketch_path(project)).ids if name not in loaded.places]
    if lost:
        raise SealError(
            f"{len(lost)} rows were sealed, but the seal is missing", path=seal_path(project),
            fix="take it from version control again",
        )  # fmt: skip


def _chosen(
    rows: Sequence[Query], clean: Sequence[Query], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    kept = {row.id for row in clean}
    return vectors[[i for i, row in enumerate(rows) if row.id in kept]]


def _without_left_out(project: Project, loaded: Rows) -> Rows:
    """Return the rows without those of topics that transfer is measured on."""
    topics = set(project.file.left_out_topics)
    if not topics:
        return loaded
    kept = tuple(row for row in loaded.kept if row.topic not in topics)
    out = [Removal(row.id, LEFT_OUT) for row in loaded.kept if row.topic in topics]
    return Rows(kept, (*loaded.removed, *out), loaded.places, loaded.waiting)


def _development(
    rows: Sequence[Query],
    vectors: NDArray[np.float32],
    removed: Sequence[Removal],
    seal: str | None,
    checked: Sequence[str],
) -> Development:
    groups = {
        rows[i].id: f"group:{rows[group[0]].id}"
        for group in group_rows(rows, vectors)
        for i in group
    }
    return Development(tuple(rows), groups, tuple(removed), seal, tuple(checked))
