"""Server-sent events: bytes in, the data of whole events out; and one event written.

Field `data` only; comments and the other fields say nothing here. Lines end in LF, CRLF or CR.
"""

import json
from typing import Any

from selaras.core.errors import SelarasError

DONE = "[DONE]"
LARGEST_EVENT = 1 << 20


class MalformedError(SelarasError):
    """Raised when an upstream's answer is not what the protocol says; holds none of its text."""


class EventReader:
    """Takes bytes as they come and returns the data of each event that has ended.

    >>> reader = EventReader()
    >>> reader.feed(b"data: a\\r\\n: ping\\r\\n\\r\\nda"), reader.feed(b"ta: b\\n\\n"), reader.empty
    (['a'], ['b'], True)
    """

    def __init__(self, limit: int = LARGEST_EVENT) -> None:
        self._limit = limit
        self._line = b""
        self._data: list[bytes] = []
        self._size = 0

    @property
    def empty(self) -> bool:
        """Whether no event is half read."""
        return not self._line and not self._data

    def feed(self, piece: bytes) -> list[str]:
        """Return the data of the events that end in this piece; raises MalformedError."""
        lines = (self._line + piece).replace(b"\r\n", b"\n")
        # A CR at the end may be the first half of a CRLF.
        held = lines.endswith(b"\r")
        *whole, self._line = (lines[:-1] if held else lines).replace(b"\r", b"\n").split(b"\n")
        self._line += b"\r" if held else b""
        ended = [data for line in whole if (data := self._take(line)) is not None]
        if len(self._line) + self._size > self._limit:
            raise MalformedError(f"an event of more than {self._limit >> 10} kB")
        return ended

    def _take(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return _decoded(b"\n".join(data)) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value)
        return None


def event(value: Any) -> bytes:
    """Return one event of a JSON value.

    >>> event({"a": 1})
    b'data: {"a":1}\\n\\n'
    """
    return b"data: " + json_bytes(value) + b"\n\n"


def json_bytes(value: Any) -> bytes:
    """Return a value as JSON without spaces, half characters replaced."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "replace")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedError("an event that is not UTF-8") from None
