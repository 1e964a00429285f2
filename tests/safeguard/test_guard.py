"""The guard: what passes, what is blocked, and that nothing passes because something broke."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.core.records import Conversation, Message
from selaras.core.system import Sampling
from selaras.models.protocol import Generation
from selaras.policy import builtin_policies
from selaras.safeguard import Guard, Material, Score, Wording, guarded_model
from selaras.safeguard.rules import PersonalRule, Rules, rule

SECRET = "the butler did it"
RULES = Rules((rule("hate", SECRET),))


@dataclass(frozen=True)
class Marked:
    """A stage that scores by a mark in the text, and breaks on another."""

    name: str = "marked"
    sides: frozenset[Any] = frozenset({"query", "response"})
    hold: int = 0
    only_unsure: bool = False
    quick: bool = True
    policy: str = "harassment"
    clear: float | None = None

    @property
    def identity(self) -> dict[str, Any]:
        return {"stage": self.name}

    def check(self, materials: Sequence[Material]) -> list[tuple[Score, ...]]:
        if any("BREAK" in material.text for material in materials):
            raise RuntimeError("down")
        values = [float(material.text.partition("=")[2] or 0) for material in materials]
        return [(Score(self.name, self.policy, v, 0.5, "marked", self.clear),) for v in values]


@dataclass(frozen=True)
class Echo:
    """A model that repeats what it is asked, and counts."""

    asked: list[str]
    batch_size: int = 8

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "echo"}

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        # The last one finishes first.
        for i, talk in reversed(list(enumerate(conversations))):
            self.asked.append(talk[-1].content)
            yield Generation(i, talk[-1].content.removeprefix("say "), finish="stop")


def test_a_stage_that_fails_is_an_error_and_never_lets_pass() -> None:
    guard = Guard("g", (Marked(),))
    outcome = guard.check_query("BREAK")
    assert (outcome.action, outcome.stage) == ("error", "marked")
    assert outcome.message
    assert "BREAK" not in outcome.reason
    open_ = Guard("g", (Marked(),), on_fault="open").check_query("BREAK")
    assert open_.allowed
    assert open_.reason.startswith("failed open")
    assert open_.faults
    assert guard.fingerprint != Guard("g", (Marked(),), on_fault="open").fingerprint


def test_one_text_that_breaks_a_stage_does_not_take_the_others_with_it() -> None:
    outcomes = Guard("g", (Marked(),)).check_queries(["a=0", "BREAK", "b=0.9"])
    assert [outcome.action for outcome in outcomes] == ["allow", "error", "block"]


def test_a_block_by_a_stage_that_works_stands_beside_a_fault() -> None:
    outcome = Guard("g", (Marked(), RULES)).check_query(f"BREAK, {SECRET}")
    assert outcome.action == "block"
    assert outcome.faults


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_score_that_is_no_number_never_passes(value: str) -> None:
    assert not Guard("g", (Marked(),)).check_query(f"x={value}").allowed


def test_a_stage_for_the_unsure_is_asked_only_there() -> None:
    judge = Marked(name="judge", only_unsure=True, policy="hate")
    guard = Guard("g", (Marked(clear=0.2), judge))
    assert [score.stage for score in guard.check_query("x=0.1").scores] == ["marked"]
    assert [score.stage for score in guard.check_query("x=0.3").scores] == ["marked", "judge"]


def test_the_graver_policy_decides_where_two_block() -> None:
    policies = builtin_policies()
    two = Rules((rule("off-topic", "weather"), rule("self-harm", "weather")))
    guard = Guard("g", (two,), policies)
    outcome = guard.check_query("the weather")
    assert outcome.policy == "self-harm"
    assert {score.policy for score in outcome.scores} == {"off-topic", "self-harm"}


def test_every_turn_counts_but_the_products_own() -> None:
    guard = Guard("g", (RULES,))
    talk = (Message(role="user", content=SECRET), Message(role="assistant", content="Yes."),
            Message(role="user", content="Go on."))  # fmt: skip
    assert guard.check_query(talk).action == "block"
    system = (Message(role="system", content=f"Never say {SECRET}."), talk[-1])
    assert guard.check_query(system).allowed


def test_arguments_of_tool_calls_are_texts_of_their_own() -> None:
    guard = Guard("g", (RULES,))
    assert guard.check_response("q", "Calling.", [f'{{"text": "{SECRET}"}}']).action == "block"
    assert guard.check_response("q", "", ["{}"]).allowed


def test_what_is_too_long_is_an_error() -> None:
    assert Guard("g", (RULES,)).check_query("a" * (1 << 20 | 1)).action == "error"


def test_about_an_empty_text_no_stage_is_asked() -> None:
    @dataclass(frozen=True)
    class Down(Marked):
        def check(self, materials: Sequence[Material]) -> list[tuple[Score, ...]]:
            raise RuntimeError("down")

    guard = Guard("g", (Down(),))
    assert guard.check_query(" \n").allowed
    assert guard.check_response("q", "").allowed
    assert guard.check_response("q", "", ["{}"]).action == "error"
    # Signs that nobody sees are signs.
    assert guard.check_query("\u200b").action == "error"


@given(st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_has_an_outcome(text: str) -> None:
    guard = Guard("g", (Rules((rule("hate", SECRET),), (PersonalRule("hate"),)),))
    assert guard.check_query(text).action in {"allow", "block"}
    assert guard.check_response("q", text, final=False).action in {"allow", "block"}
    assert 0 <= guard.releasable(text) <= len(text)


@given(
    st.text(alphabet="ab .\u200b\u00ad\n", max_size=40),
    st.sampled_from([SECRET, "t h e  b u t l e r  d.i.d  it", "The\u200b But\u200bler  \n did it",
                     "th3 butl3r did 1t", "ｔｈｅ ｂｕｔｌｅｒ ｄｉｄ ｉｔ",
                     "dGhlIGJ1dGxlciBkaWQgaXQ=",
                     "74 68 65 20 62 75 74 6c 65 72 20 64 69 64 20 69 74",
                     "&#116;&#104;&#101; butler did it"]),
    st.lists(st.integers(1, 9), min_size=1, max_size=80),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_what_streams_out_before_the_block_holds_no_part_of_the_match(
    before: str, planted: str, sizes: list[int]
) -> None:
    guard = Guard("g", (RULES,))
    text = f"{before} \n {planted} and so on"
    start = text.index(planted)
    grown = released = step = 0
    while grown < len(text):
        grown = min(len(text), grown + sizes[step % len(sizes)])
        step += 1
        if guard.check_response("q", text[:grown], final=grown == len(text)).action == "block":
            break
        released = max(released, guard.releasable(text[:grown]))
    else:
        pytest.fail("it was never blocked")
    assert released <= start + 1


def test_a_word_that_is_still_growing_is_not_yet_a_match() -> None:
    guard = Guard("g", (Rules((rule("hate", r"\bbomb\b"),)),))
    assert guard.check_response("q", "It is a bomb", final=False).allowed
    assert guard.check_response("q", "It is a bombastic", final=False).allowed
    assert guard.check_response("q", "It is a bomb.", final=False).action == "block"
    assert guard.check_response("q", "It is a bomb").action == "block"


def test_a_guarded_model_does_not_ask_what_is_blocked_and_keeps_the_order() -> None:
    asked: list[str] = []
    model = guarded_model(Echo(asked), Guard("g", (Marked(),)))
    talks = [(Message(role="user", content=said),)
             for said in ("a=0", "b=0.9", "say c=0", "BREAK")]  # fmt: skip
    found = {each.index: each for each in model.generate(talks, Sampling())}
    assert asked == ["say c=0", "a=0"]
    assert [found[i].status for i in range(4)] == ["ok", "ok", "ok", "error"]
    assert found[1].guard is not None
    assert found[1].guard["side"] == "query"
    assert found[2].text == "c=0"
    assert found[2].guard is not None
    assert found[2].guard["action"] == "allow"


def test_a_guarded_model_replaces_a_bad_response() -> None:
    rules = Rules((rule("hate", SECRET, sides=("response",)),))
    guard = Guard("g", (rules,), wording=Wording(messages={"hate": "No spoilers."}))
    model = guarded_model(Echo([]), guard)
    talk = (Message(role="user", content=f"say {SECRET}"),)
    (found,) = model.generate([talk], Sampling())
    assert found.text == "No spoilers."
    assert found.guard == {"action": "block", "side": "response", "policy": "hate",
                           "stage": "rules", "score": 1.0, "threshold": 1.0}  # fmt: skip
