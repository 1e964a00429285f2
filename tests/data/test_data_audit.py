"""The audits together: what cannot run is told, repairs are decisions, all can be taken back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.projects import make_project, row, some_rows
from selaras.core.decisions import Decision, now, read_decisions, record_decisions
from selaras.core.errors import InputError, MissingExtraError
from selaras.core.late import resolve
from selaras.core.project import Project
from selaras.data import AUDITS, AuditReport, audit_files, audit_project, fix, load_rows, restore
from selaras.data.audit import run_audits
from selaras.data.finding import AuditInput, Evidence, Figures, Finding, Proposal

MODULE = __name__


def copies(given: AuditInput) -> Iterator[Finding | Figures]:
    """Propose the removal of every row after the first of the same text."""
    first: dict[str, str] = {}
    for each in given.rows:
        kept = first.setdefault(each.query_key, each.id)
        if kept != each.id:
            proposal = Proposal(each.id, "remove", f"copy of {kept}", safe=True)
            yield Finding("copies", "exact", 1, "fault", (kept, each.id), f"{each.id} is a copy",
                          proposed=(proposal,))  # fmt: skip
    yield Figures("copies", {"texts": len(first)})


def doubts(given: AuditInput) -> Iterator[Finding]:
    """Doubt every label."""
    for each in given.rows:
        proposal = Proposal(each.id, "relabel", "looks malicious", {"kind": "malicious"})
        yield Finding("doubts", "label", 1, "review", (each.id,), "?", proposed=(proposal,))


def broken(given: AuditInput) -> Iterator[Finding]:
    """Find one thing, then lack a package."""
    yield Finding("broken", "first", 1, "note", (), "found before it stopped")
    raise MissingExtraError("cleanlab", "data")


FAKES = {name: f"{MODULE}:{name}" for name in ("copies", "doubts", "broken")}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(
        tmp_path, [row("a", "Kill it?"), row("b", "kill it!"), row("c", "Kill it"), row("d")]
    )


def standing(project: Project) -> set[str]:
    return {each.id for each in load_rows(project).kept}


def test_every_name_is_an_audit() -> None:
    for target in AUDITS.values():
        assert callable(resolve(target))


def test_what_an_audit_found_before_it_stopped_is_kept(project: Project) -> None:
    report = audit_project(project, FAKES)
    assert "found before it stopped" in {f.message for f in report.findings}
    assert "selaras[data]" in report.not_run["broken"]
    assert report.figures["copies"] == {"texts": 2}
    assert [f.level for f in report.findings] == ["fault"] * 2 + ["review"] * 4 + ["note"]


def test_no_audit_shows_personal_data(project: Project) -> None:
    def leaks(given: AuditInput) -> Iterator[Finding]:
        evidence = Evidence("a", "query", 0, 9, "write to ana@mail.org now")
        yield Finding("leaks", "x", 1, "note", ("a",), "seen", (evidence,))

    given = AuditInput(load_rows(project).kept, lambda texts: np.zeros((len(texts), 2)))
    (finding,) = run_audits(given, {"leaks": leaks}).findings
    assert finding.evidence[0].text == "write to ████████████ now"


def test_fix_takes_out_what_is_safe_and_never_relabels(project: Project) -> None:
    report = audit_project(project, FAKES)
    assert report.saved["rows"] == 2
    before = (project.root / "data" / "rows.jsonl").read_bytes()
    made = fix(project, report)
    assert {(d.record, d.action, d.audit) for d in made} == {
        ("b", "remove", "copies/exact"), ("c", "remove", "copies/exact"),
    }  # fmt: skip
    assert standing(project) == {"a", "d"}
    assert (project.root / "data" / "rows.jsonl").read_bytes() == before
    again = audit_project(project, FAKES)
    assert {removal.record for removal in again.removed} == {"b", "c"}
    assert fix(project, again) == []


def test_restore_takes_back_the_last_fix_only(project: Project) -> None:
    fix(project, audit_project(project, {"copies": FAKES["copies"]}))
    by_hand = Decision(record="d", action="remove", reason="no", by="ana", at=now())
    relabel = Decision(record="b", action="relabel", reason="is", by="ana", at=now(),
                       fields={"kind": "malicious"})  # fmt: skip
    record_decisions(project.decisions, [by_hand, relabel])
    assert {d.record for d in restore(project)} == {"b", "c"}
    assert standing(project) == {"a", "b", "c"}
    kinds = {each.id: each.kind for each in load_rows(project).kept}
    assert kinds["b"] == "malicious"
    with pytest.raises(InputError, match="nothing that stands was decided by --fix"):
        restore(project)


def test_restore_by_row_and_by_audit(project: Project) -> None:
    fix(project, audit_project(project, {"copies": FAKES["copies"]}))
    restore(project, ["b"])
    assert standing(project) == {"a", "b", "d"}
    restore(project, audit="copies")
    assert standing(project) == {"a", "b", "c", "d"}
    with pytest.raises(InputError, match="nothing that stands was decided by the audit"):
        restore(project, audit="copies/exact")
    with pytest.raises(InputError, match="nothing that stands was decided about 'a'"):
        restore(project, ["a"])


def test_what_a_person_approved_is_not_repeated(project: Project) -> None:
    approve = Decision(record="b", action="approve", reason="wanted", by="ana", at=now())
    record_decisions(project.decisions, [approve])
    report = audit_project(project, FAKES)
    assert report.approved == 2
    assert "b" not in {p.record for f in report.findings for p in f.proposed}
    fix(project, report)
    assert standing(project) == {"a", "b", "d"}


def test_files_outside_a_project(tmp_path: Path) -> None:
    made = make_project(tmp_path, [row("a", policies=["no-such"]), row("b", "x@mail.org")])
    report = audit_files([made.root / "data" / "rows.jsonl"], {"hygiene": AUDITS["hygiene"]})
    assert isinstance(report, AuditReport)
    assert {f.name for f in report.findings} >= {"hygiene/email", "hygiene/no_licence"}


def test_sealed_rows_are_not_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fixtures.projects import use_word_encoder
    from selaras.data import split_project

    use_word_encoder(monkeypatch)
    project = make_project(tmp_path, some_rows())
    sealed = {each.id for each in split_project(project).seal.rows}
    report = audit_project(project, FAKES)
    assert sealed.isdisjoint(each.id for each in report.rows)
    assert sealed.isdisjoint(name for f in report.findings for name in f.records)
    with pytest.raises(InputError, match="sealed rows are not audited"):
        audit_files([project.holdout / "rows.jsonl"], FAKES, project)


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["fix", "last", "b", "copies"]), max_size=6))
def test_kept_and_removed_are_always_the_input(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    project = make_project(
        tmp_path_factory.mktemp("p"), [row("a", "Kill?"), row("b", "kill"), row("c", "Kill")]
    )
    for step in steps:
        try:
            if step == "fix":
                fix(project, audit_project(project, {"copies": FAKES["copies"]}))
            else:
                restore(
                    project, ["b"] if step == "b" else (), "copies" if step == "copies" else None
                )
        except InputError:
            continue
    loaded = load_rows(project)
    both = [each.id for each in loaded.kept] + [removal.record for removal in loaded.removed]
    assert sorted(both) == ["a", "b", "c"]
    assert read_decisions(project.decisions) or not loaded.removed
