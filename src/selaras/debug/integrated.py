"""Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) over a segment's tokens.

The path runs from a prompt whose deletable tokens are replaced by the embedding of the padding
token; Gauss-Legendre steps. The zero vector is no baseline here: root-mean-square norms make a
model insensitive to an embedding's length, so that all change would lie in a jump at zero.
Completeness: the scores sum to f(prompt) - f(baseline), up to the steps' error.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from selaras.debug.gradient import embeddings, gradients, summed, with_gradients
from selaras.debug.probe import LocalProbe, Probe
from selaras.debug.segments import Segment
from selaras.debug.settings import Settings
from selaras.debug.target import Array
from selaras.models.local_torch import torch


def integrated_gradients(probe: Probe, segments: Sequence[Segment], settings: Settings) -> Array:
    """Return each segment's share of f(prompt) - f(baseline), in nats."""
    local = with_gradients(probe)
    end = embeddings(local)
    begin = baseline(local, segments, end)
    points, weights = np.polynomial.legendre.leggauss(settings.steps)
    total = torch.zeros_like(end)
    with local.progress.task("integrated gradients", settings.steps) as task:
        for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
            gradient, _ = gradients(local, begin + float(point) * (end - begin))
            total += float(weight) * gradient
            task.advance()
    return summed(np.asarray((total * (end - begin)).sum(-1).cpu(), dtype=np.float64), segments)


def baseline(probe: LocalProbe, segments: Sequence[Segment], end: Any) -> Any:
    """Return the prompt's embeddings with the padding token in every deletable place."""
    from selaras.models.local import pad_id

    model = probe.model.model
    pad = torch.tensor([pad_id(probe.model.chat.tokenizer)], device=model.device)
    places = [place for segment in segments for place in segment.tokens]
    begin = end.clone()
    begin[places] = model.get_input_embeddings()(pad).detach()
    return begin
