"""The data card counts what there is and names what is lacking; it quotes no row."""

from pathlib import Path

import pytest

from fixtures.projects import make_project, row, twins, use_word_encoder
from selaras.core.files import write_jsonl
from selaras.data import AUDITS, audit_files, audit_project, decide, split_project
from selaras.report.audit import write_audit
from selaras.report.data_card import data_card


def test_a_card_answers_its_questions_without_quoting_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_word_encoder(monkeypatch)
    made = {"model": "gemma", "prompt": "abc"}
    rows = [*(each for i in range(8) for each in twins(i)),
            row("nc", licence="CC-BY-NC-4.0", source="a|set <b>", origin="public"),
            *(row(f"o{i}", use_case="answer") for i in range(12)),
            row("draft", origin="model", made=made),
            row("seen", origin="model", made=made)]  # fmt: skip
    project = make_project(tmp_path, rows)
    decide(project, ["seen"], "approve", reason="good", by="Rini")
    decide(project, ["o1"], "remove", reason="broken", by="Rini")
    before = data_card(project)
    assert "No hold-out is sealed" in before
    assert "No audit was run" in before
    assert "| model | approved | 1 |" in before
    assert "gemma (2)" in before
    split_project(project)
    write_audit(audit_project(project, {"coverage": AUDITS["coverage"]}), project)
    card = data_card(project)
    for said in (
        "a\\|set &lt;b>", "1 rows have a licence that forbids", "| model | draft | 1 |",
        "Rini (1)", "broken (1)", "rows are sealed",
        "hate / answer / malicious (0)", "coverage/empty_cell",
    ):  # fmt: skip
        assert said in card, said
    assert not any(each["query"] in card for each in rows)
    # An audit of a single file says little of the rest: the one of all rows stays beside it.
    few = tmp_path / "few.jsonl"
    write_jsonl(few, [row(f"new{i}", use_case="answer") for i in range(2)])
    write_audit(audit_files([few], {"coverage": AUDITS["coverage"]}, project), project)
    both = data_card(project)
    assert both.count("Audit of ") == 2
    assert "over 2 rows" in both
