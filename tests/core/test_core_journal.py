"""The journal: whatever a kill leaves of it, it re-opens to the first units, and goes on."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.journal import Journal

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
ENTRIES = st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT | st.integers(0, 99)), max_size=6)


def entries(journal: Journal, keys: Any) -> list[Any]:
    return [journal.get(key) for key in keys]


@settings(max_examples=50)
@given(ENTRIES, st.floats(0, 1))
def test_any_cut_at_any_byte_re_opens_to_a_prefix(
    units: dict[str, dict[str, Any]], cut: float
) -> None:
    units = {key: {k: v for k, v in unit.items() if k != "key"} for key, unit in units.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        written = Journal(path)
        for key, unit in units.items():
            written.add(key, unit)
        if units:
            raw = path.read_bytes()
            path.write_bytes(raw[: round(cut * len(raw))])
        opened = Journal(path)
        found = entries(opened, units)
        kept = len(opened)
        assert found == [*list(units.values())[:kept], *[None] * (len(units) - kept)]
        for key, unit in units.items():
            if opened.get(key) is None:
                opened.add(key, unit)
        assert entries(Journal(path), units) == list(units.values())


def test_every_cut_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    written = Journal(path)
    for n in range(3):
        written.add(f"unit-{n}", {"text": "é\u2028\n" * n})
    raw = path.read_bytes()
    for cut in range(len(raw) + 1):
        path.write_bytes(raw[:cut])
        opened = Journal(path)
        assert len(opened) == raw[:cut].count(b"\n")
        assert path.read_bytes() == raw[: raw[:cut].rfind(b"\n") + 1]


def test_the_torn_line_is_done_again_and_the_file_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).add("a", {"n": 1})
    with path.open("ab") as sink:
        sink.write(b'{"key": "b", "n"')
    journal = Journal(path)
    assert journal.get("b") is None
    journal.add("b", {"n": 2})
    assert entries(Journal(path), "ab") == [{"n": 1}, {"n": 2}]


def test_a_value_cannot_change_the_key(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.add("a", {"key": "b", "n": 1})
    assert Journal(journal.path).get("a") == {"n": 1}


@pytest.mark.parametrize(
    "bad", ["{", "[1]", "7", '"a"', "null", '{"n": 1}', '{"key": 1, "n": NaN}']
)
def test_a_line_broken_in_the_middle_is_an_error(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"key": "a"}\n' + bad + '\n{"key": "c"}\n')
    with pytest.raises(InputError, match="the journal is damaged") as caught:
        Journal(path)
    assert (caught.value.path, caught.value.line) == (path, 2)
    assert "--resume" in str(caught.value)


def test_not_utf8_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"key": "\xff"}\n')
    with pytest.raises(InputError, match="damaged"):
        Journal(path)


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Journal(tmp_path)


def test_nothing_is_written_until_a_unit_is_done(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs" / "x" / "journal.jsonl")
    assert journal.get("a") is None
    assert len(journal) == 0
    assert not journal.path.exists()
