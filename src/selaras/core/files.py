"""Reading and writing that survives bad input and killed processes.

Files are written to a temporary name beside the target, flushed to disk and renamed, so that a
reader sees the old file or the new one and never half of one.
"""

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from selaras.core.errors import InputError, SelarasError
from selaras.core.fingerprint import plain

LONGEST_LINE = 8 << 20
# The process's mask for new files can only be read by setting it.
_UMASK = os.umask(0o077)
os.umask(_UMASK)


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of `path` when the block ends without error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    except OSError as error:
        raise SelarasError(f"{path}: cannot be written ({error.strerror})") from error
    temporary = Path(name)
    try:
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(handle, mode, encoding=encoding) as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_UMASK)
        temporary.replace(path)
    except OSError as error:
        raise SelarasError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as sink:
        sink.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def json_line(value: Any) -> str:
    """Return a value as one line of JSON with its newline."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False) + "\n"


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write rows as JSON Lines, whole or not at all."""
    with replacing(path) as sink:
        for row in rows:
            sink.write(json_line(row))


def append_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Append rows as JSON Lines in one locked write that reaches the disk before returning.

    A last line without its newline (an editor's, a merge's) is ended first, never written on.
    """
    data = "".join(json_line(row) for row in rows).encode()
    if not data:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as sink:
            fcntl.flock(sink, fcntl.LOCK_EX)
            end = sink.seek(0, os.SEEK_END)
            if end:
                sink.seek(end - 1)
                data = data if sink.read(1) == b"\n" else b"\n" + data
            _write_whole(sink, data, end)
            os.fsync(sink.fileno())
    except OSError as error:
        raise SelarasError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_text(path: Path) -> str:
    """Return a UTF-8 text file without its byte-order mark; raises InputError with the reason."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError("no such file", path=path, fix="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 at byte {error.start}", path=path, fix="save the file as UTF-8"
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path=path) from error


def read_json(path: Path) -> Any:
    """Return the JSON value of a file; raises InputError with the line that is broken."""
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise InputError(f"broken JSON ({_reason(error)})", path=path, line=line) from error


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for each non-empty line; raises InputError at a bad one."""
    for number, value in scan_jsonl(path):
        if isinstance(value, InputError):
            raise value
        yield number, value


def scan_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | InputError]]:
    """Yield (line number, object) for each non-empty line, or what is wrong with the line.

    Raises InputError only where the rest cannot be read either: no such file, another encoding.
    """
    try:
        with path.open("rb") as source:
            yield from scan_lines(source, path)
    except FileNotFoundError as error:
        raise InputError("no such file", path=path, fix="check the path") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=path) from error


def scan_lines(source: IO[bytes], path: Path) -> Iterator[tuple[int, dict[str, Any] | InputError]]:
    """Do what `scan_jsonl` does for an open file; `path` is for the messages."""
    for number, raw in enumerate(iter(lambda: source.readline(LONGEST_LINE + 1), b""), 1):
        if len(raw) > LONGEST_LINE:
            limit = f"{LONGEST_LINE >> 20} MB"
            yield number, InputError(
                f"a line of more than {limit}", path=path, line=number,
                fix=f"rows may have {limit} at most",
            )  # fmt: skip
            # Only who reads on wants the rest gone: a line may have no end at all.
            while raw and not raw.endswith(b"\n"):
                raw = source.readline(LONGEST_LINE)
            continue
        _refuse_utf16(raw, path, number)
        try:
            if line := _decoded(raw, path, number).strip():
                yield number, _object(line, path, number)
        except InputError as error:
            yield number, error


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; NaN, Infinity and absurd nesting are ValueErrors."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; it is released when the process ends, however."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a")
    except OSError as error:
        raise SelarasError(f"{path}: cannot be locked ({error.strerror or error})") from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write_whole(sink: IO[bytes], data: bytes, end: int) -> None:
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[sink.write(rest) :]
    except OSError:
        # The disk is full, say: no half line may stay, the next one would be glued to it.
        sink.truncate(end)
        raise


def _refuse_utf16(raw: bytes, path: Path, number: int) -> None:
    # A UTF-16 file begins with a mark, or with a letter and a zero byte, in one order or the other.
    if number == 1 and (raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[:2].count(0) == 1):
        raise InputError("UTF-16, not UTF-8", path=path, line=1, fix="save the file as UTF-8")


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 at byte {error.start} of the line",
            path=path,
            line=number,
            fix="save the file as UTF-8",
        ) from error


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise InputError(
            f"broken JSON ({_reason(error)})", path=path, line=number, fix="one JSON object a line"
        ) from error
    if not isinstance(value, dict):
        raise InputError(
            f"a JSON {type(value).__name__} where an object is needed",
            path=path,
            line=number,
            fix="one JSON object a line",
        )
    if "\\u" in line and not _storable(value):
        raise InputError(
            "half a character (a lone surrogate such as \\ud83d)",
            path=path,
            line=number,
            fix="write the whole character",
        )
    return value


def _storable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return str(error)
