"""SFT's loss, computed with no more work than it needs."""

import math
from collections.abc import Sequence
from typing import Any

from selaras.core.errors import MissingExtraError
from selaras.models.local_prefix import read_prefix
from selaras.models.local_torch import torch
from selaras.tune.encode import IGNORED
from selaras.tune.shared import mean_total, through, width

try:
    import trl
except ImportError as error:
    raise MissingExtraError(error.name or "trl", "tune") from error

FIRST_TOKENS = 4
# What some models do to logits after the projection: their own forward pass has to do it.
OTHER_HEADS = ("final_logit_softcapping", "logits_scaling", "logit_scale")
# Enough tokens to keep the processor busy, few enough to keep activations small.
PART_TOKENS = {"cpu": 640, "cuda": 16384, "mps": 4096}


class ResponseLoss(trl.SFTTrainer):  # type: ignore[misc]
    """SFTTrainer that computes what the loss needs and no more; the gradient is TRL's.

    The vocabulary projection runs at response positions only, the beginning that all prompts share
    is read once, and a batch is worked through in parts of alike length, which spares padding and
    memory: their losses are summed, so a step does not depend on the parts. With a first-token
    weight of 1 the loss is the mean cross-entropy over the labelled tokens of the batch. A larger
    one leans on the tokens where answering and refusing part (Qi et al., arXiv:2406.05946): the
    rest of a response follows from them, and would drown them in the mean.
    """

    first_token_weight = 1.0

    def training_step(
        self,
        model: Any,
        inputs: Any,
        num_items_in_batch: Any = None,  # noqa: ARG002 - one batch a step: its own sum divides
    ) -> Any:
        model.train()
        inputs = self._prepare_inputs(inputs)
        total = mean_total(self.accelerator, self._weights(inputs["labels"]).sum())
        lengths = inputs["attention_mask"].sum(-1).tolist()
        losses = []
        # Several processes gather weights together: they have to go through as many parts.
        most = PART_TOKENS[inputs["input_ids"].device.type] if width() == 1 else math.inf
        for rows in parts_of_alike_length(lengths, most):
            longest = max(lengths[i] for i in rows)
            part = {key: value[rows, :longest] for key, value in inputs.items()}
            with self.compute_loss_context_manager():
                losses.append(self.compute_loss(model, part, num_items_in_batch=total))
            self.accelerator.backward(losses[-1])
        return torch.stack(losses).detach().sum()

    def compute_loss(
        self,
        model: Any,
        inputs: Any,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        causal = self.accelerator.unwrap_model(model).get_base_model()
        found = through(
            model, causal, inputs["input_ids"],
            lambda: self._losses(causal, inputs, num_items_in_batch),
        )  # fmt: skip
        return (found, {"loss": found}) if return_outputs else found

    def _losses(self, causal: Any, inputs: Any, given_total: Any) -> Any:
        """Return the weighted sum of the part's losses over the batch's weights."""
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
            logits = causal(**given).logits[:, :-1][wanted].float()
        else:
            states = causal.model(**given).last_hidden_state
            logits = causal.lm_head(states[:, :-1][wanted]).float()
        targets = labels[:, prefix + 1 :][wanted]
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        weights = self._weights(labels)[:, prefix:][wanted]
        total = weights.sum() if given_total is None else given_total
        return (losses * weights).sum() / total

    def _weights(self, labels: Any) -> Any:
        """Return the weight of each next token, (rows, longest - 1), 0 where none is labelled."""
        wanted = labels[:, 1:] != IGNORED
        return first_token_weights(wanted, self.first_token_weight) * wanted


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
