"""Errors: one line that a user can act on, an exit code, and no flood from untrusted text."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from selaras.core.check import checked
from selaras.core.errors import (
    JOINERS,
    GateError,
    InputError,
    MissingExtraError,
    ModelError,
    SealError,
    SelarasError,
    one_line,
)
from selaras.core.late import resolve
from selaras.core.progress import SILENT
from selaras.core.records import Message, Query, Record


def test_the_exit_codes() -> None:
    codes = {
        error: error.exit_code
        for error in (SelarasError, InputError, SealError, MissingExtraError, ModelError, GateError)
    }
    assert codes == {
        SelarasError: 1, ModelError: 1, InputError: 2, SealError: 2, MissingExtraError: 2,
        GateError: 3,
    }  # fmt: skip


@given(st.text(), st.text(), st.text())
def test_a_message_is_one_printable_line(what: str, path: str, fix: str) -> None:
    text = str(InputError(what, path=path, line=3, field="f", fix=fix))
    assert len(text) <= 600
    assert text.translate(dict.fromkeys(map(ord, JOINERS))).isprintable()


def test_a_family_of_emoji_stays_one_and_a_change_of_direction_goes() -> None:
    family = "\U0001f469\u200d\U0001f467"
    assert one_line(f"{family} a\u202eb") == f"{family} a b"


def test_a_message_has_its_place_and_what_to_do() -> None:
    assert str(InputError("bad.", path="a.jsonl", line=7)) == "a.jsonl, line 7: bad."
    assert str(InputError("bad", field="f", fix="do this.")) == (
        "field 'f': bad. To mend it: do this."
    )
    assert "pip install 'selaras[local]'" in str(MissingExtraError("torch", "local"))


def test_untrusted_text_cannot_move_the_cursor_or_turn_the_line() -> None:
    assert one_line("a\x1b[2Jb\u202ec\r\nd\u2028e", 600) == "a [2Jb c d e"
    assert one_line("x" * 700, 10) == "x" * 9 + "…"


class Thing(Record):
    name: str
    numbers: tuple[int, ...] = ()
    share: float = Field(default=0.5, le=1)


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        ({}, "name", "missing"),
        ({"name": "a", "nmae": 1, "other": 2}, "nmae",
         "unknown field (and 1 more). To mend it: did you mean name? the fields are name, "),
        ({"name": 3}, "name", "input should be a valid string, not 3"),
        ({"name": "a", "numbers": [1, "x" * 900]}, "numbers.1", "valid integer"),
        ({"name": "a", "share": 2}, "share", "less than or equal to 1, not 2"),
        ({"name": {"a": ["secret"]}}, "name", "input should be a valid string"),
        ("text", None, "valid dictionary"),
        (None, None, "valid dictionary"),
    ],
)  # fmt: skip
def test_the_first_wrong_field_is_named(value: Any, field: str | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(Thing, value, path="a.jsonl", line=4)
    error = caught.value
    assert (error.path, error.line, error.field) == ("a.jsonl", 4, field)
    assert said in str(error)
    assert "secret" not in str(error)
    assert len(str(error)) < 400


def test_a_query_of_nothing_says_so() -> None:
    with pytest.raises(InputError, match="field 'query': the query is empty"):
        checked(Query, {"id": "a", "query": "  "})


@pytest.mark.parametrize("target", ["selaras.nothing:x", "selaras.core.late:nothing", "math"])
def test_a_name_that_leads_nowhere_is_bad_input(target: str) -> None:
    with pytest.raises(InputError):
        resolve(target)


def test_silent_progress_prints_nothing() -> None:
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        with SILENT.task("work", 3) as task:
            task.advance()
            task.advance(2, note="done")
        SILENT.say("news")
    assert out.getvalue() == ""


def test_silent_progress_lets_errors_through() -> None:
    with pytest.raises(ValueError, match="x"), SILENT.task("work", 1):
        raise ValueError("x")


def test_a_misspelt_field_is_named_before_the_one_that_is_missing() -> None:
    with pytest.raises(InputError) as raised:
        checked(Message, {"role": "user", "contnet": "hello"})
    assert str(raised.value) == (
        "field 'contnet': unknown field (and 1 more). "
        "To mend it: did you mean content? the fields are content, role."
    )
