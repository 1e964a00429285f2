"""The parts of RL that are arithmetic: advantages, weights of costs, costs, the query set."""

import math

import numpy as np
import pytest
import rl_world
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from selaras.core.errors import InputError
from selaras.core.records import Query
from selaras.core.rl import COSTS, RLSettings
from selaras.data import write_rows
from selaras.tune.advantages import grpo_advantages, rloo_advantages
from selaras.tune.costs import incoherence, is_to_answer, over_length, repetition
from selaras.tune.multipliers import moved, pushed
from selaras.tune.rl import best_look
from selaras.tune.rl_page import _believed
from selaras.tune.rl_queries import QuerySet, choose_queries, is_adversarial, mixed_order

groups = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.floats(-100, 100),
)
shares = st.floats(0, 1)


@given(groups)
def test_rloo_advantages_are_the_leave_one_out_difference_and_sum_to_zero(rewards):
    found = rloo_advantages(rewards)
    for row, own in zip(rewards, found, strict=True):
        others = [np.delete(row, i).mean() for i in range(len(row))]
        assert own == pytest.approx(row - others, abs=1e-9)
        assert own.sum() == pytest.approx(0, abs=1e-9)


@given(groups, st.floats(-50, 50))
def test_a_reward_that_all_responses_share_changes_no_advantage(rewards, more):
    assert rloo_advantages(rewards + more) == pytest.approx(rloo_advantages(rewards), abs=1e-9)
    spread = rewards.std(1, ddof=1).min() > 1e-3
    if spread:
        scaled = grpo_advantages(rewards * 3 + more)
        assert scaled == pytest.approx(grpo_advantages(rewards), rel=0.2, abs=1e-6)


@given(st.dictionaries(st.sampled_from(COSTS), st.tuples(shares, shares, st.floats(0, 20)),
                       min_size=1), st.floats(0.01, 5))  # fmt: skip
def test_a_weight_is_never_negative_and_rises_exactly_while_its_cost_is_over_budget(told, rate):
    costs = {name: cost for name, (cost, _, _) in told.items()}
    budgets = {name: budget for name, (_, budget, _) in told.items()}
    weights = {name: weight for name, (_, _, weight) in told.items()}
    found = moved(weights, costs, budgets, rate, 20.0)
    for name, weight in found.items():
        assert 0 <= weight <= 20
        over = rate * (costs[name] - budgets[name])
        if weights[name] + over != weights[name]:  # more than a rounding error
            assert (weight > weights[name]) == (over > 0 and weights[name] < 20)
    assert moved(weights, {}, budgets, rate, 20.0) == weights


def refusals(pull: float, push: float, steps: int = 60) -> list[float]:
    """Return the share refused by a policy whom a reward pays `pull` sd a refusal, step by step.

    A logistic policy under gradient ascent; nothing was refused before, so the weight is 0.
    """
    place, weights, budgets, found = -3.0, {"a": 0.0}, {"a": 0.1}, []
    for _ in range(steps):
        share = 1 / (1 + math.exp(-place))
        used = pushed(weights, {"a": share}, budgets, push, 20.0)["a"]
        place = max(-5.0, place + 6 * share * (1 - share) * (pull - used))
        weights = moved(weights, {"a": share}, budgets, 1.0, 20.0)
        found.append(share)
    return found


@pytest.mark.parametrize("pull", [1.5, 2.0, 2.5])
def test_a_policy_that_turns_within_two_steps_is_turned_back_within_two(pull):
    alone, found = refusals(pull, 0.0), refusals(pull, RLSettings().weight_push)
    assert sum(share > 0.5 for share in alone) >= 6
    turned = next((i for i, share in enumerate(found) if share > 0.3), None)
    assert turned is None or min(found[turned + 1 : turned + 3]) < 0.2
    assert max(found) < 0.55
    # It settles on its budget and does not swing about it.
    assert found[-20:] == pytest.approx([0.1] * 20, abs=0.02)


def test_a_push_reads_the_excess_alone_and_keeps_the_limit():
    weights, budgets = {"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 0.1, "b": 0.3, "c": 0.3}
    costs = {"a": 0.0, "b": 0.4, "c": None}
    assert pushed(weights, costs, budgets, 10.0, 20.0) == pytest.approx({**weights, "b": 3.0})
    assert pushed(weights, {"a": 1.0}, budgets, 100.0, 20.0) == {**weights, "a": 20.0}
    assert pushed(weights, {"a": 1.0, "b": 1.0, "c": 1.0}, budgets, 0.0, 20.0) == weights


def test_costs_are_shares_and_say_what_they_mean():
    assert over_length(10, True, 64, 64) == 0
    assert over_length(64, False, 64, 64) == 1
    assert incoherence("   ", 1.0) == 1
    assert incoherence("Let it rest for an hour.", float("nan")) == 1
    assert incoherence("Let it rest for an hour.", 20.0) == 1
    babble = "the dough the dough " * 20
    assert repetition(babble) > 0.9
    assert incoherence(babble, 1.0) == repetition(babble)


def test_only_what_should_be_answered_can_be_refused_too_much():
    asked = {"id": "a", "query": "q"}
    assert is_to_answer(Query(**asked, kind="look_alike", expected="answer"))
    assert is_to_answer(Query(**asked, kind="inadvertent"))
    assert not is_to_answer(Query(**asked, kind="malicious"))
    assert not is_to_answer(Query(**asked, kind="inadvertent", expected="safe_completion"))


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 3))
def test_an_epoch_asks_every_query_once_and_mixes_both_sides(sides, epoch):
    order = mixed_order(sides, 1, epoch)
    assert sorted(order) == list(range(len(sides)))
    share = sum(sides) / len(sides)
    for end in range(1, len(order) + 1):
        assert abs(sum(sides[i] for i in order[:end]) - share * end) <= 1


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12))
def test_steps_go_through_the_set_epoch_by_epoch(adversarial, other, size):
    found = QuerySet(rl_world.queries(adversarial, other), ())
    n = adversarial + other
    asked = [row.id for step in range(n) for row in found.batch(step, size, 0)]
    assert len(asked) == n * size
    for epoch in range(size):
        assert len(set(asked[epoch * n : (epoch + 1) * n])) == n
    assert found.batch(3, size, 0) == found.batch(3, size, 0)


@pytest.fixture
def project(tmp_path, tiny_folder):
    return rl_world.write_project(tmp_path, tiny_folder)


def test_queries_to_watch_are_of_both_kinds_and_of_other_groups(project):
    found = choose_queries(project, rl_world.development(), None)
    assert not {row.id for row in found.train} & {row.id for row in found.watched}
    assert sum(is_adversarial(row) for row in found.watched) == len(found.watched) // 2 == 4


@pytest.mark.parametrize(
    ("adversarial", "other", "says"),
    [(0, 9, "all 9 RL queries are non-adversarial: .* add inadvertent or malicious queries"),
     (9, 0, "all 9 RL queries are adversarial: .* add ordinary or look-alike queries")],
)  # fmt: skip
def test_a_set_of_one_kind_is_refused_whatever_is_asked(project, adversarial, other, says):
    rows = rl_world.queries(adversarial, other)
    for unbalanced in (False, True):
        with pytest.raises(InputError, match=says):
            choose_queries(project, rl_world.development(rows), None, unbalanced=unbalanced)


def test_a_set_outside_the_band_is_refused_with_numbers_unless_told(project):
    held = rl_world.development(rl_world.queries(8, 40))
    with pytest.raises(
        InputError,
        match=r"\d of \d\d RL queries are adversarial \(1\d%\), outside the band of 30% to 70%.*"
        r"selaras data queries rl.jsonl --n \d+ --adversarial 0.5.*--unbalanced",
    ):
        choose_queries(project, held, None)
    assert choose_queries(project, held, None, unbalanced=True).counts["malicious"] == 5


def test_a_file_of_queries_chooses_development_rows_and_nothing_else(project, tmp_path):
    rows = rl_world.queries()
    path = tmp_path / "rl.jsonl"

    def write(chosen):
        write_rows(path, [row.model_copy(update={"id": f"rl-{row.id}"}) for row in chosen])

    write([*rows[:10], *rows[25:35]])
    found = choose_queries(project, rl_world.development(rows), path)
    named = {row.id for row in (*found.train, *found.watched)}
    assert named <= {row.id for row in (*rows[:10], *rows[25:35])}
    write([*rows[:10], rows[0].model_copy(update={"id": "new", "query": "Is this sealed?"})])
    with pytest.raises(InputError, match=r"1 of 11 queries are no development rows \(rl-new\)"):
        choose_queries(project, rl_world.development(rows), path)


def test_the_checkpoint_of_most_held_aside_reward_within_the_budget_is_chosen():
    def look(step, rise, kl, cost=0.0):
        costs = dict.fromkeys(COSTS, cost)
        return {"step": step, "kl_per_response": kl, "costs": costs, "reward": {"rise": 9.0},
                "held_aside_reward": {"rise": rise}}  # fmt: skip

    looks = [look(10, 0.5, 1), look(20, 0.9, 4), look(30, 2.0, 40), look(40, 1.0, 5, cost=0.4)]
    weights, free = dict.fromkeys(COSTS, 1.0), dict.fromkeys(COSTS, 0.0)
    settings = RLSettings(kl_budget=10.0)
    # A cost over its budget is not bought by a reward, whatever its weight has become.
    assert best_look(looks, settings, weights)["step"] == 20
    assert best_look(looks, settings, free)["step"] == 20
    over = [look(10, 0.5, 1, cost=0.4), look(40, 1.0, 5, cost=0.9)]
    assert best_look(over, settings, weights)["step"] == 10
    assert best_look(over, settings, free)["step"] == 40
    assert best_look(looks, RLSettings(kl_budget=0.5), weights)["step"] == 10


def test_settings_know_their_limits():
    for bad in ({"samples": 1}, {"kl_budget": 0}, {"algorithm": "ppo"}, {"budgets": {"x": 1}}):
        with pytest.raises(ValueError, match="validation error"):
            RLSettings.model_validate(bad)


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        ((0.2, 0.6), (0.1, 0.5), "Both rose."),
        ((-0.2, 0.6), (0.1, 0.5), "Only that one is shown to have risen."),
        ((0.2, 0.6), (-0.1, 0.5), "Its interval holds 0"),
        ((0.2, 0.6), (-0.9, -0.5), "It fell"),
        ((-0.2, 0.6), (-0.1, 0.5), "Neither rise is shown."),
    ],
)
def test_the_page_says_of_both_rewards_what_their_intervals_show(own, other, said):
    def risen(span):
        return {"rise": sum(span) / 2, "low": span[0], "high": span[1], "n": 40}

    look = {"step": 10, "kl_per_response": 2.0, "reward": risen(own)}
    told = _believed([{**look, "held_aside_reward": risen(other)}], "checkpoint-10")
    assert said in told
    assert ("holds 0" in told) == (said == "Its interval holds 0")
