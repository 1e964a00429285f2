"""Suites by name: public sets, a team's own files, transfer, and their variants.

Paraphrases, attacks and repeats of a row are variants of one thing that was measured once: they
share its cluster, so that intervals do not take them for new evidence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from selaras.core.check import checked
from selaras.core.errors import InputError
from selaras.core.files import read_jsonl
from selaras.core.fingerprint import fingerprint
from selaras.core.progress import SILENT, Progress
from selaras.core.project import FILE, Project
from selaras.core.records import Query, Record
from selaras.core.suites import SuiteSpec
from selaras.data import load_rows, open_development
from selaras.data.formats.records import read_records
from selaras.data.rows import parse_row, read_rows
from selaras.evaluate.attacks import attacked_rows
from selaras.evaluate.calls import Terms
from selaras.evaluate.public_sets import READERS
from selaras.evaluate.rewording import Wordings, reworded
from selaras.evaluate.suite import OWN_ROWS, Suite, development_suite, held_out_suite
from selaras.policy import check_rows, load_policies

TRANSFER, HELD_OUT, DEVELOPMENT = "transfer", "held-out", "development"


class Paraphrase(Record):
    """Another wording of a row's query."""

    row: str
    query: str


def named_suite(
    project: Project, name: str, progress: Progress = SILENT, *, terms: Terms | None = None
) -> Suite:
    """Return the suite of that name: one of selaras.yaml, FORMAT:FILE, or `transfer`.

    In selaras.yaml, `held-out` and `development` may stand for a file, to make variants of those
    rows. Other wordings that a model has to write are asked for on these `terms`; without any,
    those that are there already are taken, and `unwritten` says which are lacking.
    Raises InputError for an unknown name, a file that is not of its format, a row that does not say
    what is expected; BudgetSpentError where other wordings would pass the budget.
    """
    if name == TRANSFER and name not in project.file.suites:
        return transfer_suite(project)
    spec = _spec(project, name)
    base = _base(project, name, spec, progress)
    chosen = _chosen(base, spec, project.file.seed)
    variants = _variants(project, chosen, spec)
    if spec.paraphrase_by:
        written = reworded(
            project, chosen.rows, spec.paraphrase_by, spec.wordings,
            sealed=chosen.seal is not None, terms=terms, progress=progress,
        )  # fmt: skip
        variants = _worded(variants, chosen, written, project.root / FILE)
    policies = load_policies(project)
    check_rows(variants.rows, policies, project.file.use_cases)
    return replace(_repeated(variants, spec.repeats), name=name)


def transfer_suite(project: Project) -> Suite:
    """Return the project's rows of the topics that are left out of development."""
    topics = project.file.left_out_topics
    rows = tuple(row for row in load_rows(project).kept if row.topic in topics)
    if not rows:
        raise InputError(
            "there are no rows of a topic that is left out of development",
            path=project.root / FILE, field="left_out_topics",
            fix="give rows a topic, and name here those that nothing may be developed on",
        )  # fmt: skip
    stamp = f"transfer figures: {', '.join(topics)}"
    return Suite(rows, tuple(map(_cluster, rows)), stamp, name=TRANSFER)


def _spec(project: Project, name: str) -> SuiteSpec:
    if name in project.file.suites:
        return project.file.suites[name]
    kind, colon, file = name.partition(":")
    if colon and file and (kind in READERS or kind == "rows"):
        return SuiteSpec(file=file, format=kind)
    own = ", ".join(project.file.suites) or "(none yet)"
    raise InputError(
        f"no suite {name!r}",
        fix=f"name one of {FILE}: {own}; or FORMAT:FILE with a format out of rows, "
        + ", ".join(READERS),
    )


def _base(project: Project, name: str, spec: SuiteSpec, progress: Progress) -> Suite:
    if spec.file == HELD_OUT:
        return held_out_suite(project)
    if spec.file == DEVELOPMENT:
        return development_suite(open_development(project, progress))
    path = project.root / spec.file
    if spec.format == "rows":
        rows = list(_own(path))
    elif spec.format in READERS:
        rows = list(READERS[spec.format](path))
    else:
        raise InputError(
            f"no format {spec.format!r}", path=project.root / FILE, field=f"suites.{name}.format",
            fix=f"use rows or one of: {', '.join(READERS)}",
        )  # fmt: skip
    if not rows:
        raise InputError("no rows", path=path)
    _told_apart(rows, path)
    filled = tuple(
        row.model_copy(
            update={
                "policies": row.policies or spec.policies,
                "use_case": row.use_case or spec.use_case,
            }
        )
        for row in rows
    )
    known = {row.query_key for row in read_rows(project.data_files)[0]}
    shared = sum(row.query_key in known for row in filled)
    notes = (f"{shared} of {len(filled)} {OWN_ROWS}",) if shared else ()
    return Suite(filled, tuple(map(_cluster, filled)), f"figures on {name}", notes=notes)


def _own(path: Path) -> Iterable[Query]:
    for place, fields in read_records(path):
        row = parse_row(fields, path, place)
        if row.expected is None:
            raise InputError(
                f"row {row.id!r} does not say what is expected", path=path, line=place,
                field="expected", fix="write answer, safe_completion or refuse",
            )  # fmt: skip
        yield row


def _chosen(suite: Suite, spec: SuiteSpec, seed: int) -> Suite:
    if spec.rows is None or spec.rows >= len(suite.rows):
        return suite
    # By the rows themselves, so that a longer file keeps most of the choice.
    order = sorted(
        range(len(suite.rows)), key=lambda i: fingerprint([seed, suite.rows[i].fingerprint])
    )
    return _taken(suite, sorted(order[: spec.rows]))


def _taken(suite: Suite, numbers: Sequence[int]) -> Suite:
    return replace(
        suite,
        rows=tuple(suite.rows[i] for i in numbers),
        clusters=tuple(suite.clusters[i] for i in numbers),
    )


def _variants(project: Project, suite: Suite, spec: SuiteSpec) -> Suite:
    clusters = dict(zip((row.id for row in suite.rows), suite.clusters, strict=True))
    added: list[Query] = []
    if spec.paraphrases:
        added += _paraphrased(suite.rows, project.root / spec.paraphrases)
    added += attacked_rows(suite.rows, spec.attacks, spec.into)
    _told_apart([*suite.rows, *added], project.root / FILE)
    return replace(
        suite,
        rows=(*suite.rows, *added),
        clusters=(*suite.clusters, *(clusters[row.parents[-1]] for row in added)),
    )


def _worded(suite: Suite, chosen: Suite, written: Wordings, path: Path) -> Suite:
    """Return the suite with other wordings of its rows, each in its row's cluster."""
    added, clusters = [], []
    for row, cluster in zip(chosen.rows, chosen.clusters, strict=True):
        for number, text in enumerate(written.by_row.get(row.id, ()), 1):
            changes = {"id": f"{row.id}.wording-{number}", "query": text,
                       "parents": (*row.parents, row.id)}  # fmt: skip
            added.append(row.model_copy(update=changes))
            clusters.append(cluster)
    _told_apart([*suite.rows, *added], path)
    note = f"{written.left_out} other wordings failed or were no paraphrases, and were left out"
    return replace(
        suite,
        rows=(*suite.rows, *added),
        clusters=(*suite.clusters, *clusters),
        notes=(*suite.notes, *([note] if written.left_out else [])),
        unwritten=written.unwritten,
    )


def _paraphrased(rows: Sequence[Query], path: Path) -> list[Query]:
    by_id = {row.id: row for row in rows}
    found: list[Query] = []
    for line, fields in read_jsonl(path):
        other = checked(Paraphrase, fields, path=path, line=line)
        row = by_id.get(other.row)
        if row is not None:
            number = sum(each.parents[-1] == row.id for each in found) + 1
            changes = {
                "id": f"{row.id}.paraphrase-{number}",
                "query": other.query,
                "parents": (*row.parents, row.id),
            }
            found.append(row.model_copy(update=changes))
    return found


def _repeated(suite: Suite, repeats: int) -> Suite:
    if repeats == 1:
        return suite
    rows = [
        row if n == 0 else row.model_copy(
            update={"id": f"{row.id}.repeat-{n}", "parents": (*row.parents, row.id)}
        )
        for n in range(repeats)
        for row in suite.rows
    ]  # fmt: skip
    seeds = tuple(n for n in range(repeats) for _ in suite.rows)
    return replace(suite, rows=tuple(rows), clusters=suite.clusters * repeats, seeds=seeds)


def _cluster(row: Query) -> str:
    return row.cluster or row.id


def _told_apart(rows: Sequence[Query], path: Path) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise InputError(f"the id {row.id!r} stands twice", path=path, field="id")
        seen.add(row.id)
