"""Leave-one-out by levels, for long prompts: coarse units first, finer ones where they matter.

Sections, then paragraphs and sentences (whatever units the segments lie in) are deleted one
by one; only inside those whose deletion costs at least a fifth of the largest cost, and at most
`keep` a level, the next finer unit is tried (the idea of AttriBoT, Liu et al. 2024,
arXiv:2411.15102, with a threshold). What was not looked into shares its unit's score by tokens.
Effects that only show when two segments go together are missed where their units hide them.
"""

from collections.abc import Sequence

import numpy as np

from selaras.debug.probe import Probe, values
from selaras.debug.segments import Segment, ablatable, cut
from selaras.debug.settings import Settings
from selaras.debug.target import Array

LEVELS = ("message", "section", "paragraph", "sentence", "word")
WORTH = 0.2


def hierarchical(probe: Probe, segments: Sequence[Segment], settings: Settings) -> Array:
    """Return each segment's loss by deletion where it was looked into, else its unit's share."""
    sizes = np.array([max(len(segment.tokens), 1) for segment in segments], dtype=float)
    scores = np.zeros(len(segments))
    open_groups = [list(range(len(segments)))]
    for level in _levels(probe, segments):
        tried = [part for group in open_groups for part in _split(group, level)]
        if len(tried) == len(open_groups):
            continue
        losses = _losses(probe, segments, tried)
        for part, loss in zip(tried, losses, strict=True):
            scores[part] = loss * sizes[part] / sizes[part].sum()
        largest = np.abs(losses).max(initial=0.0)
        ranked = sorted(range(len(tried)), key=lambda i: -abs(losses[i]))[: settings.keep]
        open_groups = [
            tried[i] for i in ranked if len(tried[i]) > 1 and abs(losses[i]) >= WORTH * largest
        ]
        if not open_groups:
            break
    return scores


def _levels(probe: Probe, segments: Sequence[Segment]) -> list[list[int]]:
    """Return for every level the unit that each segment lies in, coarse to fine, the last its own.

    Levels that cut nothing new are left out.
    """
    found: list[list[int]] = []
    for unit in LEVELS:
        starts = np.array([s.start for s in ablatable(cut(probe.view, unit))])
        lies = [int(np.searchsorted(starts, s.start, side="right")) for s in segments]
        if len(set(lies)) > (len(set(found[-1])) if found else 1):
            found.append(lies)
    if not found or len(set(found[-1])) < len(segments):
        found.append(list(range(len(segments))))
    return found


def _split(group: Sequence[int], level: Sequence[int]) -> list[list[int]]:
    parts: dict[int, list[int]] = {}
    for segment in group:
        parts.setdefault(level[segment], []).append(segment)
    return list(parts.values())


def _losses(probe: Probe, segments: Sequence[Segment], groups: Sequence[Sequence[int]]) -> Array:
    rows = np.ones((len(groups) + 1, len(segments)), bool)
    for i, group in enumerate(groups, 1):
        rows[i, list(group)] = False
    found = values(probe, segments, rows)
    return np.asarray(found[0] - found[1:])
