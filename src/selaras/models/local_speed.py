"""How fast this machine runs a model, measured in a few seconds, to forecast a run's time."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.local import LocalModel
from selaras.models.local_torch import torch

# Forward and backward of an adapter against a forward alone, as measured on CPU.
TRAINING_COST = 2.3
ROWS, LENGTH, NEW = 16, 64, 8


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second: read (a forward pass), trained on (LoRA), generated (a batch)."""

    read: float
    trained: float
    generated: float


def measure_speed(model: LocalModel, at_once: int | None = None) -> Speed:
    """Return the speed of a model: the better of two forward passes and two short generations.

    So many answers are generated at once, the model's full batch by default.
    """
    ids = torch.full((ROWS, LENGTH), 7, device=model.model.device)
    asked = [
        f"{i} kettles: how do I clean them?"
        for i in range(min(at_once or model.batch_size, model.batch_size))
    ]
    talk = [(Message(role="user", content=text),) for text in asked]
    with torch.inference_mode():
        reading = fastest(lambda: model.model(input_ids=ids, logits_to_keep=1))
    writing = fastest(lambda: list(model.generate(talk, Sampling(max_tokens=NEW))))
    read = ROWS * LENGTH / reading
    return Speed(read, read / TRAINING_COST, len(talk) * NEW / writing)


def fastest(work: Callable[[], object]) -> float:
    """Return the shorter time of two runs: the first one warms up, and others disturb either."""
    times = []
    for _ in range(2):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)
