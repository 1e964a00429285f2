"""What `selaras tune` takes from the project file: one record a kind of training.

Every field can be set with --set tune.FIELD=…, --set tune.reward.FIELD=… and so on.
"""

from typing import Annotated

from pydantic import Field

from selaras.core.records import Identifier, Record
from selaras.core.running import Running


class LoraSettings(Record):
    """What every training of an adapter has; rates and sizes differ by what is trained.

    `layers` is the share of the layers that is adapted, from the top; `batch_size` counts rows, or
    pairs; `selection_share` of the rows is kept aside to choose by.
    """

    epochs: int = Field(default=2, ge=1, le=50)
    learning_rate: float = Field(default=2e-4, gt=0, lt=1)
    batch_size: int = Field(default=16, ge=1, le=4096)
    rank: int = Field(default=8, ge=1, le=1024)
    layers: float = Field(default=0.5, gt=0, le=1)
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
    scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.7, 1.0)


class Tuning(LoraSettings):
    """What `tune` takes from the project file; the fields of its own are those of SFT."""

    model: str = "bundled:smollm2-135m-instruct"
    use_cases: tuple[str, ...] = ()
    mix: Identifier | None = None
    own_words: bool = True
    first_token_weight: float = Field(default=1.0, ge=1, le=100)
    minimum_look_alikes: int = Field(default=5, ge=0)
    scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (0.7, 1.0)
    reward: RewardSettings = RewardSettings()
    preference: PreferenceSettings = PreferenceSettings()
