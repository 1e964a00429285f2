"""Preference tuning by TRL: DPO with an SFT term, the reference being what training starts from."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selaras.core.errors import MissingExtraError
from selaras.core.progress import SILENT, Progress
from selaras.core.tuning import PreferenceSettings
from selaras.models.local import pad_id
from selaras.models.local_torch import torch, transformers
from selaras.tune.choose_pairs import EncodedPairs
from selaras.tune.replies import reply_log_probabilities
from selaras.tune.response_loss import PART_TOKENS, parts_of_alike_length
from selaras.tune.trainable import adapted, causal_of
from selaras.tune.trainer import Training, Watch, arguments, last_checkpoint, run

try:
    import datasets
    import trl
except ImportError as error:
    raise MissingExtraError(error.name or "trl", "tune") from error


class PairTuning(trl.DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on ids that were made here: untrusted text never becomes control tokens.

    The loss and its gradient are TRL's, with less work: a batch is worked through in parts of alike
    length, the prompt of a pair is read once for both sides, and the vocabulary projection runs at
    response positions only.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        # TRL keeps a copy of an adapter that is gone on with. The reference is computed by now.
        if "ref" in self.model.peft_config:
            self.model.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: it names no data, and every checkpoint would have one."""

    def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
        """Return the reference's log-probabilities of both sides.

        TRL asks before the first step, also of a run that goes on: the adapter is the start's.
        """
        sums: dict[int, list[Any]] = {}
        with torch.no_grad(), self.accelerator.autocast():
            for part in _parts(inputs):
                told = self._told(model, _of(inputs, part))
                sums |= {i: [own.sum() for own in both] for i, both in zip(part, told, strict=True)}
        return tuple(torch.stack([sums[i][side] for i in sorted(sums)]) for side in (0, 1))

    def training_step(
        self,
        model: Any,
        inputs: Any,
        num_items_in_batch: Any = None,  # noqa: ARG002 - one batch a step: its own means
    ) -> Any:
        model.train()
        inputs = self._prepare_inputs(inputs)
        pairs = len(inputs["ref_chosen_logps"])
        tokens = inputs["completion_mask"][:pairs].sum()
        losses = []
        for part in _parts(inputs):
            with self.compute_loss_context_manager():
                loss = self._losses(model, _of(inputs, part), pairs, tokens)
            self.accelerator.backward(loss)
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _losses(self, model: Any, part: Any, pairs: int, tokens: Any) -> Any:
        told = self._told(model, part)
        chosen = torch.stack([own.sum() for own, _ in told])
        rejected = torch.stack([own.sum() for _, own in told])
        ahead = chosen - part["ref_chosen_logps"] - rejected + part["ref_rejected_logps"]
        preferred = -torch.nn.functional.logsigmoid(self.beta * ahead).sum() / pairs
        return self.loss_weights[0] * preferred - self.loss_weights[1] * chosen.sum() / tokens

    def _told(self, model: Any, part: Any) -> list[tuple[Any, Any]]:
        """Return the log-probabilities of the tokens of both sides of each pair."""
        prompts, replies = [], []
        for ids, read, own in zip(
            part["input_ids"], part["attention_mask"], part["completion_mask"], strict=True
        ):
            row = ids[: int(read.sum())].tolist()
            prompts.append(row[: len(row) - int(own.sum())])
            replies.append(row[len(prompts[-1]) :])
        causal = causal_of(self.accelerator.unwrap_model(model))
        found = reply_log_probabilities(causal, prompts, replies)
        half = len(found) // 2
        return list(zip(found[:half], found[half:], strict=True))


def _parts(inputs: Any) -> list[list[int]]:
    """Return the numbers of a batch's pairs in parts of alike length."""
    lengths = inputs["attention_mask"].sum(-1)
    longer = torch.maximum(*lengths.chunk(2)).tolist()
    return parts_of_alike_length(longer, PART_TOKENS[lengths.device.type] // 2)


def _of(inputs: Any, pairs: Sequence[int]) -> dict[str, Any]:
    """Return these pairs of a batch, whose second half are the rejected sides."""
    count = len(inputs["input_ids"]) // 2
    both = [*pairs, *(count + i for i in pairs)]
    return {
        key: value[both] if len(value) == 2 * count else value[pairs]
        for key, value in inputs.items()
    }


def train_preference(training: Training[EncodedPairs], progress: Progress = SILENT) -> list[Path]:
    """Train the adapter and return its checkpoints, one an epoch, in PEFT format.

    Loss: -ln sigmoid(beta (log-ratio of chosen - of rejected)) (Rafailov et al., arXiv:2305.18290)
    and `sft_weight` times the cross-entropy of the chosen side, which keeps its probability from
    falling with the rejected one's (arXiv:2404.19733). The reference's log-probabilities are
    computed once, before the first step. Starts from the last whole checkpoint there is.
    """
    settings = training.settings
    if not isinstance(settings, PreferenceSettings):
        raise TypeError("preference tuning needs PreferenceSettings")
    start = last_checkpoint(training.folder)
    model, tokenizer, adapter = adapted(training.base, settings, training.start)
    tokenizer.pad_token_id = pad_id(tokenizer)
    rows = datasets.Dataset.from_dict(
        {
            "prompt_ids": [list(ids) for ids in training.rows.prompts],
            "chosen_ids": [list(ids) for ids in training.rows.chosen],
            "rejected_ids": [list(ids) for ids in training.rows.rejected],
        }
    )
    transformers.set_seed(training.seed)
    datasets.disable_progress_bars()
    # TRL's own bar over the reference's log-probabilities, which no argument turns off.
    os.environ["TQDM_DISABLE"] = "1"
    with progress.task("preference tuning (steps)", training.steps) as task:
        trainer = PairTuning(
            model=model,
            args=trl.DPOConfig(
                **arguments(training), max_length=None, beta=settings.beta,
                loss_type=["sigmoid", "sft"], loss_weights=[1.0, settings.sft_weight],
                precompute_ref_log_probs=True,
            ),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=[Watch(training, task)],
        )  # fmt: skip
        return run(trainer, training, start)
