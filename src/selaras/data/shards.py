"""Texts of many files, a batch at a time: JSON Lines, and Parquet where pyarrow is installed."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from selaras.core.errors import InputError, MissingExtraError
from selaras.core.files import read_jsonl

BATCH = 1 << 14


def read_shards(paths: Iterable[Path], field: str = "query") -> Iterator[list[str]]:
    """Yield the texts of one field of all files in order, in batches that never span two files.

    Raises InputError for a row without the field, or where it is no text.
    """
    for path in paths:
        yield from _parquet(path, field) if path.suffix == ".parquet" else _jsonl(path, field)


def _jsonl(path: Path, field: str) -> Iterator[list[str]]:
    batch: list[str] = []
    for line, row in read_jsonl(path):
        text = row.get(field)
        if not isinstance(text, str):
            raise InputError("no text", path=path, line=line, field=field,
                             fix=f"the fields are {', '.join(row)}")  # fmt: skip
        batch.append(text)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _parquet(path: Path, field: str) -> Iterator[list[str]]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "data") from error
    try:
        with parquet.ParquetFile(path) as file:
            if field not in file.schema_arrow.names:
                known = ", ".join(file.schema_arrow.names)
                raise InputError("no such column", path=path, field=field,
                                 fix=f"the columns are {known}")  # fmt: skip
            for part in file.iter_batches(BATCH, columns=[field]):
                texts = part.column(0).to_pylist()
                if not all(isinstance(text, str) for text in texts):
                    raise InputError("a value that is no text", path=path, field=field)
                yield texts
    except (OSError, ValueError, OverflowError, arrow.ArrowException) as error:
        raise InputError(f"not a Parquet file ({error})", path=path) from error
