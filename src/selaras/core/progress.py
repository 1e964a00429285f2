"""How a long step tells where it is, without knowing who listens (a terminal, a page, nobody)."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One counted piece of work."""

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Say that `amount` more is done; `note` is a short text to show (a loss, a rate)."""
        ...


class Progress(Protocol):
    """Shows tasks; the command line's draws bars with rate and remaining time."""

    def task(self, title: str, total: float) -> AbstractContextManager[Task]:
        """Show a task while the block runs."""
        ...

    def say(self, line: str) -> None:
        """Show one line of news."""
        ...


class _Silent:
    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Show nothing."""

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:  # noqa: ARG002
        yield self

    def say(self, line: str) -> None:
        """Show nothing."""


SILENT: Progress = _Silent()
