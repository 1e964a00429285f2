"""Preference tuning by TRL: DPO with an SFT term, the reference being the base itself."""

import os
from pathlib import Path
from typing import Any

from selaras.core.errors import MissingExtraError
from selaras.core.progress import SILENT, Progress
from selaras.core.tuning import PreferenceSettings
from selaras.models.local import pad_id
from selaras.models.local_torch import transformers
from selaras.tune.choose_pairs import EncodedPairs
from selaras.tune.running import base_weights
from selaras.tune.trainable import lora
from selaras.tune.trainer import Training, Watch, arguments, last_checkpoint, run

try:
    import datasets
    import trl
except ImportError as error:
    raise MissingExtraError(error.name or "trl", "tune") from error


class PairTuning(trl.DPOTrainer):  # type: ignore[misc]
    """DPOTrainer on ids that were made here: untrusted text never becomes control tokens."""

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: it names no data, and every checkpoint would have one."""


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
    model, tokenizer = base_weights(training.base, settings.running)
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
            peft_config=lora(model, settings, "CAUSAL_LM"),
            callbacks=[Watch(training, task)],
        )  # fmt: skip
        return run(trainer, training, start)
