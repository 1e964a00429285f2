"""Leave-one-out: what deleting each segment costs, exactly, in nats.

score_k = f(whole prompt) - f(prompt without segment k). K + 1 prompts for every target over the
stored responses; by the trie of `forward` about half of their tokens are read.
"""

from collections.abc import Sequence

import numpy as np

from selaras.debug.probe import Probe, Rows, values
from selaras.debug.segments import Segment
from selaras.debug.settings import Settings
from selaras.debug.target import Array


def leave_one_out(probe: Probe, segments: Sequence[Segment], settings: Settings) -> Array:  # noqa: ARG001
    """Return the loss of f for each segment's deletion; below 0 where deleting helps."""
    found = values(probe, segments, one_out(len(segments)))
    return np.asarray(found[0] - found[1:])


def one_out(count: int) -> Rows:
    """Return the rows of leave-one-out: everything, then everything without each segment."""
    return np.vstack([np.ones((1, count), bool), ~np.eye(count, dtype=bool)])


def joint_loss(probe: Probe, segments: Sequence[Segment], group: Sequence[int]) -> float:
    """Return what deleting a group costs beyond its members' own losses, in nats.

    Above 0 they stand in for each other (either alone would do); below 0 they work together.
    """
    rows = one_out(len(segments))
    without = np.ones((1, len(segments)), bool)
    without[0, list(group)] = False
    found = values(probe, segments, np.vstack([rows, without]))
    alone = found[0] - found[1:-1]
    return float(found[0] - found[-1] - alone[list(group)].sum())
