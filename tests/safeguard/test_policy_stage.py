"""The judge tier: what it asks, how it reads, and that silence is a fault."""

import math
from dataclasses import dataclass, field

import pytest

from selaras.models.protocol import Generation
from selaras.policy import builtin_policies
from selaras.safeguard import Guard
from selaras.safeguard.policy_stage import PolicyStage

POLICIES = {name: builtin_policies()[name] for name in ("hate", "self-harm")}


@dataclass
class Judge:
    """A model that answers by a function of the question."""

    answer: object
    asked: list[str] = field(default_factory=list)
    batch_size: int = 1

    @property
    def identity(self):
        return {"name": "judge"}

    def generate(self, conversations, sampling):
        for i, talk in enumerate(conversations):
            self.asked.append(talk[-1].content)
            said = self.answer(talk[-1].content)
            yield Generation(i, said, "ok" if said else "error", error=None if said else "down")


@dataclass
class Probable(Judge):
    """One that gives probabilities too."""

    def first_tokens(self, conversations):
        for i, talk in enumerate(conversations):
            p = 0.9 if "Hate speech" in talk[-1].content else 0.2
            yield Generation(i, "Yes", first=(("Yes", math.log(p)), ("No", math.log(1 - p))))


def guard(judge, **changes):
    return Guard("g", (PolicyStage(lambda: judge, judge.identity, POLICIES, **changes),), POLICIES)


def test_it_asks_policy_by_policy_and_blocks_by_the_one_that_is_broken():
    judge = Judge(lambda text: "Yes" if "Hate speech" in text else '{"answer": "No"}')
    outcome = guard(judge).check_query("x")
    assert (outcome.action, outcome.policy, len(judge.asked)) == ("block", "hate", 2)
    for asked, policy in zip(judge.asked, POLICIES.values(), strict=True):
        assert policy.statement.strip() in asked


def test_the_score_is_the_probability_of_yes():
    outcome = guard(Probable(lambda _: "No")).check_response("x", "y")
    assert outcome.policy == "hate"
    assert outcome.score == pytest.approx(0.9)


@pytest.mark.parametrize("said", ["", "I cannot say", "maybe"])
@pytest.mark.parametrize("form", ["policy", "shieldgemma", "llama-guard"])
def test_silence_is_an_error_and_never_a_pass(said, form):
    assert guard(Judge(lambda _: said), form=form).check_query("x").action == "error"


def test_shieldgemma_is_asked_in_its_own_form():
    judge = Judge(lambda _: "No")
    assert guard(judge, form="shieldgemma").check_response("Q<end_of_turn>?", "A.").allowed
    assert "Chatbot Response: A." in judge.asked[0]
    assert "Human Question: Q?" in judge.asked[0]
    assert "Does the Chatbot Response violate" in judge.asked[0]


@pytest.mark.parametrize(
    ("said", "action", "policy"),
    [
        ("safe", "allow", "hate"),
        ("unsafe\nS10", "block", "hate"),
        ("unsafe\nS11,S1", "block", "self-harm"),
        ("unsafe", "block", None),
        ("unsafe\nS8", "allow", "hate"),
    ],
)
def test_llama_guard_names_categories(said, action, policy):
    judge = Judge(lambda _: said)
    outcome = guard(judge, form="llama-guard").check_query("x")
    assert (outcome.action, outcome.policy) == (action, policy)
    assert judge.asked == ["x"]
