"""How a training runs, whatever is trained: memory for time, precision of the base, loggers."""

from typing import Literal

from selaras.core.records import Record


class Running(Record):
    """What `tune.running` holds.

    `gradient_checkpointing` computes activations twice instead of keeping them; `four_bit` keeps
    the frozen base in 4 bits (bitsandbytes); `report_to` sends figures to TensorBoard or Weights &
    Biases, which nothing does unless asked.
    """

    gradient_checkpointing: bool = False
    four_bit: bool = False
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = ()
