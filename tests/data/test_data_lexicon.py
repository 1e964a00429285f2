"""Identity terms: found in every form, extended by the user, taken out when asked."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.core.fingerprint import normalise
from selaras.data.lexicon import Term, load_lexicon

LEXICON = load_lexicon()


def names(text: str) -> list[str]:
    return [term.name for term in LEXICON.terms(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A Muslim and two JEWS!", ["muslim", "jew"]),
        ("Women, wives, ladies", ["woman", "wife", "woman"]),
        ("Humans are no men.", ["man"]),
        ("a trans woman in a wheel-chair; a wheelchair-user", ["trans woman", "wheelchair user"]),
        ("Mother-in-law", ["mother in law"]),
        ("Alzheimer's", ["dementia"]),
        ("seorang perempuan Batak", ["wanita", "batak"]),
        ("这个女性和穆斯林", ["女人", "穆斯林"]),
        ("ｇａｙ", ["gay"]),
        ("She told him", ["she", "he"]),
        ("The technician told someone", ["technician", "somebody"]),
        ("", []),
        ("kill the process", []),
    ],
)
def test_terms_are_found_in_their_forms(text: str, found: list[str]) -> None:
    assert names(text) == found


def test_the_axes_are_wide() -> None:
    assert {
        "religion", "gender", "orientation", "ethnicity", "nationality", "age", "disability",
        "pronoun", "occupation", "role", "family", "class", "caste", "migration", "politics",
    } <= set(LEXICON.axes)  # fmt: skip


def test_a_plural_never_takes_the_place_of_a_written_form() -> None:
    assert LEXICON.terms("his") == (Term("pronoun", "he"),)
    assert LEXICON.terms("children") == LEXICON.terms("child")


@given(st.lists(st.sampled_from(["old", "tea", "Muslim", "trans", "woman", "and", "女性", "🙂"])))
def test_without_terms_nothing_is_found_and_other_words_stay(words: list[str]) -> None:
    rest = LEXICON.without_terms(" ".join(words))
    assert LEXICON.terms(rest) == ()
    assert rest.split().count("tea") == words.count("tea")


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert len(LEXICON.terms(text)) <= len(normalise(text)) ** 2
    LEXICON.without_terms(text)


def test_a_project_adds_and_takes_out(tmp_path: Path) -> None:
    own = tmp_path / "identity_terms.yaml"
    own.write_text(
        "fandom: [trekkie, 'whovian, doctor who fan']\nethnicity: ['-black', 'arab, a-rab']\n"
    )
    lexicon = load_lexicon(own)
    assert lexicon.terms("two trekkies") == (Term("fandom", "trekkie"),)
    assert lexicon.terms("Doctor Who fans") == (Term("fandom", "whovian"),)
    assert lexicon.terms("a-rab") == (Term("ethnicity", "arab"),)
    assert lexicon.terms("a black car") == ()
    assert names("a black car") == ["black"]
    assert load_lexicon(tmp_path / "none.yaml").forms == LEXICON.forms


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n- b", "not a mapping"),
        ("religion: muslim", "field 'religion': not a list of terms"),
        ("religion: [yes]", "quote words that YAML reads"),
        ("religion: [', ']", "an empty term"),
        ("religion: [", "broken YAML"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    own = tmp_path / "identity_terms.yaml"
    own.write_text(text)
    with pytest.raises(InputError, match=r"identity_terms\.yaml") as raised:
        load_lexicon(own)
    assert says in str(raised.value)
