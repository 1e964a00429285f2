"""Wording: forms, tones and complexity by cues, in any script, on any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.data.wording import FORMS, constraints, form, reading_grade, steps, tones


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I clean the oven", "question"),
        ("my oven is dirty, any ideas?", "question"),
        ("オーブンはどう掃除しますか？", "question"),
        ("كيف أنظف الفرن؟", "question"),
        ("Bagaimana cara membersihkan oven", "question"),
        ("Write a poem about ovens", "imperative"),
        ("please, something about ovens", "imperative"),
        ("Ok now list five ovens.", "imperative"),
        ("Tulis skrip Python", "imperative"),
        ("The oven is dirty.", "statement"),
        ("🙂", "statement"),
        ("", "statement"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert form(text) == expected


def test_tones() -> None:
    assert tones("Please help me, I am scared!!") == ("polite", "emphatic", "worried")
    assert tones("How do I clean the oven?") == ()


def test_complexity() -> None:
    assert constraints("In 3 sentences, without the word oven, at most 20 words") == 4
    assert steps("First heat it, then clean it.\n1. Soap\n2. Water") == 5
    assert constraints("Clean it") == 0
    assert steps("Clean it") == 1


def test_reading_grade_is_for_english_text() -> None:
    easy = reading_grade("The cat sat on the mat. The dog ran to the red door.")
    hard = reading_grade(
        "Notwithstanding considerable organisational difficulties, international "
        "institutions subsequently implemented comprehensive administrative regulations."
    )
    assert easy is not None
    assert hard is not None
    assert easy < 3
    assert hard > 15
    assert reading_grade("too short") is None
    assert reading_grade("Как почистить духовку быстро и хорошо без химии?") is None


@given(st.text())
def test_any_text_has_one_form(text: str) -> None:
    assert form(text) in FORMS
    assert tones(text) is not None
    assert steps(text) >= 1
    grade = reading_grade(text)
    assert grade is None or 0 <= grade <= 20
