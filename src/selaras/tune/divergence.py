"""How far a tuning moved a model: KL(base || tuned) at response positions, in nats a token.

Over-tuning shows here before it shows in capability: an objective can be raised only so far for a
given divergence (Gao et al., arXiv:2210.10760), so it serves as a budget, as a term of the loss,
and as the distance by which a point of the frontier is told from another.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from selaras.models.local import pad_right
from selaras.models.local_prefix import read_prefix
from selaras.models.local_torch import torch
from selaras.tune.encode import IGNORED, Encoded

# Positions at a time: two distributions over the vocabulary are in memory for each.
CHUNK = 256
# What some models do to logits after the projection: their own forward pass has to do it.
OTHER_HEADS = ("final_logit_softcapping", "logits_scaling", "logit_scale")
ROWS = 16


def response_logits(causal: Any, inputs: Any) -> Any:
    """Return the logits (float32) that predict the labelled tokens, row by row: (tokens, words).

    The vocabulary projection runs at those positions only, and the beginning that all prompts share
    is read once. `inputs` holds input_ids, attention_mask and labels, padded on the right.
    """
    labels = inputs["labels"]
    prompts = [
        ids[: int((own == IGNORED).int().cumprod(0).sum())].tolist()
        for ids, own in zip(inputs["input_ids"], labels, strict=True)
    ]
    prefix, cache = read_prefix(causal, prompts)
    wanted = labels[:, prefix + 1 :] != IGNORED
    given = {
        "input_ids": inputs["input_ids"][:, prefix:],
        "attention_mask": inputs["attention_mask"],
        "past_key_values": cache,
        "use_cache": cache is not None,
    }
    if any(getattr(causal.config, name, None) for name in OTHER_HEADS):
        return causal(**given).logits[:, :-1][wanted].float()
    states = causal.model(**given).last_hidden_state
    return causal.lm_head(states[:, :-1][wanted]).float()


def divergences(reference: Any, logits: Any) -> Any:
    """Return KL(reference || logits) at each position, shape (positions,), a chunk at a time."""
    found = [
        torch.nn.functional.kl_div(
            own.log_softmax(-1), base.log_softmax(-1), reduction="none", log_target=True
        ).sum(-1)
        for base, own in zip(reference.split(CHUNK), logits.split(CHUNK), strict=True)
    ]
    return torch.cat(found) if found else logits.new_zeros(0)


def mean_divergences(
    base: Callable[[], AbstractContextManager[Any]],
    tuned: Callable[[], AbstractContextManager[Any]],
    rows: Encoded,
    pad: int,
) -> list[float]:
    """Return the mean KL(base || tuned) over the response of each row, in nats a token.

    `base` and `tuned` give the causal model of either, one after the other: they may be one model
    with its adapter off and on.
    """
    found: list[float] = []
    for start in range(0, len(rows.input_ids), ROWS):
        ids, labels = (own[start : start + ROWS] for own in (rows.input_ids, rows.labels))
        with torch.no_grad():
            with base() as causal:
                inputs = padded(ids, labels, pad, causal.device)
                reference = response_logits(causal, inputs)
            with tuned() as causal:
                at = divergences(reference, response_logits(causal, inputs))
        lengths = (inputs["labels"][:, 1:] != IGNORED).sum(-1).tolist()
        found += [float(own.mean()) if len(own) else 0.0 for own in at.split(lengths)]
    return found


def padded(
    ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]], pad: int, device: Any
) -> dict[str, Any]:
    """Return rows as input_ids, attention_mask and labels, padded on the right."""
    input_ids, mask = pad_right(ids, pad, device)
    targets, _ = pad_right(labels, IGNORED, device)
    return {"input_ids": input_ids, "attention_mask": mask, "labels": targets}
