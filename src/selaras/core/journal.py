"""An append-only record of finished work, so that a killed run repeats none of it.

Each line is one unit of work (a batch, a call) under its key. A line that a kill cut short is
dropped when the journal is opened again; a line broken elsewhere is an error, never skipped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import append_jsonl, parse_json


class Journal:
    """The finished units of one run, by key.

    >>> import tempfile; folder = tempfile.TemporaryDirectory()
    >>> journal = Journal(Path(folder.name) / "journal.jsonl")
    >>> journal.add("batch-0", {"rows": 3}); journal.get("batch-0")
    {'rows': 3}
    >>> Journal(journal.path).get("batch-0"), journal.get("batch-1")
    ({'rows': 3}, None)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._done: dict[str, Mapping[str, Any]] = {}
        if path.exists():
            self._read()

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return what was recorded under the key, or None."""
        return self._done.get(key)

    def add(self, key: str, value: Mapping[str, Any]) -> None:
        """Record a finished unit; it is on disk when this returns."""
        append_jsonl(self.path, [{**value, "key": key}])
        self._done[key] = value

    def __len__(self) -> int:
        return len(self._done)

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
