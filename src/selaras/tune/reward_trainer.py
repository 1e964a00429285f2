"""A reward model trained by TRL: a scalar head and an adapter on pairs."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import MissingExtraError, SelarasError
from selaras.core.progress import SILENT, Progress
from selaras.core.tuning import RewardSettings
from selaras.models.local import best_dtype
from selaras.models.local_adapter import ADAPTER, refuse_other_adapter, tensors_of
from selaras.models.local_reward import last_states, load_scalar
from selaras.models.local_torch import torch, transformers
from selaras.stats.logistic import fit_logistic
from selaras.tune.choose_pairs import EncodedPairs
from selaras.tune.response_loss import PART_TOKENS, parts_of_alike_length
from selaras.tune.trainable import lora
from selaras.tune.trainer import Training, Watch, arguments, last_checkpoint, run

try:
    import datasets
    import peft
    import trl
except ImportError as error:
    raise MissingExtraError(error.name or "trl", "tune") from error


FOLDS = 3
RIDGES = (10.0, 100.0, 1000.0, 10000.0)


class PairLoss(trl.RewardTrainer):  # type: ignore[misc]
    """RewardTrainer that works a batch through in parts of alike length; the loss is TRL's.

    Loss: -ln sigmoid(chosen - rejected), and `center_rewards_coefficient` times the squared sum of
    the two (Eisenstein et al., arXiv:2312.09244), averaged over the batch's pairs.
    """

    def training_step(
        self,
        model: Any,
        inputs: Any,
        num_items_in_batch: Any = None,  # noqa: ARG002 - one batch a step: its own mean
    ) -> Any:
        model.train()
        inputs = self._prepare_inputs(inputs)
        mask = inputs["attention_mask"]
        pairs = len(mask) // 2
        lengths = torch.maximum(*mask.sum(-1).chunk(2)).tolist()
        losses = []
        for rows in parts_of_alike_length(lengths, PART_TOKENS[mask.device.type] // 2):
            longest = max(lengths[i] for i in rows)
            both = [*rows, *(pairs + i for i in rows)]
            part = {key: value[both, :longest] for key, value in inputs.items()}
            with self.compute_loss_context_manager():
                loss = self.compute_loss(model, part) * (len(rows) / pairs)
            self.accelerator.backward(loss)
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: it names no data, and every checkpoint would have one."""


def begin_head(model: Any, head: Any, rows: EncodedPairs, progress: Progress = SILENT) -> None:
    """Set the head to the best linear reward on the untrained model, and leave the rest as it is.

    A random head would first drive the adapter wherever it happens to point: a linear probe, then
    fine-tuning (Kumar et al., arXiv:2202.10054). The probe is a logistic regression on differences
    of last states, its penalty chosen by cross-validation.
    """
    with progress.task("reading the pairs for the head", 2) as task:
        sides = []
        for said in (rows.chosen, rows.rejected):
            both = [[*ask, *own] for ask, own in zip(rows.prompts, said, strict=True)]
            sides.append(last_states(model, both, model.config.pad_token_id))
            task.advance()
    apart = (sides[0] - sides[1]).astype(np.float64)
    if not np.isfinite(apart).all():
        raise SelarasError("the base's states are no numbers: its weights are broken")
    weights = fit_margins(apart)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weights)[None])


def fit_margins(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w that makes sigmoid(differences · w) the likeliest, of all penalties the best aside.

    Every difference counts once in either direction, so that there is no bias to learn.
    """
    scale = float(np.sqrt((differences**2).mean())) or 1.0
    d = differences / scale
    fold = np.arange(len(d)) % FOLDS

    def fitted(own: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
        y = np.repeat([1.0, 0.0], len(own))
        both = np.vstack([own, -own])
        return fit_logistic(both, y, np.full(len(both), 0.5), ridge)[0]

    def loss(ridge: float) -> float:
        return sum(
            float(np.logaddexp(0, -(d[fold == k] @ fitted(d[fold != k], ridge))).sum())
            for k in range(FOLDS)
        )

    best = max(RIDGES) if len(d) < 2 * FOLDS else min(RIDGES, key=loss)
    return fitted(d, best) / scale


def _configuration(model: Any, training: Training[EncodedPairs]) -> Any:
    """Return the configuration of the adapter: a new one, or of the shape that is gone on with."""
    if training.start is None:
        return lora(model, training.settings, "SEQ_CLS")
    refuse_other_adapter(training.start, training.base, model)
    own = peft.PeftConfig.from_pretrained(str(training.start), local_files_only=True)
    return peft.LoraConfig(
        r=own.r, lora_alpha=own.lora_alpha, lora_dropout=0.0, task_type="SEQ_CLS",
        target_modules=own.target_modules, rank_pattern=own.rank_pattern,
        alpha_pattern=own.alpha_pattern, use_rslora=own.use_rslora,
    )  # fmt: skip


def train_reward(training: Training[EncodedPairs], progress: Progress = SILENT) -> list[Path]:
    """Train the adapter and its head, and return its checkpoints, one an epoch, in PEFT format.

    With `training.start` the adapter begins as that one, whatever it was trained for.
    Starts from the last whole checkpoint in the folder, as `selaras.tune.trainer.train` does.
    """
    start = last_checkpoint(training.folder)
    # The head is new: its first weights come from the seed.
    transformers.set_seed(training.seed)
    model, tokenizer = load_scalar(training.base, best_dtype())
    tokenizer.pad_token_id = model.config.pad_token_id
    settings = training.settings
    rows = datasets.Dataset.from_dict(
        {
            name: [[*ask, *said] for ask, said in zip(training.rows.prompts, side, strict=True)]
            for name, side in (
                ("chosen_ids", training.rows.chosen), ("rejected_ids", training.rows.rejected),
            )
        }
    )  # fmt: skip
    datasets.disable_progress_bars()
    center = settings.center if isinstance(settings, RewardSettings) else 0.0
    with progress.task("reward model (steps)", training.steps) as task:
        trainer = PairLoss(
            model=model,
            args=trl.RewardConfig(
                **arguments(training), max_length=None, center_rewards_coefficient=center
            ),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=_configuration(model, training),
            callbacks=[Watch(training, task)],
        )
        inner = trainer.model.get_base_model()
        if training.start is not None:
            peft.set_peft_model_state_dict(trainer.model, tensors_of(training.start / ADAPTER))
        if start is None and isinstance(settings, RewardSettings) and settings.probe:
            begin_head(inner, inner.score.modules_to_save["default"], training.rows, progress)
        return run(trainer, training, start)
