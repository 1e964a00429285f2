"""What `selaras tune rl` takes from the project file: --set tune.rl.FIELD=…"""

from typing import Literal

from pydantic import Field

from selaras.core.records import Record

Algorithm = Literal["rloo", "grpo"]
COSTS = ("over_refusal", "over_length", "incoherence")


class CostBudgets(Record):
    """The mean that each cost may have before its weight grows; all are shares from 0 to 1."""

    over_refusal: float = Field(default=0.1, ge=0, le=1)
    over_length: float = Field(default=0.3, ge=0, le=1)
    incoherence: float = Field(default=0.1, ge=0, le=1)


class RLSettings(Record):
    """On-policy RL against a reward model.

    `reward` and `held_aside_reward` name reward models (`run:ID`); the second one is never trained
    on and shows over-optimisation. A step draws `queries` queries and `samples` responses to each.
    Rewards are counted in standard deviations of the starting policy's, so that `kl_coefficient`
    (a nat of KL) and the weights of costs mean the same under every reward model. `kl_budget` is in
    nats a response. A cost's weight starts at `weight` and moves by `weight_rate` times what the
    cost is over its budget; in a step itself `weight_push` times what it is over comes on top.
    Every `watch_every` steps `watch_queries` queries kept aside are answered. `server` is the base
    URL of a vLLM server that answers in place of this process.
    """

    reward: str | None = None
    held_aside_reward: str | None = None
    algorithm: Algorithm = "rloo"
    steps: int = Field(default=60, ge=1, le=100_000)
    queries: int = Field(default=8, ge=1, le=4096)
    samples: int = Field(default=4, ge=2, le=256)
    max_tokens: int = Field(default=64, ge=1, le=32768)
    temperature: float = Field(default=1.0, gt=0, le=2)
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    kl_coefficient: float = Field(default=0.05, ge=0, le=100)
    kl_budget: float = Field(default=10.0, gt=0)
    mask_truncated: bool = True
    length_limit: int | None = Field(default=None, ge=1)
    budgets: CostBudgets = CostBudgets()
    weight: float = Field(default=1.0, ge=0)
    weight_rate: float = Field(default=1.0, ge=0)
    weight_push: float = Field(default=10.0, ge=0)
    weight_limit: float = Field(default=20.0, gt=0)
    watch_every: int = Field(default=10, ge=1)
    watch_queries: int = Field(default=48, ge=2)
    server: str | None = None
