"""Answering rows: batches planned from the whole list, nothing asked twice, nothing lost."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.journal import Journal
from selaras.core.records import Query
from selaras.core.system import Sampling
from selaras.evaluate.calls import BATCH_CHARACTERS, plan_batches
from selaras.evaluate.runner import Job, answer_rows

TEXTS = ["a", "bbbb", "cc", "fail here", "ddd", "ee", "ffffffff", "g"]
ROWS = [Query(id=f"r{i}", query=text) for i, text in enumerate(TEXTS)]
SIZES = pytest.mark.parametrize("size", [1, 3, 64])
same_folder = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


def run(model, journal, asked, rows=ROWS, system="s"):
    return answer_rows(Job(system, model, Sampling(), rows, asked), journal)


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 9))
def test_a_plan_holds_every_row_once_longest_first(lengths, size):
    batches = plan_batches(lengths, size)
    order = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(0 < len(batch) <= size for batch in batches)
    assert plan_batches(lengths, size) == batches


def test_a_batch_of_long_rows_is_smaller_and_a_longer_one_stands_alone():
    sizes = [BATCH_CHARACTERS * 2, *[BATCH_CHARACTERS // 3] * 4, 5, 5]
    assert [len(batch) for batch in plan_batches(sizes, 128)] == [1, 3, 3]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30, unique=True), st.integers(1, 5))
def test_a_plan_follows_the_rows_not_their_places(lengths, size):
    turned = lengths[::-1]
    batches = [[lengths[i] for i in batch] for batch in plan_batches(lengths, size)]
    assert [[turned[i] for i in batch] for batch in plan_batches(turned, size)] == batches


@SIZES
def test_answers_come_in_the_order_of_the_rows_with_errors_among_them(
    size, counting, asked, tmp_path
):
    answers = run(counting(size), Journal(tmp_path / "j"), asked)
    assert [answer.row for answer in answers] == [row.id for row in ROWS]
    for row, answer in zip(ROWS, answers, strict=True):
        if row.query == "fail here":
            assert (answer.status, answer.text, answer.error) == ("error", "", "it failed")
        else:
            assert (answer.status, answer.text) == ("ok", row.query.upper())


def test_a_model_of_batches_is_given_whole_batches_and_an_endpoint_what_is_left(
    counting, asked, tmp_path
):
    batched = counting(3)
    run(batched, Journal(tmp_path / "a"), asked)
    assert [len(batch) for batch in batched.batches] == [3, 3, 2]
    single = counting(1)
    rows = [Query(id=f"q{i}", query=f"q{i}") for i in range(99)]
    run(single, Journal(tmp_path / "b"), asked, rows[:9])
    run(single, Journal(tmp_path / "b"), asked, rows)
    assert [len(batch) for batch in single.batches] == [9, 90]


@SIZES
def test_a_finished_run_asks_nothing_again(size, counting, asked, tmp_path):
    first = run(counting(size), Journal(tmp_path / "j"), asked)
    model = counting(size)
    assert run(model, Journal(tmp_path / "j"), asked) == first
    assert model.batches == []


@pytest.mark.parametrize("dies_at", range(len(TEXTS)))
@pytest.mark.parametrize("size", [1, 3])
def test_a_killed_run_goes_on_where_it_was(size, dies_at, counting, asked, tmp_path):
    whole = counting(size)
    expected = run(whole, Journal(tmp_path / "whole"), asked)
    killed = counting(size, dies_at)
    with pytest.raises(KeyboardInterrupt):
        run(killed, Journal(tmp_path / "j"), asked)
    again = counting(size)
    assert run(again, Journal(tmp_path / "j"), asked) == expected
    finished = dies_at - dies_at % size
    # Only the batch that was cut short is asked again, and it is the same batch as in one go.
    assert sorted(killed.answered[:finished] + again.answered) == sorted(TEXTS)
    if size > 1:
        assert again.batches == whole.batches[finished // size :]


@SIZES
@given(cut=st.integers(1, 400))
@same_folder
def test_a_line_that_a_kill_tore_is_done_again(size, cut, counting, asked, tmp_path):
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    expected = run(counting(size), Journal(path), asked)
    whole = path.read_bytes()
    torn = whole[: max(0, len(whole) - cut)]
    path.write_bytes(torn)
    kept = torn.count(b"\n")
    model = counting(size)
    assert run(model, Journal(path), asked) == expected
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())
    answered = min(kept * size, len(ROWS)) if size > 1 else kept
    assert len(model.answered) == len(ROWS) - answered


def test_a_journal_that_is_damaged_elsewhere_is_an_error_with_its_line(counting, asked, tmp_path):
    path = tmp_path / "j"
    run(counting(1), Journal(path), asked)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"key": \n' + b"".join(lines[1:]))
    with pytest.raises(InputError, match="line 2: the journal is damaged"):
        Journal(path)


@SIZES
def test_what_changes_an_answer_is_asked_anew_and_the_rest_is_not(size, counting, asked, tmp_path):
    path = tmp_path / "j"
    run(counting(size), Journal(path), asked)
    other = counting(size)
    run(other, Journal(path), asked, system="another")
    assert len(other.answered) == len(ROWS)
    edited = [*ROWS[:-1], ROWS[-1].model_copy(update={"query": "h"})]
    again = counting(size)
    assert run(again, Journal(path), asked, edited)[-1].text == "H"
    assert len(again.answered) == {1: 1, 3: 2, 64: len(ROWS)}[size]


@SIZES
def test_rows_of_the_same_text_are_each_answered(size, counting, asked, tmp_path):
    rows = [Query(id=f"r{i}", query="the same") for i in range(9)]
    expected = [f"r{i}" for i in range(9)]
    answers = run(counting(size), Journal(tmp_path / "j"), asked, rows)
    assert [answer.row for answer in answers] == expected
    again = counting(size)
    answers = run(again, Journal(tmp_path / "j"), asked, rows)
    assert [answer.row for answer in answers] == expected
    assert again.batches == []


@SIZES
def test_the_journal_holds_no_query(size, counting, asked, tmp_path):
    rows = [Query(id="r", query="A Sealed Question", context={}), *ROWS]
    run(counting(size), Journal(tmp_path / "j"), asked, rows)
    text = (tmp_path / "j").read_text()
    assert "A Sealed Question" not in text
    assert all(json.loads(line)["key"] for line in text.splitlines())


@SIZES
def test_no_rows_are_no_answers(size, counting, asked, tmp_path):
    model = counting(size)
    assert run(model, Journal(tmp_path / "j"), asked, []) == []
    assert model.batches == []
