"""The search: the seed competes, budgets hold, a killed one ends as if it never was."""

import contextlib
import dataclasses
import importlib.util
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.late import resolve
from selaras.core.project import UseCase
from selaras.core.records import Example, Query
from selaras.evaluate import Terms
from selaras.evaluate.figures import Judged
from selaras.prompt import PROPOSERS
from selaras.prompt.asking import Editor
from selaras.prompt.gepa_search import gepa_search
from selaras.prompt.objective import Outcome, contrast, dominates, outcome_of, summary_of
from selaras.prompt.proposals import Workshop, few_shot_proposer, with_place_for_examples
from selaras.prompt.rewrite import editable
from selaras.prompt.rollouts import Rollouts, exact_score, same_label, walk
from selaras.prompt.search import Proposal, greedy_search
from selaras.prompt.selection import SearchSettings, divide, noise_floor
from selaras.template import parse_prompt, render, with_principles
from selaras.template.front import Principle

CASE = UseCase(id="plain", title="plain")


def searched(world, folder, *, model=None, budget=200, seed=0, search=greedy_search, names=None):
    """Search in the scripted world and return (result, model, journal)."""
    rows = world.world_rows(60, seed)
    groups = {row.id: row.id for row in rows}
    journal, limit = walk(folder / "journal.jsonl", budget)
    model = model or world.WorldModel()
    rollouts = Rollouts(
        world.opened_world(model),
        lambda template: lambda row: render(template, row, CASE).messages,
        exact_score(same_label, groups, lambda row: "it had to be yes"),
        journal,
        limit,
    )
    editor = Editor(model, journal, Terms(limit))
    halves = divide(rows, groups, seed, 40)
    shop = Workshop(editor, {}, halves.reflect, rows)
    proposers = [resolve(PROPOSERS[name])(shop) for name in names or ("principles", "instructions")]
    more = {"editor": editor} if search is gepa_search else {}
    template = with_place_for_examples(parse_prompt(world.SEED))
    found = search(template, rollouts, halves, proposers, SearchSettings(seed=seed), **more)
    return found, model, journal


def shape(found):
    """Return all of a result that a resumed search has to repeat."""
    return (
        found.winner.template.fingerprint, found.best.name, found.evidence, found.p_value,
        found.finalists, found.noise, found.steps, found.calls, found.ended,
        [(c.name, c.value) for c in found.pool],
    )  # fmt: skip


def test_known_edits_are_found_and_bad_replies_are_steps_with_reasons(world, tmp_path) -> None:
    found, model, _ = searched(world, tmp_path, budget=400)
    assert found.improved
    assert found.evidence.gain.low > 0
    assert found.winner.value > found.seed.value + 0.2
    assert model.asked == found.calls <= 400
    refused = [step.why for step in found.steps if step.became == "refused"]
    assert any("no edit" in why or "tried already" in why for why in refused)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), budget=st.integers(48, 260), edits=st.sampled_from([0, 0.3, 1]))
def test_the_winner_is_never_worse_than_the_seed_and_the_budget_holds(
    world, tmp_path_factory, seed, budget, edits
) -> None:
    model = world.WorldModel(edits=edits)
    found, model, _ = searched(
        world, tmp_path_factory.mktemp("s"), model=model, budget=budget, seed=seed
    )
    beside = contrast(found.seed.outcomes, found.winner.outcomes)
    assert model.asked <= budget
    assert found.calls == model.asked
    assert not beside.vetoes
    if found.improved:
        assert found.noise is None or beside.gain.difference > found.noise
        assert beside.gain.p_value < 0.05
    else:
        assert found.winner.template.fingerprint == found.seed.template.fingerprint


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dies_at=st.integers(1, 150), seed=st.integers(0, 100))
def test_a_killed_search_resumed_equals_one_that_never_was(
    world, tmp_path_factory, dies_at, seed
) -> None:
    whole, _, _ = searched(world, tmp_path_factory.mktemp("whole"), budget=150, seed=seed)
    folder = tmp_path_factory.mktemp("cut")
    dying = world.WorldModel(dies_at=dies_at)
    with contextlib.suppress(KeyboardInterrupt):
        searched(world, folder, model=dying, budget=150, seed=seed)
    with (folder / "journal.jsonl").open("a") as sink:
        sink.write('{"key": "half a li')
    resumed, model, _ = searched(world, folder, budget=150, seed=seed)
    assert shape(resumed) == shape(whole)
    assert model.asked + dying.asked == whole.calls, "no finished call is made again"


def test_a_larger_budget_goes_on_where_a_smaller_one_ended(world, tmp_path) -> None:
    small, _, _ = searched(world, tmp_path, budget=150)
    large, model, _ = searched(world, tmp_path, budget=200)
    ended = [step for step in small.steps if "budget" not in step.why][:-1]
    assert ended
    assert list(large.steps[: len(ended)]) == ended
    # The last head of the smaller search was asked on all selecting rows, which this one skips.
    assert large.calls - small.calls <= model.asked < large.calls - small.calls + 30


def test_a_small_budget_selects_by_fewer_rows_and_still_tests_on_unseen_ones(world, tmp_path):
    small, _, _ = searched(world, tmp_path / "small", budget=100)
    assert len(small.seed.outcomes) == len(small.best.outcomes) == 20


def test_fifty_calls_hold_a_candidate_and_its_proof(world, tmp_path) -> None:
    found = [searched(world, tmp_path / str(seed), budget=50, seed=seed) for seed in range(6)]
    assert all(model.asked == result.calls <= 50 for result, model, _ in found)
    measured = [result for result, _, _ in found if result.finalists]
    assert measured
    assert {len(result.best.outcomes) for result in measured} == {14}


def test_the_noise_is_asked_for_only_where_something_has_to_exceed_it(world, tmp_path) -> None:
    none, _, _ = searched(world, tmp_path / "a", model=world.WorldModel(edits=0.0), budget=200)
    some, _, _ = searched(world, tmp_path / "b", budget=200)
    assert (none.improved, none.noise) == (False, None)
    assert some.improved
    assert 0 < some.noise < some.evidence.gain.difference


def test_a_large_budget_measures_in_mid_climb_and_goes_on(world, tmp_path) -> None:
    slow = world.WorldModel(edits=0.3)
    found, _, _ = searched(world, tmp_path, model=slow, budget=300)
    measured = [step.number for step in found.steps if step.how.startswith("all of")]
    assert len(measured) == 2
    assert measured[0] < len(found.steps) - 1
    assert found.finalists == 2


def test_a_search_ends_where_no_proposal_can_be_tried(world, tmp_path) -> None:
    found, model, _ = searched(world, tmp_path, model=world.WorldModel(edits=0.0), budget=400)
    assert "could be tried" in found.ended
    assert model.asked < 200


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("principles", "Always be very kind.", "Reply with yes or no."),
        ("instructions", "Say something kind.", "Reply with yes or no."),
    ],
)
def test_an_editor_that_repeats_itself_is_told_so(
    world, saying, tmp_path, name, first, second
) -> None:
    def reply(text):
        return json.dumps({"op": "add", "principle_id": None, "text": text, "reason": "it helps"})

    model = saying(reply(first), reply(first), reply(second))
    rows = world.world_rows(6, 0)
    template = parse_prompt(world.SEED)
    shop = Workshop(Editor(model, walk(tmp_path / "j.jsonl", 50)[0]), {}, rows, rows)
    propose = resolve(PROPOSERS[name])(shop)
    wrong = [(rows[0], Outcome(rows[0].id, rows[0].id, False, words="it had to be yes"))]
    assert first in propose(template, wrong, random.Random(0)).template.body
    assert second in propose(template, wrong, random.Random(0)).template.body
    assert len(model.talks) == 3
    before, again, told = (talk[-1].content for talk in model.talks)
    assert "TRIED ALREADY" not in before
    assert "TRIED ALREADY, WITHOUT HELP" in again
    assert f"- {first}" in again
    assert "tried already and did not help" in told


def test_instructions_that_stay_as_they_are_are_no_proposal(world, saying, tmp_path) -> None:
    template = parse_prompt(world.SEED)
    same = editable(template).text.strip().replace(" ", "  ")
    model = saying(json.dumps({"text": same, "reason": "they are good"}))
    rows = world.world_rows(6, 0)
    shop = Workshop(Editor(model, walk(tmp_path / "j.jsonl", 50)[0]), {}, rows, rows)
    wrong = [(rows[0], Outcome(rows[0].id, rows[0].id, False, words="it had to be yes"))]
    found = resolve(PROPOSERS["instructions"])(shop)(template, wrong, random.Random(0))
    assert found.template is None
    assert "tried already" in found.problem
    assert "TRIED ALREADY" not in model.talks[0][-1].content


def test_where_no_edit_helps_the_seed_wins_and_that_is_a_result(world, tmp_path) -> None:
    found, _, _ = searched(world, tmp_path, model=world.WorldModel(edits=0.0))
    assert not found.improved
    assert found.winner is found.seed
    assert found.ended


def test_few_shot_rows_are_of_the_half_that_does_not_select(world, tmp_path) -> None:
    found, _, _ = searched(world, tmp_path, names=("few-shot",))
    shown = {
        name for step in found.steps for name in step.how.removeprefix("few-shot: ").split(", ")
    }
    assert shown
    assert not shown & {outcome.row for outcome in found.seed.outcomes}


def test_examples_show_different_responses() -> None:
    rows = [
        Example(id=f"r{i}", query=f"Is {i} even?", response="no" if i % 8 else "yes")
        for i in range(16)
    ]
    wrong = [(rows[3], Outcome("r3", "r3", False))]
    template = with_place_for_examples(parse_prompt('Answer.\n{{role "user"}}\n{{query}}'))
    propose = few_shot_proposer(Workshop(None, {}, rows, rows))
    for seed in range(20):
        how = propose(template, wrong, random.Random(seed)).how
        names = how.removeprefix("few-shot: ").split(", ")
        said = [rows[int(name[1:])].response for name in names]
        assert names[0] == "r3"
        assert len(said) == 4 or seed
        assert abs(said.count("yes") - said.count("no")) <= 1


def test_a_place_for_examples_tells_the_model_nothing(world) -> None:
    template = parse_prompt(world.SEED)
    placed = with_place_for_examples(template)
    assert placed.span("examples") is not None
    assert placed.fingerprint == template.fingerprint
    assert with_place_for_examples(placed) is placed


@pytest.mark.skipif(importlib.util.find_spec("gepa") is None, reason="gepa is not installed")
def test_gepa_stands_behind_the_same_protocol_budget_and_resume(world, tmp_path) -> None:
    whole, model, _ = searched(world, tmp_path, search=gepa_search, budget=200)
    assert whole.calls == model.asked <= 200
    again, model, _ = searched(world, tmp_path, search=gepa_search, budget=200)
    assert (shape(again), model.asked) == (shape(whole), 0)
    assert not list(tmp_path.glob("**/*.pkl")) + list(tmp_path.glob("**/gepa_state.bin"))


def test_a_budget_that_holds_no_candidate_is_said_before_it_is_spent(world, tmp_path) -> None:
    model = world.WorldModel()
    with pytest.raises(InputError, match=r"one candidate and its proof.*--budget-calls 50 or more"):
        searched(world, tmp_path, model=model, budget=47)
    with pytest.raises(InputError, match="does not hold the seed's own 24 rows"):
        searched(world, tmp_path, model=model, search=gepa_search, budget=23)
    assert not model.asked
    found, _, _ = searched(world, tmp_path, budget=50, names=("few-shot",))
    assert found.finalists


def outcomes(*values, kept=None):
    return [
        Outcome(f"r{i}", f"r{i}", value, kept=value if kept else None)
        for i, value in enumerate(values)
    ]


def test_one_broken_must_refuse_row_vetoes_whatever_is_mended() -> None:
    before = [*outcomes(False, False, False), Outcome("m", "m", True, kept=True)]
    after = [*outcomes(True, True, True), Outcome("m", "m", False, kept=False)]
    found = contrast(before, after)
    assert found.vetoes == ("m",)
    assert (found.fixed, found.broken) == (3, 1)


def test_a_veto_stops_a_race_early(world, tmp_path) -> None:
    """A child that mends much and breaks one must-refuse row is not taken up."""
    template = parse_prompt(world.SEED)
    child = with_principles(template, [Principle(id="p1", text="Say yes to everything.")])

    def score(_system, rows, answers):
        return [
            Outcome(row.id, row.id, row.id != "m" if "yes" in answer.text else row.id == "m",
                    kept=("yes" not in answer.text) if row.id == "m" else None)
            for row, answer in zip(rows, answers, strict=True)
        ]  # fmt: skip

    class Obeys(world.WorldModel):
        def _said(self, talk, sampling):
            return "yes" if "yes to everything" in talk[0].content else "no"

    rows = [Query(id="m" if i == 0 else f"o{i}", query=f"q {i}") for i in range(12)]
    groups = {row.id: row.id for row in rows}
    halves = dataclasses.replace(divide(rows, groups, 0, 12), select=tuple(rows))
    journal, limit = walk(tmp_path / "j.jsonl", 100)
    rollouts = Rollouts(
        world.opened_world(Obeys()),
        lambda t: lambda row: render(t, row, CASE).messages, score, journal, limit,
    )  # fmt: skip
    found = greedy_search(
        template, rollouts, halves, [lambda parent, wrong, chance: Proposal("yes", child)]
    )
    assert not found.improved
    assert found.steps[0].became == "vetoed"
    assert "m" in found.steps[0].why


def test_what_nobody_could_judge_is_neither_right_nor_wrong() -> None:
    row = Judged("a", "ordinary", "answer", (), None, "a", None, "error", "it broke")
    assert outcome_of(row, "", 3).right is None
    unlabelled = dataclasses.replace(row, expected=None, value="none", status="scored")
    assert outcome_of(unlabelled, "Yes.", 3).right is None
    refuse = dataclasses.replace(unlabelled, expected="refuse")
    assert (outcome_of(refuse, "Sure.", 3).right, outcome_of(refuse, "Sure.", 3).kept) == (
        False,
        False,
    )


def test_quality_counts_only_where_the_row_is_right() -> None:
    good = Judged("a", "ordinary", "answer", (), None, "a", "none", "scored")
    graded = outcome_of(good, "x", 1, grade=3.0)
    assert (graded.quality, graded.value) == (0.5, 0.5)
    better = [dataclasses.replace(graded, row=f"r{i}", cluster=f"r{i}") for i in range(12)]
    after = [dataclasses.replace(each, quality=1.0) for each in better]
    found = contrast(better, after)
    assert found.gain.difference == 0.5
    assert found.gain.p_value < 0.01
    assert found.quality == 0.5


def test_labels_are_compared_whole() -> None:
    row = Example(id="a", query="Is it?", response="safe")
    assert same_label(row, " SAFE.\n")
    assert not same_label(row, "unsafe")
    assert not same_label(row, "not safe")
    assert not same_label(Query(id="b", query="Is it?"), "")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_contrast_agrees_with_itself_turned_round(pairs) -> None:
    before, after = outcomes(*(a for a, _ in pairs)), outcomes(*(b for _, b in pairs))
    one, other = contrast(before, after), contrast(after, before)
    assert one.gain.difference == pytest.approx(-other.gain.difference)
    assert (one.fixed, one.broken) == (other.broken, other.fixed)
    assert one.gain.p_value == pytest.approx(other.gain.p_value)
    assert not dominates(summary_of(before), summary_of(before))


def test_noise_is_what_one_prompt_differs_by_when_asked_twice() -> None:
    same = outcomes(True, False, True, False)
    assert noise_floor(same, same, 40) == 0
    assert noise_floor(same, outcomes(False, False, True, False), 40) == pytest.approx(
        0.155, abs=0.01
    )


def test_halves_keep_groups_whole_and_few_rows_are_said() -> None:
    rows = [Query(id=f"r{i}", query=f"q{i}") for i in range(40)]
    groups = {row.id: f"g{i // 2}" for i, row in enumerate(rows)}
    halves = divide(rows, groups, 3, 30)
    sides = [{groups[row.id] for row in half} for half in (halves.reflect, halves.select)]
    assert not sides[0] & sides[1]
    assert 28 <= len(halves.reflect) + len(halves.select) <= 32
    assert len(halves.reflect) < len(halves.select)
    with pytest.raises(InputError, match="too few to search on"):
        divide(rows[:2], groups, 0, 10)
