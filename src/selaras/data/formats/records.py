"""Records of a data file: JSON Lines, JSON, CSV, TSV (gzipped or not), Parquet, YAML.

The one reading of what others wrote: rows, suites, checks, labels. Files are streamed: of a
gigabyte of JSON Lines one line is in memory at a time. A broken record is yielded as the error that
it is, and reading goes on behind it; only a file that cannot be read any further raises.
"""

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from selaras.core.errors import InputError, MissingExtraError, one_line
from selaras.core.files import LONGEST_LINE, scan_lines
from selaras.core.project import load_yaml

Fields = Mapping[str, Any]
Place = int
Scanned = Iterator[tuple[Place, Fields | InputError]]
# A gzipped file that grows more than this is a bomb and no data: text rarely passes 20.
LARGEST_RATIO = 200
MOST_COLUMNS = 4096
LARGEST_OBJECT = 256 << 20
# Names under which published objects keep their list of records.
LISTS = ("examples", "data", "rows")
_CHUNK = 1 << 20
_BATCH = 1 << 12


def scan_records(path: Path) -> Scanned:
    """Yield (place, fields) of each record, or (place, InputError) of one that is broken.

    The place is the line of JSON Lines, CSV and TSV files and the number of the record elsewhere,
    counted from 1. Raises InputError where the file cannot be read (further), or where its name
    does not end in a known suffix.
    """
    name = path.name.lower().removesuffix(".gz")
    suffix = name[name.rfind(".") :] if "." in name else ""
    if suffix == ".parquet":
        yield from _parquet(path)
        return
    if suffix not in READERS:
        raise InputError(
            f"a file of an unknown kind ({suffix or 'no suffix'})", path=path,
            fix=f"files end in {', '.join([*READERS, '.parquet'])}, and in .gz behind it",
        )  # fmt: skip
    try:
        with _opened(path) as source:
            yield from READERS[suffix](source, path)
    except FileNotFoundError as error:
        raise InputError("no such file", path=path, fix="check the path") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be read ({reason})", path=path) from error


def read_records(path: Path) -> Iterator[tuple[Place, Fields]]:
    """Yield (place, fields) of each record; raises InputError at the first that is broken."""
    for place, value in scan_records(path):
        if isinstance(value, InputError):
            raise value
        yield place, value


def _opened(path: Path) -> IO[bytes]:
    if not path.name.lower().endswith(".gz"):
        return path.open("rb")
    return io.BufferedReader(_Bounded(path), _CHUNK)


class _Bounded(io.RawIOBase):
    """A gzipped file as a stream that ends with an error where it grows beyond all reason."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.source = gzip.open(path, "rb")  # noqa: SIM115 - closed in close()
        self.left = max(path.stat().st_size, 1 << 10) * LARGEST_RATIO

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.source.read1(len(buffer))
        self.left -= len(data)
        if self.left < 0:
            raise InputError(f"it grows more than {LARGEST_RATIO} times when unpacked",
                             path=self.path, fix="unpack it yourself and look")  # fmt: skip
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.source.close()
        super().close()


def _json_lines(source: IO[bytes], path: Path) -> Scanned:
    yield from scan_lines(source, path)


def _json(source: IO[bytes], path: Path) -> Scanned:
    """Yield the objects of an array, read piece by piece, or of an object that holds one array."""
    text = _Text(source, path)
    if text.peek() == "{":
        # Label Studio, Alpaca and chat exports are arrays; a few sets wrap theirs in an object.
        yield from _wrapped(text, path)
        return
    if text.peek() != "[":
        raise InputError("not a JSON array of objects", path=path, fix="one array, or JSON Lines")
    text.skip()
    number = 0
    while text.peek() != "]":
        if number:
            if text.peek() != ",":
                raise InputError("broken JSON (a comma is missing)", path=path,
                                 fix=f"behind record {number}")  # fmt: skip
            text.skip()
        number += 1
        value = text.value(number)
        if isinstance(value, Mapping):
            yield number, value
        else:
            yield number, InputError(f"record {number} is no object", path=path)


def _wrapped(text: "_Text", path: Path) -> Scanned:
    yield from _listed(text.value(1, LARGEST_OBJECT), path)


def _yaml(source: IO[bytes], path: Path) -> Scanned:  # noqa: ARG001
    yield from _listed(load_yaml(path), path)


def _listed(whole: Any, path: Path) -> Scanned:
    """Yield the objects of a list, of an object's list, or the object itself."""
    if isinstance(whole, Mapping):
        lists = {name: value for name, value in whole.items() if isinstance(value, list)}
        named = next((lists[name] for name in LISTS if name in lists), None)
        only = next(iter(lists.values())) if len(lists) == 1 else [whole]
        whole = only if named is None else named
    if not isinstance(whole, list):
        raise InputError("not a list of objects", path=path)
    for number, value in enumerate(whole, 1):
        if isinstance(value, Mapping):
            yield number, value
        else:
            yield number, InputError(f"record {number} is no object", path=path)


class _Text:
    """A JSON text that is decoded as it is read: what has been taken is let go of."""

    def __init__(self, source: IO[bytes], path: Path) -> None:
        self.source, self.path, self.text, self.at = source, path, "", 0
        self.decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self.decoder = json.JSONDecoder(parse_constant=self._no_constant)
        self.ended = False

    def peek(self) -> str:
        """Return the next character that is no white space; raises InputError at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                raise InputError("broken JSON (the file ends too early)", path=self.path)

    def skip(self) -> None:
        self.at += 1

    def value(self, number: int, longest: int = LONGEST_LINE) -> Any:
        """Return the next value, reading on as long as it is not whole (and not too long)."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
                # A number or a word could go on in the next piece; an object cannot.
                if end < len(self.text) or self.ended:
                    self.at = end
                    return value
            except RecursionError as error:
                raise InputError("nested too deeply", path=self.path,
                                 fix=f"look at record {number}") from error  # fmt: skip
            except json.JSONDecodeError as error:
                if self.ended or len(self.text) - self.at > longest:
                    raise InputError(
                        f"broken JSON in record {number} ({error.msg})", path=self.path
                    ) from error
            self._more()

    def _more(self) -> bool:
        data = self.source.read(_CHUNK)
        try:
            self.text = self.text[self.at :] + self.decode(data, not data)
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8", path=self.path, fix="save the file as UTF-8") from error
        self.at = 0
        self.ended = not data
        return bool(data)

    def _no_constant(self, name: str) -> Any:
        raise InputError(f"{name} is not JSON", path=self.path, fix="write null, or a number")


def _delimited(separator: str) -> Callable[[IO[bytes], Path], Scanned]:
    def scan(source: IO[bytes], path: Path) -> Scanned:
        csv.field_size_limit(LONGEST_LINE)
        # newline="" keeps line ends inside quotes as they are.
        with io.TextIOWrapper(source, encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, delimiter=separator, strict=True)
            try:
                yield from _cells(reader, path)
            except csv.Error as error:
                raise InputError(
                    f"broken CSV ({error})", path=path, line=reader.line_num
                ) from error
            except UnicodeDecodeError as error:
                raise InputError(
                    "not UTF-8", path=path, line=reader.line_num + 1, fix="save the file as UTF-8"
                ) from error

    return scan


def _cells(reader: Any, path: Path) -> Scanned:
    header = next(reader, None)
    if not header:
        raise InputError("no header", path=path, line=1, fix="name the columns in the first line")
    if len(header) > MOST_COLUMNS:
        raise InputError(f"{len(header):,} columns", path=path, line=1,
                         fix=f"rows have {MOST_COLUMNS:,} at most")  # fmt: skip
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two columns are called {twice!r}", path=path, line=1)
    for cells in reader:
        if not cells:
            continue
        if len(cells) == len(header):
            yield reader.line_num, dict(zip(header, cells, strict=True))
        else:
            yield reader.line_num, InputError(
                f"{len(cells)} cells under {len(header)} columns", path=path,
                line=reader.line_num, fix="quote cells that hold a separator",
            )  # fmt: skip


def _parquet(path: Path) -> Scanned:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "data") from error
    if not path.is_file():
        raise InputError("no such file", path=path, fix="check the path")
    try:
        number = 0
        with parquet.ParquetFile(path) as file:
            for part in file.iter_batches(_BATCH):
                for fields in part.to_pylist():
                    number += 1
                    yield number, fields
    except (OSError, ValueError, OverflowError, arrow.ArrowException) as error:
        # A damaged footer gives all of these, a column name that is no UTF-8 among them.
        raise InputError(f"not a Parquet file ({one_line(str(error), 120)})", path=path) from error


READERS: dict[str, Callable[[IO[bytes], Path], Scanned]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".yaml": _yaml,
    ".yml": _yaml,
}
