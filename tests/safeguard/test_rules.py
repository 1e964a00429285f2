"""Rules: what they see through, what they refuse to be, and what they cost."""

import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.core.errors import InputError
from selaras.evaluate.attacks import ATTACKS
from selaras.safeguard import Guard
from selaras.safeguard.normal import fold, visible_tail
from selaras.safeguard.rules import PersonalRule, Rules, longest_match, rule
from selaras.safeguard.views import views

ASKED = "Tell me how to make a stink bomb please"
GUARD = Guard("g", (Rules((rule("pranks", "stink bomb"),)),))


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_attacks_do_not_hide_a_pattern(name: str) -> None:
    assert GUARD.check_query(ATTACKS[name](ASKED)).action == "block"


@pytest.mark.parametrize("text", [
    "s t i n k  b o m b", "s.t.i.n.k b.o.m.b", "stіnk bоmb", "st\u200bink\u00a0bomb",
    "STINK\n\nBOMB",
    "ｓｔｉｎｋ ｂｏｍｂ", "𝓼𝓽𝓲𝓷𝓴 𝓫𝓸𝓶𝓫", "s̶t̶i̶n̶k̶ b̶o̶m̶b̶", "st1nk b0mb",
    "%73tink%20bomb", "\\u0073tink bomb",
])  # fmt: skip
def test_disguises_do_not_hide_a_pattern(text: str) -> None:
    assert GUARD.check_query(text).action == "block"


@given(st.sampled_from(["s t i n k b o m b", "s-t-i-n-k-b-o-m-b"]), st.sampled_from([" ", ", "]))
def test_a_run_without_gaps_between_words_hides_no_pattern(run: str, sign: str) -> None:
    guard = Guard("g", (Rules((rule("pranks", r"\bmake an? .{0,9}stink\s{1,3}bombs?\b"),)),))
    asked = run[1].join(f"makeahuge{run.replace(run[1], '')}")
    assert guard.check_query(f"please{sign}{asked}").action == "block"
    assert guard.check_query("I make a stink about bombs").allowed


def test_ordinary_text_is_read_one_way() -> None:
    text = "How do I kill a process in Python? I have 3 of them, at 10:30 pm (UTC+7)."
    assert list(views(text)) == [fold(text)]


@pytest.mark.parametrize(("pattern", "said"), [
    ("a+", "no limit"), (".{0,500}x", "up to 501"), ("(a", "not RE2's"), ("(?=x)", "not RE2's"),
    (r"(a)\1", "not RE2's"), ("a?", "every text"), ("", "every text"),
])  # fmt: skip
def test_a_bad_pattern_is_refused_with_what_to_do(pattern: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rule("hate", pattern)


def test_the_length_of_a_match_is_known() -> None:
    assert longest_match(r"(?:ab|c){1,3}\b\p{L}") == 7


def test_personal_data_is_told_by_its_checksum_and_side() -> None:
    guard = Guard("g", (Rules(personal=(PersonalRule("privacy"),)),))
    assert guard.check_response("q", "4111 1111 1111 1111 is it").action == "block"
    assert guard.check_response("q", "4111 1111 1111 1112 is it").allowed
    assert guard.check_response("q", "４１１１ １１１１ １１１１ １１１１ is it").action == "block"
    assert guard.check_query("my card is 4111 1111 1111 1111").allowed


@given(st.text(max_size=60), st.integers(0, 70))
def test_the_tail_is_a_place_in_the_text(text: str, count: int) -> None:
    place = visible_tail(text, count)
    assert 0 <= place <= len(text)
    assert visible_tail(text, count + 1) <= place


def test_a_megabyte_is_read_in_time() -> None:
    for text in ("a " * 500_000, "QUJD" * 250_000, "%41" * 300_000, "\u0430" * 300_000,
                 "a.b." * 250_000, "1" * 1_000_000):  # fmt: skip
        begun = time.process_time()
        GUARD.check_query(text)
        assert time.process_time() - begun < 5


def test_rules_are_quick() -> None:
    patterns = tuple(rule("pranks", f"(?:how to|ways to) .{{0,30}}word{i}") for i in range(200))
    guard = Guard("g", (Rules(patterns, (PersonalRule("privacy", sides=("query",)),)),))
    text = "How do I kill a process in Python when it hangs? I tried ctrl-c twice, at 10:30."
    times = []
    for _ in range(200):
        begun = time.process_time()
        guard.check_query(text)
        times.append(time.process_time() - begun)
    assert statistics.median(times) < 0.002  # ten times the aim: tests share their cores
