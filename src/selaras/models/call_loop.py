"""Many calls at once behind a plain iterator: an event loop in a thread of its own.

The caller stays synchronous and sees results as they finish. The loop outlives one batch, so that
an application's own connections, bound to the loop they were opened in, go on working.
"""

import asyncio
import concurrent.futures
import contextlib
import queue
import sys
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_FAREWELL = 2.0  # seconds that cancelled calls are given to let go of their connections


@dataclass(frozen=True, slots=True)
class _Raised:
    error: BaseException


class CallLoop:
    """An event loop in a daemon thread, started by the first call, stopped with its owner.

    >>> async def double(number: int) -> int: return 2 * number
    >>> sorted(CallLoop().finished(double, [1, 2, 3], at_most=2))
    [2, 4, 6]
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting = threading.Lock()

    def finished(
        self, call: Callable[[Item], Awaitable[Result]], items: Sequence[Item], at_most: int
    ) -> Iterator[Result]:
        """Yield each item's result as it finishes, with `at_most` calls in flight.

        Calls wait while `at_most` results are untaken. The first exception ends the rest and is
        raised after the results before it; so does closing the iterator, or Ctrl-C.
        """
        results: queue.SimpleQueue[Result | _Raised | None] = queue.SimpleQueue()
        loop = self._running()
        room = asyncio.Semaphore(at_most)
        driving = asyncio.run_coroutine_threadsafe(
            _drive(call, deque(items), at_most, room, results), loop
        )
        ended = False
        try:
            while (result := results.get()) is not None:
                loop.call_soon_threadsafe(room.release)
                if isinstance(result, _Raised):
                    raise result.error
                yield result
            ended = True
        finally:
            if not ended and _alive(loop):
                driving.cancel()
                with contextlib.suppress(queue.Empty):
                    while results.get(timeout=_FAREWELL) is not None:
                        pass

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of one coroutine; an exception in it is raised here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running()).result()

    def farewell(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Give a coroutine that closes something a short while; how it ends does not matter."""
        loop = self._running()
        if not _alive(loop):
            coroutine.close()
            return
        ending = asyncio.run_coroutine_threadsafe(coroutine, loop)
        concurrent.futures.wait([ending], timeout=_FAREWELL)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                loop = self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_forever, args=(loop,), name="selaras-calls", daemon=True
                ).start()
                weakref.finalize(self, loop.call_soon_threadsafe, loop.stop)
            return self._loop


async def _drive(
    call: Callable[[Item], Awaitable[Result]],
    waiting: deque[Item],
    at_most: int,
    room: asyncio.Semaphore,
    results: "queue.SimpleQueue[Result | _Raised | None]",
) -> None:
    async def work() -> None:
        while waiting:
            result: Result | _Raised
            try:
                result = await call(waiting.popleft())
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # Not we but the call cancelled itself: without a record the row would vanish.
                result = _Raised(RuntimeError(f"a call was cancelled from within ({error!r})"))
            except Exception as error:  # noqa: BLE001 - raised again where the results are taken
                result = _Raised(error)
            if isinstance(result, _Raised):
                waiting.clear()
            await room.acquire()
            results.put(result)

    try:
        await asyncio.gather(*(work() for _ in range(min(at_most, len(waiting)))))
    finally:
        results.put(None)


def _alive(loop: asyncio.AbstractEventLoop) -> bool:
    # An iterator that is only collected when the program ends outlives the loop's thread.
    return not (loop.is_closed() or sys.is_finalizing())


def _forever(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
