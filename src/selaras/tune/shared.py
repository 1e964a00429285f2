"""What a loss needs to know of the other processes of its training; alone there are none."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


def width() -> int:
    """Return how many processes train together (1 outside a launch)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def mean_total(accelerator: Any, total: Any) -> Any:
    """Return a sum over the whole batch, divided by the processes.

    Gradients are averaged over processes: a part's loss over this, averaged, is the batch's mean.
    """
    return accelerator.reduce(total, "sum") / width() if width() > 1 else total


def through(model: Any, causal: Any, ids: Any, work: Callable[[], Value]) -> Value:
    """Return work(), done within the forward pass of what wraps the model.

    DDP and FSDP gather weights and mean gradients around their own forward: work on the model
    inside them would pass them by.
    """
    if width() == 1:
        return work()
    own = causal.forward

    def inner(*_: Any, **__: Any) -> Value:
        causal.forward = own
        return work()

    causal.forward = inner
    try:
        found: Value = model(input_ids=ids)
        return found
    finally:
        causal.forward = own
