"""Requests a minute: calls start evenly spaced, retries included, over all batches together."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """Lets one caller through every 60/`per_minute` seconds; None lets everybody through."""

    def __init__(
        self,
        per_minute: float | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._sleep, self._clock = sleep, clock
        self._next = 0.0

    async def turn(self) -> None:
        """Return when it is the caller's turn; turns are handed out in the order of calling."""
        if not self._gap:
            return
        now = self._clock()
        start = max(now, self._next)
        self._next = start + self._gap
        if start > now:
            await self._sleep(start - now)
