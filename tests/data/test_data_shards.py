"""Texts of many files: in order, in batches, and with one clear line where a row has none."""

import json
from pathlib import Path

import pytest

from selaras.core.errors import InputError
from selaras.data import shards
from selaras.data.shards import read_shards


def test_texts_come_in_order_and_batches_never_span_two_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "BATCH", 3)
    for name, count in (("a.jsonl", 5), ("b.jsonl", 0), ("c.jsonl", 2)):
        lines = [json.dumps({"query": f"{name} {i} 😀"}) + "\n" for i in range(count)]
        (tmp_path / name).write_text("".join(lines))
    batches = [*read_shards(sorted(tmp_path.glob("*.jsonl")))]
    assert [len(batch) for batch in batches] == [3, 2, 2]
    assert batches[-1] == ["c.jsonl 0 😀", "c.jsonl 1 😀"]


def test_parquet_gives_the_same_texts(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"text": f"row {i}", "n": i} for i in range(10)]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    one, other = ([*read_shards([tmp_path / f"a.{kind}"], "text")] for kind in ("parquet", "jsonl"))
    assert one == other == [[f"row {i}" for i in range(10)]]
    with pytest.raises(InputError, match="the columns are text, n"):
        [*read_shards([tmp_path / "a.parquet"], "query")]
    with pytest.raises(InputError, match="field 'n': a value that is no text"):
        [*read_shards([tmp_path / "a.parquet"], "n")]
    (tmp_path / "b.parquet").write_text("no")
    with pytest.raises(InputError, match="not a Parquet file"):
        [*read_shards([tmp_path / "b.parquet"], "n")]


@pytest.mark.parametrize("value", ['{"other": "x"}', '{"query": 3}', '{"query": null}'])
def test_a_row_without_text_is_told_by_its_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"query": "fine"}\n' + value + "\n")
    with pytest.raises(InputError, match="line 2, field 'query': no text"):
        [*read_shards([path])]
