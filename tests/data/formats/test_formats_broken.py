"""Broken files: one clear line each, never a traceback; broken records: the others are read."""

import gzip
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from selaras.core.errors import InputError
from selaras.core.files import LONGEST_LINE
from selaras.core.records import Query
from selaras.data.formats.reading import Source, scan_rows
from selaras.data.formats.writing import export_rows

ROW = {"id": "a", "query": "What is 2 + 2?", "response": "4."}


def parquet_bytes(folder: Path) -> bytes:
    path = folder / "good.parquet"
    export_rows([Query(id="a", query="Q?")], path, "parquet")
    return path.read_bytes()


def whole_files(folder: Path) -> dict[str, bytes]:
    """Return good files, one of each kind that is read."""
    lines = "".join(json.dumps({**ROW, "id": f"r{i}"}) + "\n" for i in range(3))
    array = json.dumps([{**ROW, "id": f"r{i}"} for i in range(3)], indent=1)
    table = "id,query,response\nr0,Why?,So.\nr1,How?,Thus.\n"
    return {
        "a.jsonl": lines.encode(), "a.json": array.encode(), "a.csv": table.encode(),
        "a.tsv": table.replace(",", "\t").encode(), "a.jsonl.gz": gzip.compress(lines.encode()),
        "a.parquet": parquet_bytes(folder),
    }  # fmt: skip


def broken(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield over 200 broken files: cut, shuffled, of other encodings, nested, too wide."""
    chance = random.Random(7)
    for name, data in whole_files(folder).items():
        for cut in range(1, 21):
            yield name, data[: len(data) * cut // 21]
        for _ in range(12):
            bad = bytearray(data)
            for _ in range(chance.randint(1, 6)):
                bad[chance.randrange(len(bad))] = chance.choice(b'\x00\xff{}[]",\n\x80')
            yield name, bytes(bad)
        yield name, b""
        yield name, data.decode("latin-1").encode("utf-16")
        yield name, b"\xff\xfe" + data
    deep = b"[" * 100_000
    yield "a.jsonl", b'{"query": ' + deep + b"\n"
    yield "a.json", deep
    yield "a.json", b'[{"query": "a"} {"query": "b"}]'
    yield "a.json", b'[{"query": NaN}]'
    yield "a.jsonl", b'{"query": NaN}\n'
    yield "a.jsonl", b'{"query": "' + b"x" * (LONGEST_LINE + 9) + b'"}\n'
    yield "a.csv", ",".join(f"c{i}" for i in range(1_000_000)).encode() + b"\n1\n"
    yield "a.csv", b"a,a\n1,2\n"
    yield "a.csv", b'id,query\n"unclosed,1\n'
    yield "a.jsonl.gz", gzip.compress(b"\0" * 300_000_000)
    yield "a.xlsx", b"PK\x03\x04"
    yield "a.jsonl", b'{"foo": 1}\n'
    yield "a.jsonl", b"[]\n1\nnull\n"


def test_two_hundred_broken_files_give_one_clear_line_each(tmp_path: Path) -> None:
    tried = said = 0
    for number, (name, data) in enumerate(broken(tmp_path)):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        path.write_bytes(data)
        tried += 1
        try:
            errors = [v for _, v in scan_rows(Source(path)) if isinstance(v, InputError)]
        except InputError as error:
            errors = [error]
        for error in errors:
            assert "\n" not in str(error)
            assert 10 < len(str(error)) < 1500
            said += 1
        path.unlink()
    assert tried > 200
    assert said > 150


@pytest.mark.parametrize(
    ("name", "data", "good", "bad"),
    [
        ("a.jsonl", b'\xef\xbb\xbf{"id": "a", "query": "Q?"}\r\n{"query":\r\n{"query": "R"}\r\n',
         2, [2]),
        ("a.jsonl", b'{"query": "' + b"x" * (LONGEST_LINE + 9) + b'"}\n{"instruction": "Q?"}\n', 1,
         [1]),
        ("a.json", b'[{"instruction": "Q?"}, 3, {"instruction": "R?", "output": 4}]', 1, [2, 3]),
        ("a.csv", b"\xef\xbb\xbfid,query\r\na,\"Q,\r\n?\"\r\nb\r\nc,R?\r\n", 2, [4]),
        ("a.json", b'{"data": [{"instruction": "Q?"}]}', 1, []),
    ],
)  # fmt: skip
def test_a_broken_record_is_said_and_the_others_are_read(
    tmp_path: Path, name: str, data: bytes, good: int, bad: list[int]
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    found = list(scan_rows(Source(path, "selaras" if b"id" in data[:20] else None)))
    assert sum(isinstance(value, Query) for _, value in found) == good
    assert [place for place, value in found if isinstance(value, InputError)] == bad


def test_line_ends_inside_cells_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'question\r\n"a\r\nb\nc"\r\n')
    [(_, row)] = scan_rows(Source(path, columns={"query": "question"}))
    assert isinstance(row, Query)
    assert row.query == "a\r\nb\nc"
    assert (row.id, row.origin) == ("a-3", "public") or row.id.startswith("a-")


def test_a_long_array_is_read_across_its_pieces(tmp_path: Path) -> None:
    records = [{"instruction": f"Ask {i} {'é' * 400}", "output": "x"} for i in range(4000)]
    path = tmp_path / "long.json"
    path.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    rows = [value for _, value in scan_rows(Source(path)) if isinstance(value, Query)]
    assert [row.query for row in rows] == [record["instruction"] for record in records]


def test_a_gzipped_file_is_read_and_a_bomb_is_not(tmp_path: Path) -> None:
    good = tmp_path / "good.jsonl.gz"
    good.write_bytes(gzip.compress(json.dumps(ROW).encode()))
    assert len(list(scan_rows(Source(good)))) == 1
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as sink:
        for _ in range(400):
            sink.write(b" " * 1_000_000 + b"\n")
    (tmp_path / "bomb.jsonl.gz").write_bytes(bomb.getvalue())
    with pytest.raises(InputError, match="grows more than"):
        list(scan_rows(Source(tmp_path / "bomb.jsonl.gz")))
