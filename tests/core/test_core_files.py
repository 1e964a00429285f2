"""Reading and writing: bad input is one line with its place, and no file is ever half written."""

import contextlib
import json
import os
import resource
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.core.errors import InputError, SelarasError
from selaras.core.files import (
    LONGEST_LINE,
    append_jsonl,
    json_line,
    lock,
    read_json,
    read_jsonl,
    read_text,
    replacing,
    write_json,
    write_jsonl,
    write_text,
)

TEXT = st.text(st.characters(codec="utf-8"))
OBJECTS = st.dictionaries(
    TEXT, st.none() | st.booleans() | st.integers(-9, 9) | TEXT | st.lists(TEXT)
)


def lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    return list(read_jsonl(path))


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_half_way() -> None:
        with replacing(path) as sink:
            sink.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_rows_that_fail_half_way_leave_no_file(tmp_path: Path) -> None:
    def rows() -> Any:
        yield {"id": 1}
        raise InputError("the second row is bad")

    with pytest.raises(InputError):
        write_jsonl(tmp_path / "a.jsonl", rows())
    assert not list(tmp_path.iterdir())


def test_a_killed_writer_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl(path, [{"old": True}])
    code = (
        "import os, sys; from pathlib import Path; from selaras.core.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as sink:\n"
        "    sink.write('half'); sink.flush(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    assert lines(path) == [(1, {"old": True})]
    assert all(p == path or p.name.startswith(".") for p in tmp_path.iterdir())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}])
def test_numbers_that_are_not_json_are_never_written(tmp_path: Path, value: Any) -> None:
    for write in (write_json, lambda path, v: append_jsonl(path, [v])):
        with pytest.raises(ValueError, match="not JSON"):
            write(tmp_path / "a.json", value)
    assert not list(tmp_path.iterdir())


def test_a_file_keeps_its_mode_and_a_new_one_obeys_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "1")
    umask = os.umask(0o077)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    write_text(path, "2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("write", [lambda p: write_text(p, "x"), lambda p: append_jsonl(p, [1])])
def test_what_cannot_be_written_is_one_line_and_exit_1(tmp_path: Path, write: Any) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.txt", tmp_path):
        with pytest.raises(SelarasError, match="cannot be written") as caught:
            write(path)
        assert caught.value.exit_code == 1
        assert "\n" not in str(caught.value)


def test_append_ends_an_unended_line_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1}')
    append_jsonl(path, [{"n": 2}])
    append_jsonl(path, [])
    append_jsonl(path, [{"n": 3}])
    assert [value["n"] for _, value in lines(path)] == [1, 2, 3]


def test_append_leaves_no_half_line_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    append_jsonl(path, [{"n": 1}])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(SelarasError, match="cannot be written"):
            append_jsonl(path, [{"text": "x" * 100}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


def test_lines_appended_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"

    def work(who: int) -> None:
        for n in range(20):
            append_jsonl(path, [{"who": who, "n": n, "pad": "x" * 5000}])

    threads = [threading.Thread(target=work, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [(value["who"], value["n"]) for _, value in lines(path)]
    assert sorted(found) == [(who, n) for who in range(3) for n in range(20)]


GOOD = b'{"n": 1}\n'
BAD = {
    "broken line 7": (GOOD * 6 + b'{"n": \n' + GOOD, 7, "broken JSON (Expecting value at column"),
    "torn last line": (GOOD * 2 + b'{"n": 1', 3, "broken JSON"),
    "NaN": (GOOD + b'{"n": NaN}\n', 2, "NaN is not JSON"),
    "Infinity": (b'{"n": -Infinity}\n', 1, "-Infinity is not JSON"),
    "not UTF-8": (GOOD + b'{"n": "\xff"}\n', 2, "not UTF-8 at byte 7 of the line"),
    "UTF-16": ('{"n": 1}\n'.encode("utf-16"), 1, "UTF-16, not UTF-8"),
    "a BOM in the middle": (GOOD + b'\xef\xbb\xbf{"n": 1}\n', 2, "broken JSON"),
    "deep nesting": (b"[" * 200_000 + b"\n", 1, "nested too deeply"),
    "a list": (GOOD + b"[1, 2]\n", 2, "a JSON list where an object is needed"),
    "a number of 5000 digits": (b'{"n": ' + b"9" * 5000 + b"}\n", 1, "broken JSON"),
    "two objects on a line": (b'{"n": 1} {"n": 2}\n', 1, "Extra data"),
    "old Mac line ends": (b'{"n": 1}\r{"n": 2}\r', 1, "Extra data"),
    "half a character": (GOOD + b'{"n": ["\\ud83d"]}\n', 2, "lone surrogate"),
    "a line of 9 MB": (
        GOOD + b'{"n": "' + b"x" * (9 << 20) + b'"}\n',
        2,
        "a line of more than 8 MB",
    ),
    "NUL bytes": (b"\0\0\0\n", 1, "broken JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, name: str) -> None:
    raw, number, message = BAD[name]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        lines(path)
    error = caught.value
    assert (error.path, error.line, error.exit_code) == (path, number, 2)
    assert message in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 700


def test_an_endless_line_is_not_read_to_its_end() -> None:
    with pytest.raises(InputError, match="a line of more than 8 MB"):
        lines(Path("/dev/zero"))


@pytest.mark.parametrize(
    "raw",
    [
        b'\xef\xbb\xbf{"n": 1}\r\n\r\n  \n{"n": 2}\r\n',
        b'{"n": 1}\n\n\n{"n": 2}',
        '{"n": 1}\n\u3000\n\n{"n": 2}\n'.encode(),
    ],
)
def test_byte_order_mark_crlf_and_empty_lines_are_fine(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(raw)
    assert lines(path) == [(1, {"n": 1}), (4, {"n": 2})]


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    odd = "a\u2028b\u2029c\x85d\x0be"
    write_jsonl(path, [{"n": odd}, {"n": 2}])
    assert [value["n"] for _, value in lines(path)] == [odd, 2]


def test_escaped_whole_characters_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n": "\\ud83d\\ude00"}\n')
    assert lines(path) == [(1, {"n": "\U0001f600"})]


def test_missing_unreadable_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for read in (lines, read_text, read_json):
        with pytest.raises(InputError, match="no such file"):
            read(tmp_path / "none")
        with pytest.raises(InputError, match="cannot be read \\(Is a directory\\)"):
            read(tmp_path)

    def refuse(*args: Any, **options: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.json"
    path.write_text("{}")
    monkeypatch.setattr(Path, "open", refuse)
    for read in (lines, read_text, read_json):
        with pytest.raises(InputError, match="cannot be read \\(Permission denied\\)") as caught:
            read(path)
        assert caught.value.path == path


def test_read_json_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,\n "b": }')
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert caught.value.line == 2


@settings(max_examples=40)
@given(st.lists(OBJECTS))
def test_what_is_written_is_read_again(rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_jsonl(path, rows)
        append_jsonl(path, rows)
        assert [value for _, value in lines(path)] == rows * 2


@given(OBJECTS)
def test_a_json_line_is_one_line(value: dict[str, Any]) -> None:
    text = json_line(value)
    assert text.count("\n") == 1
    assert json.loads(text) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_an_input_error(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_bytes(raw)
        with contextlib.suppress(InputError):
            lines(path)


def test_one_holds_the_lock_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.lock"
    order: list[str] = []

    def second() -> None:
        with lock(path):
            order.append("second")

    with lock(path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SelarasError, match="cannot be locked"), lock(tmp_path / "file" / "a.lock"):
        pass


@pytest.mark.parametrize(("more", "fine"), [(0, True), (1, False)])
def test_the_longest_line_is_allowed(tmp_path: Path, more: int, fine: bool) -> None:
    path = tmp_path / "a.jsonl"
    frame = len('{"n": ""}\n')
    path.write_text('{"n": "' + "x" * (LONGEST_LINE - frame + more) + '"}\n')
    if fine:
        assert len(lines(path)) == 1
    else:
        with pytest.raises(InputError):
            lines(path)
