"""Figures of scored pairs: accuracy, length, calibration; and a look for the sealed ones."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.projects import make_project, some_rows, use_word_encoder
from selaras.core.errors import InputError, SealError
from selaras.core.records import Message
from selaras.data import looks_at, open_development, read_seal, split_project
from selaras.evaluate.pairs import TOO_LONG, PairScore, measure_sealed_pairs, pair_figures
from selaras.evaluate.suite import held_out_pairs, held_out_suite

WORDS = ["apple", "river", "stone", "cloud", "piano", "tiger", "lemon", "chair"]


def scored(margins, lengths=None):
    return [
        PairScore(f"p{i}", f"g{i}", ("hate",), "malicious", "safe/unsafe", None, (margin, 0.0),
                  (lengths or {}).get(i, (10, 20)))
        for i, margin in enumerate(margins)
    ]  # fmt: skip


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=40))
def test_swapping_the_sides_mirrors_the_accuracy_and_keeps_the_bins(margins):
    own = pair_figures(scored(margins))
    other = pair_figures(scored([-margin for margin in margins]))
    ties = sum(margin == 0 for margin in margins) / len(margins)
    both = own["accuracy"]["value"] + other["accuracy"]["value"]
    assert math.isclose(both, 1 - ties, abs_tol=1e-9)
    assert [each["confidence"] for each in own["calibration"]["bins"]] == pytest.approx(
        [each["confidence"] for each in other["calibration"]["bins"]]
    )
    assert sum(each["accuracy"]["n"] for each in own["calibration"]["bins"]) == len(margins)


def test_a_reward_that_means_what_it_says_is_calibrated():
    # Of forty pairs with a margin of ln 3 thirty are right: sure by .75, right in .75.
    margins = [math.log(3)] * 30 + [-math.log(3)] * 10
    found = pair_figures(scored(margins))["calibration"]
    assert found["error"] == pytest.approx(0, abs=1e-9)
    assert [each["confidence"] for each in found["bins"]] == pytest.approx([0.75])


def test_length_says_what_the_rewards_may_rest_on():
    lengths = {i: (30, 10) if i < 6 else (10, 30) for i in range(10)}
    found = pair_figures(scored([2.0] * 6 + [-2.0] * 4, lengths))["length"]
    assert (found["rule"], found["length_only"]["value"]) == ("longer", 0.6)
    assert found["better_is_longer"]["value"] == 1.0
    assert found["better_is_shorter"]["value"] == 0.0
    assert found["correlation"] is not None
    assert pair_figures([])["accuracy"]["n"] == 0


class Longer:
    """Rewards length."""

    identity = {"name": "longer"}  # noqa: RUF012

    def reward(self, conversations, responses):
        return [float(len(response)) for response in responses]


def render(row):
    return (Message(role="user", content=row.query),)


@pytest.fixture
def project(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    made = [
        {"id": f"pair-{i}", "kind": "malicious", "expected": "refuse", "policies": ["hate"],
         "query": f"{word} {word}s {i} {word}", "response_a": "No, and here is why not.",
         "response_b": "Yes.", "best": "a"}
        for i, word in enumerate(WORDS)
    ]  # fmt: skip
    found = make_project(tmp_path, some_rows(4, 10))
    path = found.root / "data" / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return found


def test_sealed_pairs_are_a_fair_share_measured_once_and_asked_of_nobody(project):
    before = make_project(project.root / "same", some_rows(4, 10))
    split_project(before)
    split_project(project)
    suite = held_out_pairs(project)
    assert 1 <= len(suite.rows) <= 4
    assert [row.id for row in held_out_suite(project).rows] == [
        row.id for row in held_out_suite(before).rows
    ], "pairs change nothing about which other rows are sealed"
    development = open_development(project)
    assert not {row.id for row in suite.rows} & {row.id for row in development.rows}
    found = measure_sealed_pairs(project, Longer(), render, "reward-run")
    assert found["accuracy"]["value"] == 1.0
    assert found["accuracy"]["n"] == len(suite.rows)
    assert (found["stamp"], found["looks"]) == ("held-out figures", 1)
    assert measure_sealed_pairs(project, Longer(), render, "again")["looks"] == 1
    assert len(looks_at(project, read_seal(project))) == 1
    with pytest.raises(InputError, match="no preference pairs of the policy 'other'"):
        measure_sealed_pairs(project, Longer(), render, "reward-run", "other")


def test_sealed_pairs_that_do_not_fit_are_named_and_cost_no_look_where_none_does(project):
    split_project(project)
    rows = held_out_pairs(project).rows
    assert len(rows) > 1

    def none(*_):
        return False

    with pytest.raises(InputError, match=r"none of the .* sealed pairs fits the context"):
        measure_sealed_pairs(project, Longer(), render, "run", fits=none)
    assert looks_at(project, read_seal(project)) == []

    def fits(conversation, _):
        return conversation[-1].content != rows[0].query

    found = measure_sealed_pairs(project, Longer(), render, "run", fits=fits)
    assert found["accuracy"]["n"] == len(rows) - 1
    assert found["left_out"][0]["record"] == rows[0].id
    assert found["left_out"][0]["reason"] == TOO_LONG


def test_where_no_pair_is_sealed_no_look_is_spent(tmp_path, monkeypatch):
    use_word_encoder(monkeypatch)
    project = make_project(tmp_path, some_rows(4, 10))
    with pytest.raises(SealError, match="nothing is sealed"):
        measure_sealed_pairs(project, Longer(), render, "run")
    split_project(project)
    with pytest.raises(InputError, match="no preference pairs are sealed"):
        measure_sealed_pairs(project, Longer(), render, "run")
    assert looks_at(project, read_seal(project)) == []
