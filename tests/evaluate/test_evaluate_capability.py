"""Capability checks: what counts as right, who can be scored, and that nothing is a silent zero."""

import pytest

from selaras.core.journal import Journal
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.evaluate.capability import BLOCK, run_checks
from selaras.evaluate.checks import ChoiceCheck, ExactCheck
from selaras.evaluate.runner import Job
from selaras.evaluate.verifiers import holds


def choice(name, choices, answer):
    return ChoiceCheck(id=name, type="choice", query=f"Q {name}", choices=choices, answer=answer)


def exact(name, query, *accept):
    return ExactCheck(id=name, type="exact", query=query, accept=accept)


CHECKS = [
    exact("e1", "the answer is seven", "7", "seven"),
    choice("c1", ("no", "longest"), 1),
    exact("e2", "this will fail", "x"),
    choice("c2", ("no", "longest", "mid"), 0),
    exact("e3", "wrong", "right"),
]


def run(model, journal, checks=CHECKS):
    render = lambda row: (Message(role="user", content=row.query),)  # noqa: E731
    return run_checks(Job("s", model, Sampling(), (), render), checks, journal)


@pytest.mark.parametrize(
    ("text", "accepted", "right"),
    [
        ("It is seven.", ["7", "seven"], True),
        ("SEVEN", ["seven"], True),
        ("It is 7.", ["7"], True),
        ("7, I think", ["7"], True),
        ("(7)", ["7"], True),
        ("It costs $5!", ["$5"], True),
        ("C++ it is", ["C++"], True),
        ("3600 seconds", ["60"], False),
        ("seventeen", ["seven"], False),
        ("x7", ["7"], False),
        ("7.5 litres", ["7"], False),
        ("0.7 litres", ["7"], False),
        ("1,700 people", ["700"], False),
        ("1,700 people", ["1,700"], True),
        ("2026-07-01", ["7"], False),
        ("Schlüssel", ["Schl"], False),
        ("a.c", ["a+c", "abc"], False),
        ("", ["7"], False),
    ],
)
def test_an_answer_holds_an_accepted_one_as_whole_words(text, accepted, right):
    assert holds(text, accepted) is right


def test_results_stand_in_the_order_of_the_checks(scoring, tmp_path):
    results = run(scoring(), Journal(tmp_path / "j"))
    assert [(result.check, result.passed) for result in results] == [
        ("e1", True), ("c1", True), ("e2", None), ("c2", False), ("e3", False),
    ]  # fmt: skip
    assert results[2].reason == "it failed"


def test_a_model_without_log_probabilities_leaves_choices_unscored(counting, tmp_path):
    results = {result.check: result for result in run(counting(), Journal(tmp_path / "j"))}
    assert results["c1"].passed is results["c2"].passed is None
    assert "no log-probabilities" in results["c1"].reason
    assert results["e1"].passed is True


def test_a_resumed_run_scores_and_asks_nothing_again(scoring, tmp_path):
    first = run(scoring(), Journal(tmp_path / "j"))
    again = scoring()
    assert run(again, Journal(tmp_path / "j")) == first
    assert again.scored == again.answered == []


def test_choices_are_scored_in_blocks_that_are_journalled_whole(scoring, tmp_path):
    checks = [choice(f"c{i}", ("aa", "b"), i % 2) for i in range(BLOCK + 3)]
    journal = Journal(tmp_path / "j")
    model = scoring()
    results = run(model, journal, checks)
    assert [result.passed for result in results] == [i % 2 == 0 for i in range(BLOCK + 3)]
    assert len(journal) == 2
    changed = [checks[0].model_copy(update={"answer": 1}), *checks[1:]]
    again = scoring()
    assert run(again, Journal(tmp_path / "j"), changed)[0].passed is False
    assert 0 < len(again.scored) < len(checks)


def test_no_checks_are_no_results(scoring, counting, tmp_path):
    assert run(scoring(), Journal(tmp_path / "j"), []) == []
    assert run(counting(), Journal(tmp_path / "j"), []) == []
