import asyncio
import gc
import threading
import time

import pytest

from selaras.models.call_loop import CallLoop


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


def test_nothing_to_do_ends_at_once():
    assert list(CallLoop().finished(double, [], at_most=3)) == []


@pytest.mark.parametrize("at_most", [1, 2, 50])
def test_every_item_has_its_result(at_most):
    assert sorted(CallLoop().finished(double, range(20), at_most)) == list(range(0, 40, 2))


def test_an_exception_is_raised_after_the_results_before_it_and_ends_the_rest():
    begun = []

    async def call(number):
        begun.append(number)
        if number == 2:
            raise LookupError("two")
        return number

    results = CallLoop().finished(call, range(100), at_most=1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="two"):
        next(results)
    assert begun == [0, 1, 2]


def test_a_call_that_cancels_itself_is_an_error_and_not_a_lost_row():
    async def call(number):
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled from within"):
        list(CallLoop().finished(call, [1], at_most=1))


def test_an_abandoned_iterator_cancels_its_calls():
    ended = threading.Event()

    async def call(number):
        if number:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()
        return number

    results = CallLoop().finished(call, [0, 1], at_most=2)
    assert next(results) == 0
    del results
    gc.collect()
    assert ended.wait(2)


def test_all_batches_run_in_one_loop_and_its_thread_ends_with_its_owner():
    seen = set()

    async def call(number):
        seen.add((threading.current_thread(), asyncio.get_running_loop()))
        return number

    calls = CallLoop()
    for _ in range(3):
        list(calls.finished(call, [1, 2], at_most=2))
    ((thread, loop),) = seen
    del calls
    gc.collect()
    thread.join(2)
    assert not thread.is_alive()
    assert loop.is_closed()


def test_two_loops_do_not_wait_for_each_other():
    inner = CallLoop()

    async def call(number):
        return sum(inner.finished(double, [number], at_most=1))

    begun = time.monotonic()
    assert sorted(CallLoop().finished(call, [1, 2], at_most=2)) == [2, 4]
    assert time.monotonic() - begun < 5
