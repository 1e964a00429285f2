"""How many requests are worked on at once; the others wait a little or are told to come back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from selaras.safeguard.api import RefusedError


class Admission:
    """Lets `at_once` requests in and `waiting` more wait, up to `patience` seconds each."""

    def __init__(self, at_once: int = 64, waiting: int = 128, patience: float = 5.0) -> None:
        self.at_once, self.waiting, self.patience = at_once, waiting, patience
        self.inside = self.outside = 0
        self._slots = asyncio.Semaphore(at_once)

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a place while the block runs; raises RefusedError (503) where there is none."""
        if self._slots.locked() and self.outside >= self.waiting:
            raise self._busy()
        self.outside += 1
        try:
            async with asyncio.timeout(self.patience):
                await self._slots.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self.outside -= 1
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self._slots.release()

    def _busy(self) -> RefusedError:
        return RefusedError(
            503, "too many requests at once: try again in a moment", "overloaded_error",
            code="overloaded", retry_after=1.0,
        )  # fmt: skip
