"""What `selaras tune` takes from the project file: one record a kind of training.

Every field can be set with --set tune.FIELD=…, --set tune.reward.FIELD=… and so on.
"""

from typing import Annotated, Literal

from pydantic import Field

from selaras.core.records import Identifier, Record
from selaras.core.rl import RLSettings
from selaras.core.running import Running

Precision = Literal["auto", "bf16", "fp32"]
Scales = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)]


class LoraSettings(Record):
    """What every training of an adapter has; rates and sizes differ by what is trained.

    `layers` is the share of the layers that is adapted, from the top, and `targets` the ends of the
    names of their linear modules (`q_proj`), all where none is named. `precision` is that of the
    multiplications; `auto` is bf16 where the processor has it. `batch_size` counts rows, or pairs;
    `selection_share` of the rows is kept aside to choose by.
    """

    epochs: int = Field(default=2, ge=1, le=50)
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    batch_size: int = Field(default=16, ge=1, le=4096)
    rank: int = Field(default=8, ge=1, le=1024)
    layers: float = Field(default=0.5, gt=0, le=1)
    targets: tuple[str, ...] = ()
    precision: Precision = "auto"
    max_tokens: int = Field(default=512, ge=16)
    selection_share: float = Field(default=0.15, gt=0, lt=0.9)
    running: Running = Running()


class RewardSettings(LoraSettings):
    """What `tune reward` takes.

    `center` pulls the mean reward of a pair towards 0; `probe` begins with the best linear head on
    the untrained base instead of a random one.
    """

    learning_rate: float = Field(default=1e-4, gt=0, lt=1)
    probe: bool = True
    center: float = Field(default=0.01, ge=0, le=10)


class PreferenceSettings(LoraSettings):
    """What `tune preference` takes.

    `beta` holds the model to the base, `sft_weight` is the weight of the better side's own
    likelihood, `minimum_pairs` the fewest pairs of either direction.
    """

    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    batch_size: int = Field(default=8, ge=1, le=4096)
    beta: float = Field(default=0.1, gt=0, le=10)
    sft_weight: float = Field(default=0.2, ge=0, le=10)
    minimum_pairs: int = Field(default=5, ge=0)
    scales: Scales = (0.7, 1.0)


class Tuning(LoraSettings):
    """What `tune` takes from the project file; the fields of its own are those of SFT.

    `method` trains an adapter or the weights themselves; `adapter` is what it goes on from (a run,
    `run:ID`, or the folder of a PEFT adapter); `chat_template` (chatml, gemma, plain or a file) is
    attached to a pre-trained model that has none. `kl_coefficient` weighs KL(base || tuned) at the
    responses of rows that are to be answered; `kl_budget` (nats a token, on rows kept aside) stops
    the training. `recovery` is the share of the refusals that are also taught after a harmful
    beginning of the response.
    """

    model: str = "bundled:smollm2-135m-instruct"
    adapter: str | None = None
    chat_template: str | None = None
    method: Literal["lora", "full"] = "lora"
    use_cases: tuple[str, ...] = ()
    mix: Identifier | None = None
    deduplicate: bool = True
    own_words: bool = True
    recovery: float = Field(default=0.0, ge=0, le=1)
    first_token_weight: float = Field(default=1.0, ge=1, le=100)
    kl_coefficient: float = Field(default=0.0, ge=0, le=100)
    kl_first_token_weight: float = Field(default=5.0, ge=1, le=100)
    kl_budget: float | None = Field(default=None, gt=0)
    minimum_look_alikes: int = Field(default=5, ge=0)
    scales: Scales = (0.7, 1.0)
    reward: RewardSettings = RewardSettings()
    preference: PreferenceSettings = PreferenceSettings()
    rl: RLSettings = RLSettings()
