"""Calls: a budget is never passed, failures are retried only on request, costs are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.endpoint import Prices
from selaras.core.errors import InputError
from selaras.core.journal import Journal
from selaras.core.records import Query
from selaras.core.system import Sampling
from selaras.evaluate import Budget, BudgetSpentError, Terms
from selaras.evaluate.runner import Job, answer_rows

ROWS = [Query(id=f"r{i}", query=f"text {i}") for i in range(8)]
SIZES = pytest.mark.parametrize("size", [1, 3])


def run(model, journal, asked, terms, rows=ROWS):
    return answer_rows(Job("s", model, Sampling(max_tokens=10), rows, asked), journal, terms=terms)


@given(st.lists(st.floats(0, 9), max_size=20), st.integers(0, 20), st.floats(0, 50))
def test_a_budget_makes_room_for_a_prefix_that_it_can_pay(prices, calls, cost):
    room = Budget(calls, cost).room(prices)
    assert room <= min(calls, len(prices))
    assert sum(prices[:room]) <= cost + 1e-9
    if room < min(calls, len(prices)):
        assert sum(prices[: room + 1]) > cost


@SIZES
@pytest.mark.parametrize("limit", [0, 4, 7])
def test_calls_stop_before_the_budget_is_passed_and_go_on_later(
    size, limit, counting, asked, tmp_path
):
    first = counting(size)
    with pytest.raises(BudgetSpentError, match="calls are left to make: go on with --resume"):
        run(first, Journal(tmp_path / "j"), asked, Terms(Budget(max_calls=limit)))
    assert len(first.answered) == limit - limit % size
    again = counting(size)
    answers = run(again, Journal(tmp_path / "j"), asked, Terms(Budget(max_calls=8)))
    assert [answer.text for answer in answers] == [row.query.upper() for row in ROWS]
    assert len(first.answered) + len(again.answered) == len(ROWS)


def test_a_cost_stops_before_it_could_be_passed_and_counts_what_was_really_used(
    counting, asked, tmp_path
):
    model = counting(1)
    # Read 6/3 and write 10 tokens at worst, really 3 and 2: 12 and 5 units.
    model.prices = Prices(input=1e6, output=1e6)
    budget = Budget(max_cost=30.0)
    with pytest.raises(BudgetSpentError, match=r"20 of 30\) and 4 calls are left"):
        run(model, Journal(tmp_path / "j"), asked, Terms(budget))
    assert (budget.calls, budget.cost) == (4, 20.0)


def test_a_cost_without_prices_is_refused_before_anything_is_asked(counting, asked, tmp_path):
    model = counting(1)
    model.prices = None
    with pytest.raises(InputError, match="needs the prices of counting"):
        run(model, Journal(tmp_path / "j"), asked, Terms(Budget(max_cost=1.0)))
    assert model.answered == []


@SIZES
def test_what_failed_is_asked_again_only_on_request(size, counting, asked, tmp_path):
    rows = [*ROWS, Query(id="f", query="fail it")]
    run(counting(size), Journal(tmp_path / "j"), asked, None, rows)
    silent = counting(size)
    run(silent, Journal(tmp_path / "j"), asked, None, rows)
    assert silent.answered == []
    again = counting(size)
    run(again, Journal(tmp_path / "j"), asked, Terms(retry_errors=True), rows)
    assert "fail it" in again.answered
    # A batch is done again whole, as it was planned: its rows change each other's outputs.
    assert len(again.answered) == size


def test_a_retry_that_works_takes_the_place_of_the_failure(counting, asked, tmp_path):
    class Mended(counting):
        def generate(self, conversations, sampling):
            for generation in super().generate(conversations, sampling):
                yield type(generation)(generation.index, "mended")

    rows = [Query(id="f", query="fail it")]
    first = run(counting(1), Journal(tmp_path / "j"), asked, None, rows)
    assert first[0].status == "error"
    run(Mended(1), Journal(tmp_path / "j"), asked, Terms(retry_errors=True), rows)
    last = counting(1)
    assert run(last, Journal(tmp_path / "j"), asked, None, rows)[0].text == "mended"
    assert last.answered == []
