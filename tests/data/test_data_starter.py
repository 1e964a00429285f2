"""The starter project's planted copies, by the real encoder: each stays on one side."""

import pytest

from selaras.core.project import Project
from selaras.core.records import Kind, Query
from selaras.data import AuditInput, Finding, load_rows, open_development, split_project
from selaras.data.development import row_vectors, text_vectors
from selaras.data.duplicates import audit_duplicates
from selaras.data.groups import group_rows
from selaras.data.opener import open_held_out, reveal
from selaras.starter import create_project

pytestmark = pytest.mark.real
PLANTED = [
    ("ordinary-163", "ordinary-014"),
    ("stakes-i20", "stakes-i07"),
    ("danger-i29", "danger-i19"),
    ("ordinary-164", "ordinary-122"),
    ("illicit-i20", "illicit-i10"),
    ("ordinary-165", "ordinary-124"),
]
PARAPHRASE = ("ordinary-166", "ordinary-122")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return create_project(tmp_path_factory.mktemp("starter") / "p", "household-helper")


@pytest.fixture(scope="module")
def rows(project: Project) -> tuple[Query, ...]:
    return load_rows(project).kept


@pytest.fixture(scope="module")
def group_of(project: Project, rows: tuple[Query, ...]) -> dict[str, int]:
    groups = group_rows(rows, row_vectors(project, rows))
    return {rows[i].id: number for number, group in enumerate(groups) for i in group}


@pytest.mark.parametrize(("copy", "original"), PLANTED)
def test_planted_duplicates_are_one_group(
    group_of: dict[str, int], copy: str, original: str
) -> None:
    assert group_of[copy] == group_of[original]


def test_the_planted_paraphrase_is_one_group(group_of: dict[str, int]) -> None:
    copy, original = PARAPHRASE
    assert group_of[copy] == group_of[original]


def test_twins_are_one_group_and_groups_stay_small(
    rows: tuple[Query, ...], group_of: dict[str, int]
) -> None:
    clusters: dict[str, set[int]] = {}
    for row in rows:
        if row.cluster:
            clusters.setdefault(row.cluster, set()).add(group_of[row.id])
    assert len(clusters) >= 200
    assert all(len(groups) == 1 for groups in clusters.values())
    sizes = [list(group_of.values()).count(number) for number in set(group_of.values())]
    assert max(sizes) <= 6


def test_the_split_keeps_its_share_in_every_cell(
    project: Project, rows: tuple[Query, ...], group_of: dict[str, int]
) -> None:
    seal = split_project(project).seal
    held = reveal(open_held_out(project))
    development = open_development(project)
    assert {group_of[row.id] for row in held}.isdisjoint(
        group_of[row.id] for row in development.rows
    )
    assert len(held) + len(development.rows) == len(rows)
    assert development.removed == ()
    assert abs(len(held) / len(rows) - project.file.held_out_share) < 0.01
    for kind in Kind:
        share = sum(r.kind == kind for r in held) / sum(r.kind == kind for r in rows)
        assert abs(share - project.file.held_out_share) < 0.05, kind
    assert len(seal.rows) == len(held)


def test_the_audit_removes_the_planted_copies_and_nothing_else(
    project: Project, rows: tuple[Query, ...]
) -> None:
    given = AuditInput(rows, lambda texts: text_vectors(project, texts), project=project)
    findings = [said for said in audit_duplicates(given) if isinstance(said, Finding)]
    safe = {p.record: f.records[0] for f in findings for p in f.proposed if p.safe}
    assert safe == dict(PLANTED)
    looked_at = {p.record: f.records[0] for f in findings for p in f.proposed if not p.safe}
    assert looked_at[PARAPHRASE[0]] == PARAPHRASE[1]
    assert len(looked_at) <= 5
