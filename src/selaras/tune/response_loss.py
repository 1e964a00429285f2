"""SFT's loss, computed with no more work than it needs, with a rein on what is not to change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selaras.core.errors import MissingExtraError
from selaras.models.local_torch import torch
from selaras.tune.divergence import divergences, response_logits
from selaras.tune.encode import IGNORED
from selaras.tune.shared import mean_total, through, width
from selaras.tune.trainable import as_base, causal_of

try:
    import trl
except ImportError as error:
    raise MissingExtraError(error.name or "trl", "tune") from error

FIRST_TOKENS = 4
# Enough tokens to keep the processor busy, few enough to keep activations small.
PART_TOKENS = {"cpu": 640, "cuda": 16384, "mps": 4096}


@dataclass(frozen=True, slots=True)
class Weights:
    """What the terms of the loss weigh.

    `first_token` is that of a response's first FIRST_TOKENS tokens in the cross-entropy; `kl` is
    that of KL(base || tuned) at the responses of kept rows, where `kl_first_token` leans on their
    first tokens.
    """

    first_token: float = 1.0
    kl: float = 0.0
    kl_first_token: float = 1.0


PLAIN = Weights()


class ResponseLoss(trl.SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that computes what the loss needs and no more; the gradient is TRL's.

    The vocabulary projection runs at response positions only, the beginning that all prompts share
    is read once, and a batch is worked through in parts of alike length, which spares padding and
    memory: their losses are summed, so a step does not depend on the parts. With a first-token
    weight of 1 the loss is the mean cross-entropy over the labelled tokens of the batch. A larger
    one leans on the tokens where answering and refusing part (Qi et al., arXiv:2406.05946): the
    rest of a response follows from them, and would drown them in the mean.

    Where `weights.kl` is set, the mean of KL(base || tuned) over the response tokens of rows that
    are to stay as they are (the column `kept`) is added: the base is the same model with its
    adapter off, or the `reference` where the weights themselves are trained.
    """

    weights = PLAIN
    reference: Any = None

    def training_step(
        self,
        model: Any,
        inputs: Any,
        num_items_in_batch: Any = None,  # noqa: ARG002 - one batch a step: its own sum divides
    ) -> Any:
        model.train()
        inputs = self._prepare_inputs(inputs)
        totals = self._totals(inputs)
        lengths = inputs["attention_mask"].sum(-1).tolist()
        losses = []
        # Several processes gather weights together: they have to go through as many parts.
        most = PART_TOKENS[inputs["input_ids"].device.type] if width() == 1 else math.inf
        for rows in parts_of_alike_length(lengths, most):
            longest = max(lengths[i] for i in rows)
            part = {
                key: value[rows] if value.dim() == 1 else value[rows, :longest]
                for key, value in inputs.items()
            }
            with self.compute_loss_context_manager():
                losses.append(self.compute_loss(model, part, num_items_in_batch=totals))
            self.accelerator.backward(losses[-1])
        return torch.stack(losses).detach().sum()

    def compute_loss(
        self,
        model: Any,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        causal = causal_of(self.accelerator.unwrap_model(model))
        found = through(
            model, causal, inputs["input_ids"],
            lambda: self._losses(model, inputs, num_items_in_batch or self._totals(inputs)),
        )  # fmt: skip
        return (found, {"loss": found}) if return_outputs else found

    def _losses(self, model: Any, inputs: Any, totals: tuple[Any, Any]) -> Any:
        """Return the part's weighted losses over the batch's weights."""
        rows = {key: inputs[key] for key in ("input_ids", "attention_mask", "labels")}
        logits = response_logits(causal_of(self.accelerator.unwrap_model(model)), rows)
        wanted = rows["labels"][:, 1:] != IGNORED
        targets = rows["labels"][:, 1:][wanted]
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        early = first_token_weights(wanted, self.weights.first_token)[wanted]
        loss = (losses * early).sum() / totals[0]
        if self.weights.kl and totals[1]:
            loss = loss + self.weights.kl * self._moved(model, inputs, logits) / totals[1]
        return loss

    def _moved(self, model: Any, inputs: Any, logits: Any) -> Any:
        """Return the weighted sum of KL(base || tuned) over the tokens of the part's kept rows."""
        kept = inputs["kept"].bool()
        wanted = inputs["labels"][:, 1:] != IGNORED
        own = kept[:, None].expand_as(wanted)[wanted]
        if not own.any():
            return logits.new_zeros(())
        rows = {key: inputs[key][kept] for key in ("input_ids", "attention_mask", "labels")}
        whole = self.accelerator.unwrap_model(model)
        with torch.no_grad(), as_base(whole, self.reference) as base:
            reference = response_logits(base, rows)
        weights = first_token_weights(wanted, self.weights.kl_first_token)[wanted][own]
        return (divergences(reference, logits[own]) * weights).sum()

    def _totals(self, inputs: Any) -> tuple[Any, Any]:
        """Return the sums of weights over the batch, of the cross-entropy and of the divergence."""
        wanted = inputs["labels"][:, 1:] != IGNORED
        total = (first_token_weights(wanted, self.weights.first_token) * wanted).sum()
        total = mean_total(self.accelerator, total)
        if not self.weights.kl:
            return total, 0
        kept = wanted & inputs["kept"].bool()[:, None]
        moved = (first_token_weights(kept, self.weights.kl_first_token) * kept).sum()
        return total, mean_total(self.accelerator, moved)


def parts_of_alike_length(lengths: Sequence[int], most: float) -> list[list[int]]:
    """Return the rows in parts of at most `most` tokens with their padding, shortest first.

    A row longer than that is a part of its own.

    >>> parts_of_alike_length([5, 50, 7, 40], 80)
    [[0, 2], [3], [1]]
    """
    parts: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if parts and (len(parts[-1]) + 1) * lengths[row] <= most:
            parts[-1].append(row)
        else:
            parts.append([row])
    return parts


def first_token_weights(wanted: Any, weight: float) -> Any:
    """Return a weight a position: `weight` at a row's first FIRST_TOKENS labelled ones, else 1."""
    early = wanted & (wanted.cumsum(-1) <= FIRST_TOKENS)
    return torch.where(early, weight, 1.0)
