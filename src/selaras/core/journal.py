"""An append-only record of finished work, so that a killed run repeats none of it.

Each line is one unit of work (a batch, a call) under its key; a later line of the same key takes
the place of an earlier one. A line that a kill cut short is dropped when the journal is opened
again; a line broken elsewhere is an error, never skipped.
"""

import os
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError, SelarasError
from selaras.core.files import json_line, parse_json

# A unit is with the operating system when `add` returns, so a killed process loses nothing; the
# disk is waited for this often, so a machine that loses power loses this many seconds at most.
SYNC_EVERY = 1.0


class Journal:
    """The finished units of one run, by key.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     journal = Journal(Path(folder) / "journal.jsonl")
    ...     journal.add("batch-0", {"rows": 3})
    ...     Journal(journal.path).get("batch-0"), journal.get("batch-1")
    ({'rows': 3}, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._done: dict[str, Mapping[str, Any]] = {}
        self._sink: int | None = None
        self._synced = time.monotonic()
        if path.exists():
            self._read()

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return what was recorded under the key, or None."""
        return self._done.get(key)

    def add(self, key: str, value: Mapping[str, Any]) -> None:
        """Record a finished unit; killing this process afterwards does not lose it."""
        line = json_line({**value, "key": key}).encode()
        try:
            sink = self._opened()
            end = os.fstat(sink).st_size
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(sink, rest) :]
            except OSError:
                # The disk is full, say: no half line may stay, the next one would be glued to it.
                os.ftruncate(sink, end)
                raise
            if time.monotonic() - self._synced >= SYNC_EVERY:
                self.sync()
        except OSError as error:
            raise SelarasError(
                f"{self.path}: cannot be written ({error.strerror or error})"
            ) from error
        self._done[key] = value

    def sync(self) -> None:
        """Wait until all units are on the disk."""
        if self._sink is not None:
            os.fsync(self._sink)
        self._synced = time.monotonic()

    def __len__(self) -> int:
        return len(self._done)

    def _opened(self) -> int:
        if self._sink is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            weakref.finalize(self, os.close, self._sink)
        return self._sink

    def _read(self) -> None:
        try:
            raw = self.path.read_bytes()
            whole, _, torn = raw.rpartition(b"\n")
            if torn:
                # The writer was killed in mid-line: the unit was not finished, it is done again.
                with self.path.open("r+b") as handle:
                    handle.truncate(len(raw) - len(torn))
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror})", path=self.path) from error
        for number, line in enumerate(whole.split(b"\n"), 1):
            if not line:
                continue
            try:
                entry = parse_json(line.decode("utf-8"))
                key = str(entry.pop("key"))
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise InputError(
                    "the journal is damaged",
                    path=self.path,
                    line=number,
                    fix="start the run anew without --resume",
                ) from error
            self._done[key] = entry
