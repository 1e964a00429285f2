"""The one place that calls TRL: SFT of a LoRA adapter, with checkpoints that survive a kill."""

import errno
import math
import re
import shutil
from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from selaras.core.errors import MissingExtraError, SelarasError, one_line
from selaras.core.files import read_json, write_json
from selaras.core.fingerprint import seed_from
from selaras.core.progress import SILENT, Progress, Task
from selaras.core.tuning import LoraSettings
from selaras.models.local import best_device, best_dtype, pad_id
from selaras.models.local_torch import torch, transformers
from selaras.tune.encode import Encoded
from selaras.tune.live import PAGE, Live
from selaras.tune.response_loss import ResponseLoss
from selaras.tune.running import base_weights, running_arguments
from selaras.tune.shared import width

try:
    import datasets
    import peft
    import trl
    from safetensors import SafetensorError
except ImportError as error:
    raise MissingExtraError(error.name or "trl", "tune") from error

SAVE_EVERY = 4
COMPLETE = "complete.json"
LORA_ALPHA = 2
Rows = TypeVar("Rows", bound=Sized)
_LAYER = re.compile(r"\.(\d+)\.")
NO_MEMORY = (
    "out of memory: lower --set tune.batch_size, tune.max_tokens or tune.layers, or keep less with "
    "--set tune.running.gradient_checkpointing=true"
)
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True, slots=True)
class Training(Generic[Rows]):
    """What one training run needs; `rows` are encoded for what is trained."""

    base: Path
    rows: Rows
    settings: LoraSettings
    seed: int
    folder: Path
    first_token_weight: float = 1.0

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.rows) / self.settings.batch_size)

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.settings.epochs


def train(training: Training[Encoded], progress: Progress = SILENT) -> list[Path]:
    """Train the adapter and return its checkpoints, one an epoch, in PEFT format.

    Starts from the last whole checkpoint in the folder where there is one: at most `SAVE_EVERY`
    steps are done again and the result is the same as without the interruption. Raises SelarasError
    where the loss stops being a number or memory runs out.
    """
    start = last_checkpoint(training.folder)
    model, tokenizer = base_weights(training.base, training.settings.running)
    tokenizer.pad_token_id = pad_id(tokenizer)
    rows = datasets.Dataset.from_dict(
        {
            "input_ids": [list(ids) for ids in training.rows.input_ids],
            "labels": [list(labels) for labels in training.rows.labels],
        }
    )
    transformers.set_seed(training.seed)
    datasets.disable_progress_bars()
    with progress.task("tuning (steps)", training.steps) as task:
        trainer = ResponseLoss(
            model=model,
            args=trl.SFTConfig(
                **arguments(training),
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=lora(model, training.settings, "CAUSAL_LM"),
            callbacks=[Watch(training, task)],
        )
        trainer.first_token_weight = training.first_token_weight
        return run(trainer, training, start)


def run(trainer: Any, training: Training[Any], start: Path | None) -> list[Path]:
    """Run a trainer from a checkpoint, or from the beginning, and return the epochs' checkpoints.

    Raises SelarasError where memory or the disk runs out or the training stops.
    """
    trainer.remove_callback(transformers.PrinterCallback)
    try:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    except (RuntimeError, MemoryError, OSError, SafetensorError) as error:
        raise _said(error) from error
    return epoch_checkpoints(training.folder, training.steps_per_epoch)


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint; those that a kill cut short are removed."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        if (path / COMPLETE).is_file():
            whole.append(path)
        else:
            shutil.rmtree(path)
    return max(whole, key=_step, default=None)


def epoch_checkpoints(folder: Path, steps_per_epoch: int) -> list[Path]:
    """Return the whole checkpoints at the ends of epochs, oldest first."""
    found = [
        path
        for path in folder.glob("checkpoint-*")
        if (path / COMPLETE).is_file() and _step(path) % steps_per_epoch == 0
    ]
    return sorted(found, key=_step)


def loss_curve(folder: Path) -> list[dict[str, float]]:
    """Return the losses by step that the newest checkpoint knows."""
    newest = last_checkpoint(folder)
    if newest is None:
        return []
    history = read_json(newest / "trainer_state.json")["log_history"]
    return [{"step": e["step"], "loss": e["loss"]} for e in history if "loss" in e]


def arguments(training: Training[Any]) -> dict[str, Any]:
    """Return what every TRL trainer is told here, as the fields of its configuration."""
    settings = training.settings
    on_cpu = best_device() == "cpu"
    return {
        "output_dir": str(training.folder),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size // width(),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": max(1, training.steps // 20),
        "bf16": best_dtype() is torch.bfloat16,
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "logging_steps": 1,
        "save_steps": SAVE_EVERY,
        "seed": training.seed,
        "data_seed": training.seed,
        "disable_tqdm": True,
        # Left on, it writes a loss of 0 where the loss is no number, and training goes on.
        "logging_nan_inf_filter": False,
        **running_arguments(settings.running, training.folder),
    }


def lora(model: Any, settings: LoraSettings, task: str) -> Any:
    """Return the configuration of a new adapter in the upper layers; `task` as PEFT calls it."""
    return peft.LoraConfig(
        r=settings.rank,
        lora_alpha=LORA_ALPHA * settings.rank,
        lora_dropout=0.0,
        target_modules=upper_linears(model, settings.layers),
        task_type=task,
    )


def upper_linears(model: Any, share: float) -> list[str]:
    """Return the names of the linear modules in the upper `share` of the model's layers.

    The backward pass, and the activations kept for it, end at the lowest layer that is adapted.
    """
    count = int(getattr(model.config, "num_hidden_layers", 1))
    lowest = count - max(1, round(share * count))
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and (found := _LAYER.search(name))
        and int(found.group(1)) >= lowest
    ]


class Watch(transformers.TrainerCallback):  # type: ignore[misc]
    """Shows steps, orders epochs, stops on a loss that is no number, marks whole checkpoints."""

    def __init__(self, training: Training[Any], task: Task) -> None:
        self.training = training
        self.task = task
        self.live = Live(training.folder / PAGE, f"Training of {training.folder.parent.name}")

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.live.begin(state)
        if state.global_step:
            self.task.advance(state.global_step)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **event: Any) -> None:  # noqa: ARG002
        # By default an epoch's order comes from the state of the global generator, which a run that
        # resumes within a later epoch does not have: it would train on other batches.
        epoch = state.global_step // self.training.steps_per_epoch
        order = torch.Generator().manual_seed(seed_from("order", self.training.seed, epoch))
        batches = event["train_dataloader"].batch_sampler
        # Several processes take turns with the batches of one sampler.
        getattr(batches, "batch_sampler", batches).sampler.generator = order

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ARG002
        if state.global_step % self.training.steps_per_epoch == 0:
            control.should_save = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        if not logs or "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise SelarasError(
                f"the loss is {loss} at step {state.global_step}: lower the learning rate "
                f"(--set tune.learning_rate={self.training.settings.learning_rate / 4:g})"
            )
        speed = self.live.logged(state)
        self.task.advance(
            1, f"loss {loss:.3f}, {speed:.0f} tokens/s" if speed else f"loss {loss:.3f}"
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.live.end(state)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_json(folder / COMPLETE, {"step": state.global_step})
        for path in Path(args.output_dir).glob("checkpoint-*"):
            # Epoch ends are candidates; other checkpoints only serve to go on after a kill.
            if path != folder and _step(path) % self.training.steps_per_epoch:
                shutil.rmtree(path)


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def _said(error: Exception) -> SelarasError:
    text = str(error)
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return SelarasError(NO_MEMORY)
    if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in text:
        return SelarasError(
            "the disk is full, and a checkpoint could not be written: make room, and go on from "
            "the last whole one with --resume"
        )
    return SelarasError(f"training stopped: {one_line(text, 300)}")
