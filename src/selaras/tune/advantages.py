"""Advantages of a group of responses to one query: how much better each is than its siblings.

RLOO (Ahmadian et al., arXiv:2402.14740) takes the mean of the *others* as the baseline, which
leaves the gradient unbiased; GRPO (Shao et al., arXiv:2402.03300) takes the mean of all and divides
by the group's standard deviation.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from selaras.core.rl import Algorithm

Rewards = NDArray[np.float64]
# Against a division by zero, as in TRL.
TINY = 1e-4


def rloo_advantages(rewards: Rewards) -> Rewards:
    """Return each reward less the mean of the others of its row; shape (queries, samples).

    >>> rloo_advantages(np.array([[1.0, 2.0, 6.0]])).tolist()
    [[-3.0, -1.5, 4.5]]
    """
    others = (rewards.sum(1, keepdims=True) - rewards) / (rewards.shape[1] - 1)
    return np.asarray(rewards - others)


def grpo_advantages(rewards: Rewards) -> Rewards:
    """Return each reward less its row's mean, over the row's standard deviation.

    >>> grpo_advantages(np.array([[1.0, 3.0], [2.0, 2.0]])).round(3).tolist()
    [[-0.707, 0.707], [0.0, 0.0]]
    """
    spread = rewards.std(1, ddof=1, keepdims=True)
    return np.asarray((rewards - rewards.mean(1, keepdims=True)) / (spread + TINY))


ADVANTAGES: dict[Algorithm, Callable[[Rewards], Rewards]] = {
    "rloo": rloo_advantages,
    "grpo": grpo_advantages,
}
