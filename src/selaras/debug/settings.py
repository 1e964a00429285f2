"""How much work a method may do, and its chance."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`masks` forwards of the surrogate, `steps` of integrated gradients, `keep` segments a level
    of the hierarchical search, `seed` of every draw."""

    masks: int = 32
    steps: int = 16
    keep: int = 3
    seed: int = 0
