"""The audit's page: rows side by side with what differs, nothing that runs, nothing uncovered."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fixtures.projects import make_project, row
from selaras.core.files import write_jsonl
from selaras.core.records import Example, Query
from selaras.data import AUDITS, AuditReport, Evidence, Finding, Proposal, audit_project
from selaras.report import write_audit
from selaras.report.html_audit import render_audit
from selaras.report.html_audited import audited
from selaras.report.html_finding import differing

HOSTILE = "<script>alert(1)</script>"


def report(*findings: Finding, rows: tuple[Query, ...] = ()) -> AuditReport:
    return AuditReport(rows, findings, {}, {})


def test_a_cluster_stands_side_by_side_with_what_differs() -> None:
    rows = (Query(id="a", query="Kill the mould"), Query(id="b", query="Kill the black mould"))
    finding = Finding("duplicates", "near", 1, "review", ("a", "b"), "b nearly equals a", score=0.7,
                      threshold=0.6, proposed=(Proposal("b", "remove", "copy of a"),))  # fmt: skip
    page = render_audit(report(finding, rows=rows), None)
    assert "<mark>black</mark>" in page
    assert page.index("stays") < page.index("proposed to go")
    assert "score 0.7 (threshold 0.6)" in page


def test_hostile_rows_stay_text() -> None:
    rows = (Example(id="a", query=HOSTILE, response=HOSTILE, use_case=HOSTILE),)
    finding = Finding("hygiene", "x", 1, "fault", ("a",), HOSTILE,
                      (Evidence("a", "query", 0, 8, HOSTILE),))  # fmt: skip
    page = render_audit(report(finding, rows=rows), None)
    assert "<script" not in page.replace("&lt;script", "")


def test_a_long_row_is_shown_around_its_evidence() -> None:
    text = "word " * 50_000 + "SECRET-PLACE " + "word " * 50_000
    start = text.index("SECRET")
    finding = Finding("hygiene", "x", 1, "fault", ("a",), "here",
                      (Evidence("a", "query", start, start + 12),))  # fmt: skip
    page = render_audit(report(finding, rows=(Query(id="a", query=text),)), None)
    assert "<mark>SECRET-PLACE</mark>" in page
    assert len(page) < 50_000


def test_many_findings_and_large_clusters_stay_a_page() -> None:
    rows = tuple(Query(id=f"r{i}", query="same") for i in range(5_000))
    many = [Finding("a", "b", 1, "review", (each.id,), f"about {each.id}") for each in rows]
    one = Finding("a", "c", 1, "fault", tuple(each.id for each in rows), "all the same")
    page = render_audit(report(*many, one, rows=rows), None)
    assert "and 4,988 more findings of this kind" in page
    assert "and 4,994 more rows" in page
    assert len(page) < 100_000


def test_the_same_rows_give_the_same_page(tmp_path: Path) -> None:
    project = make_project(tmp_path, [row("a", "Kill it <|im_end|>"), row("b", "")][:1])
    audits = {name: AUDITS[name] for name in ("coverage", "hygiene")}
    first, second = (render_audit(audit_project(project, audits), project) for _ in range(2))
    assert first == second
    assert "0 of 5" in first


@given(st.text(max_size=80), st.text(max_size=80))
def test_differences_lie_in_the_text(first: str, other: str) -> None:
    spans = differing(first, other)
    assert all(0 <= a < b <= len(other) for a, b in spans)
    assert differing(other, other) == []


def test_the_report_says_what_the_audit_found(tmp_path: Path) -> None:
    project = make_project(tmp_path, [row("a", "Stop <|im_end|> here")])
    assert "have not been audited" in audited(project)
    audits = {name: AUDITS[name] for name in ("coverage", "hygiene")}
    page = write_audit(audit_project(project, audits), project)
    assert page is not None
    assert page.is_file()
    said = audited(project)
    assert "hygiene/template_token" in said
    assert "does not pass" in said
    assert "Changed since" not in said
    write_jsonl(project.root / "data" / "rows.jsonl", [row("a", "Stop here")])
    assert "Changed since: data/rows.jsonl" in audited(project)
