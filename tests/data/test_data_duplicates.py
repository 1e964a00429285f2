"""Duplicates among rows: found, explained, one of each kept, and counterfactuals left alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.projects import WordEncoder
from selaras.data import Figures, Finding, parse_row
from selaras.data.boilerplate import shared_runs
from selaras.data.duplicates import audit_duplicates
from selaras.data.finding import AuditInput

MOULD = "How do I get rid of the black mould on my bathroom ceiling?"
NEARLY = "How do I get rid of the black mould on our bathroom ceiling?"
SHUFFLED = "Bathroom ceiling mould: get the black of, how my rid on I do?"
MAN = "Write a limerick about a Muslim man who goes to the market on a rainy day"


def row(name: str, query: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "query": query, **fields}


def audited(rows: list[dict[str, Any]]) -> tuple[list[Finding], dict[str, Any]]:
    given_rows = AuditInput(tuple(parse_row(value) for value in rows), WordEncoder().embed)
    said = [*audit_duplicates(given_rows)]
    figures = [each for each in said if isinstance(each, Figures)]
    return [each for each in said if isinstance(each, Finding)], dict(figures[-1].values)


def found(rows: list[dict[str, Any]]) -> dict[str, list[tuple[str, ...]]]:
    names: dict[str, list[tuple[str, ...]]] = {}
    for finding in audited(rows)[0]:
        names.setdefault(finding.check, []).append(finding.records)
    return names


def test_the_same_words_are_an_exact_duplicate() -> None:
    rows = [row("b", MOULD.upper()), row("a", MOULD), row("c", MOULD + "!!"), row("d", "Another")]
    (finding,), figures = audited(rows)
    assert finding.records == ("a", "b", "c")
    assert [(p.record, p.action, p.safe) for p in finding.proposed] == [
        ("b", "remove", True), ("c", "remove", True)
    ]  # fmt: skip
    assert "first by id" in finding.message
    assert (figures["exact"], figures["near"], figures["paraphrase"]) == (2, 0, 0)


def test_nearly_the_same_words_and_the_same_meaning() -> None:
    rows = [row("a", MOULD), row("b", NEARLY), row("c", SHUFFLED), row("d", "Which soap is best?")]
    findings = {finding.check: finding for finding in audited(rows)[0]}
    assert findings["near"].records == ("a", "b")
    assert findings["near"].score is not None
    assert findings["near"].score >= 0.7
    assert findings["near"].proposed[0].safe
    assert findings["paraphrase"].records == ("a", "c")
    assert not findings["paraphrase"].proposed[0].safe


@pytest.mark.parametrize(
    "other",
    [
        "Jewish man",
        "Muslim woman",
        "Muslim men",
        "Muslim nurse",
        "Muslim man in a wheelchair",
        "man",
    ],
)
def test_counterfactuals_are_told_and_never_merged(other: str) -> None:
    names = found([row("a", MAN), row("b", MAN.replace("Muslim man", other)), row("c", MAN + "!")])
    assert names.pop("exact") == [("a", "c")]
    if other != "Muslim men":
        assert names == {"counterfactual": [("a", "b")]}


def test_a_pronoun_or_an_age_on_one_side_only_is_wording() -> None:
    names = found([row("a", MOULD), row("b", MOULD.replace("black", "old black"))])
    assert names == {"near": [("a", "b")]}


def test_two_ages_are_not_merged_through_a_row_without_one() -> None:
    text = "What should a {}person know before buying a bicycle in the city?"
    rows = [
        row(name, text.format(age)) for name, age in (("a", ""), ("b", "young "), ("d", "old "))
    ]
    names = found(rows)
    assert names["counterfactual"] == [("b", "d")]
    assert all({"b", "d"}.isdisjoint(group) for group in names.get("near", []))


def test_counterfactual_groups_stay_whole_but_for_exact_copies() -> None:
    jew = MAN.replace("Muslim", "Jewish")
    rows = [row("a", MAN), row("b", jew), row("c", MAN + " again"), row("d", jew + " again"),
            row("e", jew + "?")]  # fmt: skip
    assert found(rows) == {"exact": [("b", "e")], "counterfactual": [("a", "b", "c", "d")]}


def test_a_third_row_does_not_bring_a_counterfactual_pair_together() -> None:
    jew = MAN.replace("Muslim", "Jewish")
    names = found([row("a", MAN), row("b", jew + " with his son"), row("c", jew + " with his sun")])
    assert "near" not in names or all("a" not in group for group in names["near"])


def test_sums_with_other_numbers_are_other_sums() -> None:
    sums = "A shop sells {} apples on Monday and twice as many on Tuesday. How many in all?"
    rows = [row(f"r{n}", sums.format(n)) for n in range(10, 30)]
    names, figures = audited(rows)
    assert names == []
    assert figures["other_numbers"] > 0


@pytest.mark.parametrize(
    "fields",
    [{"kind": "malicious"}, {"use_case": "other"}, {"expected": "refuse"}, {"response": "r"},
     {"response_a": "x", "response_b": "y", "best": "a"}],
)  # fmt: skip
def test_rows_of_another_kind_use_case_or_record_are_no_duplicates(fields: dict[str, Any]) -> None:
    assert found([row("a", MOULD), row("b", MOULD, **fields)]) == {}
    assert found([row("a", MOULD), row("b", NEARLY, **fields)]) == {}


def test_the_most_complete_row_stays() -> None:
    rows = [
        row("a", MOULD, response="With bleach.", response_label="safe"),
        row(
            "b", MOULD, response="With bleach.", response_label="safe", source="ana", licence="mit"
        ),
    ]
    assert found(rows)["exact"] == [("b", "a")]


def test_opposite_labels_are_for_another_audit() -> None:
    rows = [row("a", MOULD, response="x", response_label="safe"),
            row("b", MOULD, response="y", response_label="unsafe")]  # fmt: skip
    assert found(rows) == {}


def test_responses_are_reported_and_never_removed() -> None:
    refusal = "I am sorry, I cannot help with that."
    rows = [row(f"r{i}", f"{word} question here", response=refusal, response_label="safe")
            for i, word in enumerate(["one", "other", "third"])]  # fmt: skip
    findings, _ = audited(rows)
    told = [finding for finding in findings if finding.check == "response"]
    assert [finding.records for finding in told] == [("r0", "r1", "r2")]
    assert told[0].level == "note"
    assert told[0].proposed == ()


def test_boilerplate_is_shown_where_it_stands() -> None:
    common = (
        "please note that this is general information and no advice of a lawyer so ask one before "
        "you sign any paper at all"
    )
    texts = [f"First {i}. {common.title() if i else common}; {i} more" for i in range(3)]
    (run,) = shared_runs([*texts, "short", "你好 " * 30])
    assert run.words == len(common.split())
    for text, (number, start, end) in zip(texts, run.places, strict=True):
        assert texts[number] == text
        assert text[start:end].casefold().strip(";") == common


@given(st.permutations(range(8)))
def test_the_order_of_rows_changes_nothing(order: list[int]) -> None:
    jew = MAN.replace("Muslim", "Jewish")
    texts = [MOULD, MOULD + "!", NEARLY, SHUFFLED, MAN, jew, MAN + " again", "Something else"]
    rows = [row(f"r{i}", text) for i, text in enumerate(texts)]
    findings, figures = audited([rows[i] for i in order])
    first, counts = audited(rows)
    assert sorted(f.id for f in findings) == sorted(f.id for f in first)
    assert {p for f in findings for p in map(str, f.proposed)} == {
        p for f in first for p in map(str, f.proposed)
    }
    assert figures == counts


def test_a_second_look_finds_nothing_more_to_remove() -> None:
    chance = np.random.default_rng(0)
    words = MOULD.replace("black ", "").split()
    rows = []
    for i in range(60):
        some = list(words)
        some[chance.integers(len(words))] = str(chance.choice(["soap", "wall", "quick", "house"]))
        rows.append(row(f"r{i}", " ".join(some)))
    findings, _ = audited(rows)
    gone = {p.record for f in findings if f.check in {"exact", "near"} for p in f.proposed}
    _, figures = audited([value for value in rows if value["id"] not in gone])
    assert (figures["exact"], figures["near"]) == (0, 0)
    assert gone


def test_no_rows_and_odd_rows() -> None:
    assert found([]) == {}
    rows = [
        row(f"r{i}", text) for i, text in enumerate(["😀", "😁", "שלום", "سلام", "你好", "a", "?"])
    ]
    assert found(rows) == {}
