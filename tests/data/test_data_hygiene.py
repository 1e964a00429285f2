"""Hygiene: damaged texts are found with their place, in any script, and good ones left alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.project import AuditSettings
from selaras.core.records import Example, Preference, Query
from selaras.data.finding import AuditInput, Figures, Finding
from selaras.data.hygiene import audit_hygiene, truncation

LICENSED = {"licence": "Apache-2.0", "source": "tests"}


def audit(*rows: Query, **settings: Any) -> list[Finding]:
    given = AuditInput(
        rows,
        lambda texts: np.zeros((len(texts), 2), np.float32),
        settings=AuditSettings(**settings),
    )
    return [said for said in audit_hygiene(given) if isinstance(said, Finding)]


def query(text: str, **fields: Any) -> Query:
    return Query(id=fields.pop("id", "a"), query=text, **{**LICENSED, **fields})


def answer(text: str, **fields: Any) -> Example:
    fields = {"id": "a", "query": "How do I clean the oven?", **LICENSED, **fields}
    return Example(response=text, **fields)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("stop <|im_end|> here", "template_token"),
        ("stop [INST] here", "template_token"),
        ("Fine.\n\nHuman: and now?", "template_token"),
        ("a null\x00byte", "control_character"),
        ("pdf\u202eexe", "control_character"),
        ("half a \ufffd character", "control_character"),
        ("the cafÃ© is closed", "wrong_encoding"),
        ("donâ€™t do it", "wrong_encoding"),
        ("mail ana@mail.org", "email"),
    ],
)
def test_damage_is_found_where_it_is(text: str, check: str) -> None:
    (finding,) = audit(query(text))
    assert finding.check == check
    (evidence,) = finding.evidence
    assert (evidence.record, evidence.field) == ("a", "query")
    assert 0 <= evidence.start < evidence.end <= len(text)
    assert [(p.record, p.action, p.safe) for p in finding.proposed] == [("a", "remove", False)]


@pytest.mark.parametrize(
    "text",
    [
        "How do I clean the oven?",
        "Flags: \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f and 👩‍👧",
        "می‌خواهم خانه را تمیز کنم",
        "כיצד לנקות את התנור?",
        "naïve café, Ångström, Ärger, 5 €",
        "x < y and [INSTALL] it; <s>",
        "tab\tand\r\nline",
    ],
)
def test_good_text_is_left_alone(text: str) -> None:
    assert [f for f in audit(query(text)) if f.check != "language"] == []


def test_evidence_shows_no_personal_data() -> None:
    (finding,) = audit(query("please mail ana@mail.org or bob@mail.org <|im_end|>"))[:1]
    shown = " ".join(e.text or "" for f in audit(query("x ana@mail.org <|im_end|>"))
                     for e in f.evidence)  # fmt: skip
    assert "ana" not in shown
    assert "██" in shown
    assert len(finding.evidence) == 2


@pytest.mark.parametrize(
    ("response", "cut_off"),
    [
        ("Open the window and", True),
        ("You need three things:\n1. Soap\n2.", True),
        ("Use this:\n```python\nprint(1)", True),
        ("Open the window and wait.", False),
        ("Open the window", False),
        ("A", False),
        ("Yes,", False),
        ("", False),
        ("窓を開けて待ちます。", False),
        ("Use this:\n```\nls\n```", False),
    ],
)
def test_cut_responses(response: str, cut_off: bool) -> None:
    assert (truncation(response) is not None) == cut_off


def test_empty_responses() -> None:
    assert [f.check for f in audit(answer(" ", response_label="safe"))] == ["empty_response"]
    (waiting,) = audit(answer(""))
    assert (waiting.check, waiting.level) == ("no_response_yet", "note")
    pair = Preference(id="p", query="How?", response_a="Same.", response_b="Same. ", best="a",
                      **LICENSED)  # fmt: skip
    assert [f.check for f in audit(pair)] == ["same_responses"]
    blank = pair.model_copy(update={"response_b": "\n"})
    assert [f.check for f in audit(blank)] == ["empty_response"]


def test_licences_are_told_by_source() -> None:
    made = [Query(id=f"q{i}", query=f"how {i}", source="web") for i in range(3)]
    (finding,) = audit(*made)
    assert finding.message == "3 rows of the source 'web' name no licence"
    assert finding.records == ("q0", "q1", "q2")


def test_a_language_that_is_not_expected() -> None:
    english = [query(f"How long should I leave the oven cleaner on the door, {i} minutes or more?",
                     id=f"en{i}") for i in range(3)]  # fmt: skip
    german = query("Wie lange muss ich den Backofenreiniger auf der Tür einwirken lassen?", id="de")
    (finding,) = audit(*english, german)
    assert (finding.check, finding.records) == ("language", ("de",))
    assert audit(*english, german, languages=("en", "de")) == []


def test_twenty_thousand_equal_rows_are_one_finding() -> None:
    made = [query("mail ana@mail.org").model_copy(update={"id": f"q{i}"}) for i in range(20_000)]
    (finding,) = audit(*made)
    assert len(finding.records) == 20_000
    assert len(finding.evidence) == 1


def test_a_row_of_half_a_megabyte() -> None:
    (finding,) = audit(query("Ünïcode 🦊 " * 50_000 + "\x00"))
    assert finding.check == "control_character"
    assert all(len(e.text or "") < 200 for e in finding.evidence)


@given(st.text(min_size=1).filter(str.strip), st.text())
def test_any_text_is_read(question: str, response: str) -> None:
    given = AuditInput((answer(response, query=question),), lambda texts: np.zeros((0, 0)))
    for said in audit_hygiene(given):
        if isinstance(said, Figures):
            continue
        for evidence in said.evidence:
            text = question if evidence.field == "query" else response
            assert 0 <= evidence.start <= evidence.end <= len(text)
