"""Rollouts: what the policy answers to a step's queries, and what each answer scored.

They are kept in the run's folder, a step a line, with ids in place of queries: who browses them
joins the queries from the project's own rows. Responses are untrusted text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from selaras.core.errors import SelarasError
from selaras.core.records import Conversation, Query
from selaras.core.rl import RLSettings
from selaras.core.system import Sampling
from selaras.models.local_chat import ChatTokenizer
from selaras.models.protocol import Rewarder
from selaras.tune.costs import incoherence, is_to_answer, over_length, refuses
from selaras.tune.policy import Exchange, Policy

ROLLOUTS = "rollouts.jsonl"
Render = Callable[[Query], Conversation]


class Sampler(Protocol):
    """Answers prompts as the policy does: `() -> reply ids`, ended by a stop id where one came."""

    def __call__(self, prompts: Sequence[list[int]], sampling: Sampling) -> list[list[int]]:
        """Return one reply a prompt, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Rollout:
    """A response to a query, before it is scored."""

    row: Query = field(repr=False)
    conversation: Conversation = field(repr=False)
    exchange: Exchange = field(repr=False)
    text: str = field(repr=False)

    @property
    def tokens(self) -> int:
        """How many tokens the reply has, with the one that ends it."""
        return len(self.exchange.reply)


@dataclass(frozen=True, slots=True)
class Scored:
    """A rollout's reward (as the reward model says it), costs and reference log-probabilities.

    A cost that does not apply (over-refusal where refusing is right) is None.
    """

    reward: float
    costs: Mapping[str, float | None]
    refused: bool
    reference: Any = field(repr=False)


def roll_out(
    sampler: Sampler, chat: ChatTokenizer, stop: frozenset[int],
    asked: Sequence[tuple[Query, Conversation]], sampling: Sampling,
) -> list[Rollout]:  # fmt: skip
    """Return one response to each query that was asked; a query may be asked more than once."""
    prompts = [chat.prompt_ids(conversation) for _, conversation in asked]
    replies = sampler(prompts, sampling)
    found = []
    for (row, conversation), prompt, reply in zip(asked, prompts, replies, strict=True):
        finished = bool(reply) and reply[-1] in stop
        told = reply[:-1] if finished else reply
        text = chat.tokenizer.decode(told, skip_special_tokens=True)
        found.append(
            Rollout(row, conversation, Exchange(tuple(prompt), tuple(reply), finished), text)
        )
    return found


def score(
    rollouts: Sequence[Rollout], policy: Policy, rewarder: Rewarder, settings: RLSettings
) -> list[Scored]:
    """Return what the rollouts scored; raises SelarasError for a reward that is no number."""
    rewards = rewards_of(rewarder, rollouts)
    exchanges = [r.exchange for r in rollouts]
    reference = policy.reference_log_probabilities(exchanges, settings.temperature)
    limit = settings.length_limit or settings.max_tokens
    found = []
    for rollout, reward, told in zip(rollouts, rewards, reference, strict=True):
        refused = refuses(rollout.row, rollout.text)
        costs: dict[str, float | None] = {
            "over_refusal": float(refused) if is_to_answer(rollout.row) else None,
            "over_length": over_length(
                rollout.tokens, rollout.exchange.finished, limit, settings.max_tokens
            ),
            "incoherence": incoherence(rollout.text, -float(told.mean())),
        }
        found.append(Scored(reward, costs, refused, told))
    return found


def rewards_of(rewarder: Rewarder, rollouts: Sequence[Rollout]) -> list[float]:
    """Return the rewards of responses; raises SelarasError where one is no finite number."""
    rewards = rewarder.reward([r.conversation for r in rollouts], [r.text for r in rollouts])
    for rollout, reward in zip(rollouts, rewards, strict=True):
        if not abs(reward) < float("inf"):
            raise SelarasError(
                f"the reward model gives {reward} for a response to {rollout.row.id!r}: it is "
                "broken, train it again"
            )
    return rewards


def kept(rollout: Rollout, scored: Scored, **more: Any) -> dict[str, Any]:
    """Return what the journal keeps of a rollout: the response, and of its query the id."""
    return {
        "row": rollout.row.id,
        "kind": rollout.row.kind.value,
        "text": rollout.text,
        "finished": rollout.exchange.finished,
        "tokens": rollout.tokens,
        "reward": scored.reward,
        "costs": dict(scored.costs),
        "refused": scored.refused,
        **more,
    }
