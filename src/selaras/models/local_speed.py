"""How fast this machine runs a model, measured in a few seconds, to forecast a run's time."""

import time
from dataclasses import dataclass

from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.local import LocalModel
from selaras.models.local_torch import torch

# Forward and backward of an adapter against a forward alone, as measured on CPU.
TRAINING_COST = 3.0
ROWS, LENGTH, NEW = 16, 64, 8


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second: read (a forward pass), trained on (LoRA), generated (a full batch)."""

    read: float
    trained: float
    generated: float


def measure_speed(model: LocalModel) -> Speed:
    """Return the speed of a model, from one forward pass and one short generation."""
    ids = torch.full((ROWS, LENGTH), 7, device=model.model.device)
    with torch.inference_mode():
        model.model(input_ids=ids[:, :8], logits_to_keep=1)
        begun = time.perf_counter()
        model.model(input_ids=ids, logits_to_keep=1)
        read = ROWS * LENGTH / (time.perf_counter() - begun)
    talk = (Message(role="user", content="How do I clean a kettle?"),)
    begun = time.perf_counter()
    made = list(model.generate([talk] * model.batch_size, Sampling(max_tokens=NEW)))
    tokens = sum(max(1, generation.tokens) for generation in made)
    generated = tokens / (time.perf_counter() - begun)
    return Speed(read, read / TRAINING_COST, generated)
