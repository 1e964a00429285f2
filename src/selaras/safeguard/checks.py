"""A guard's checks as an event loop needs them: no check holds the loop up or waits for ever.

Quick stages on short texts run where they are called, which is cheaper than handing them to a
thread. All else runs in a bounded pool, with a time limit. A check that fails or is late is an
`error`, like one whose stage failed, unless the guard was set to fail open.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from selaras.core.records import Conversation
from selaras.safeguard.guard import OnFault
from selaras.safeguard.message import Wording
from selaras.safeguard.outcome import Outcome, Side

LOGGER = logging.getLogger("selaras.guard")
SHORT = 8_000  # characters: about a millisecond of rules


class Checker(Protocol):
    """What is asked of a guard here; `selaras.safeguard.Guard` is one."""

    @property
    def hold(self) -> int:
        """Characters of a growing response that stay back."""
        ...

    @property
    def quick(self) -> bool:
        """Whether a check of a short text takes a millisecond or two, without waiting."""
        ...

    @property
    def on_fault(self) -> OnFault:
        """Whether what could not be checked is an error or passes."""
        ...

    def releasable(self, text: str) -> int:
        """Return how many characters of a checked, growing text may leave."""
        ...

    def check_query(self, asked: Conversation) -> Outcome:
        """Return the outcome of a conversation."""
        ...

    def check_response(
        self, asked: Conversation, response: str, arguments: Sequence[str] = (), final: bool = True
    ) -> Outcome:
        """Return the outcome of a response and of what tool calls say."""
        ...


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of one guard. `patience` is the seconds that one check may take."""

    guard: Checker
    threads: Executor = field(repr=False)
    patience: float = 20.0

    async def query(self, conversation: Conversation) -> Outcome:
        """Return the outcome of what the user gives."""
        size = sum(len(message.content) for message in conversation)
        return await self._run("query", size, lambda: self.guard.check_query(conversation))

    async def response(
        self,
        conversation: Conversation,
        text: str,
        arguments: Sequence[str] = (),
        final: bool = True,
    ) -> Outcome:
        """Return the outcome of a response, or of its beginning where it is not `final`."""
        size = len(text) + sum(map(len, arguments))
        return await self._run(
            "response",
            size,
            lambda: self.guard.check_response(conversation, text, arguments, final),
        )

    async def _run(self, side: Side, size: int, check: Callable[[], Outcome]) -> Outcome:
        try:
            if self.guard.quick and size <= SHORT:
                return check()
            async with asyncio.timeout(self.patience):
                return await asyncio.get_running_loop().run_in_executor(self.threads, check)
        except TimeoutError:
            return self._fault(side, f"no outcome within {self.patience:g} s")
        except Exception as error:  # noqa: BLE001 - whatever goes wrong here must close the gate
            return self._fault(side, type(error).__name__)

    def _fault(self, side: Side, what: str) -> Outcome:
        reason = f"guard: {what}"
        if self.guard.on_fault == "open":
            LOGGER.warning("failed open: a %s went through unchecked (%s)", side, reason)
            return Outcome("allow", side, reason=f"failed open: {reason}", faults=(reason,))
        return Outcome(
            "error", side, stage="guard", reason=reason, message=Wording().failed,
            faults=(reason,),
        )  # fmt: skip
