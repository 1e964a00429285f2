"""The one place that calls TRL: SFT with checkpoints that survive a kill."""

import errno
import math
import os
import shutil
from collections.abc import Callable, Sized
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from selaras.core.errors import MissingExtraError, SelarasError, one_line
from selaras.core.files import read_json, write_json
from selaras.core.fingerprint import seed_from
from selaras.core.progress import SILENT, Progress, Task
from selaras.core.tuning import LoraSettings
from selaras.models.local import best_device, pad_id
from selaras.models.local_adapter import COMPLETE
from selaras.models.local_torch import torch, transformers
from selaras.models.local_weights import load_weights, weights_hash
from selaras.tune.diverged import diverged
from selaras.tune.divergence import mean_divergences, padded
from selaras.tune.encode import Encoded
from selaras.tune.live import PAGE, Live
from selaras.tune.response_loss import PLAIN, ResponseLoss, Weights
from selaras.tune.running import running_arguments
from selaras.tune.shared import width
from selaras.tune.trainable import adapted, as_base, causal_of, precision_of, whole

try:
    import datasets
    import trl
    from safetensors import SafetensorError
except ImportError as error:
    raise MissingExtraError(error.name or "trl", "tune") from error

SAVE_EVERY = 4
Rows = TypeVar("Rows", bound=Sized)
# What takes the memory of a training, by the section of the settings that it is.
LOWER = (
    "{0}.batch_size, {0}.max_tokens or {0}.layers, or keep less with --set "
    "{0}.running.gradient_checkpointing=true"
)
# A full disk, a quota, a limit on a file's size: a library may keep the words and not the number.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
# How torch says that a file which it was writing ended before its time: errno is lost in between.
_CUT_SHORT = ("inline_container.cc", "iostream error")


@dataclass(frozen=True, slots=True)
class Training(Generic[Rows]):
    """What one training run needs; `rows` are encoded for what is trained.

    `start` is the adapter that it goes on from, `section` where its settings stand. Of SFT alone:
    `weights` of the loss; `full`, where all weights are trained; `probe`, rows kept aside with the
    base's own answers, on which KL(base || tuned) is held to `kl_budget`.
    """

    base: Path
    rows: Rows
    settings: LoraSettings
    seed: int
    folder: Path
    weights: Weights = PLAIN
    start: Path | None = None
    full: bool = False
    probe: Encoded | None = None
    kl_budget: float | None = None
    section: str = "tune"

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.rows) / self.settings.batch_size)

    @property
    def steps(self) -> int:
        return self.steps_per_epoch * self.settings.epochs


def train(training: Training[Encoded], progress: Progress = SILENT) -> list[Path]:
    """Train and return the checkpoints: one an epoch, and the one at which a budget stopped it.

    Adapters in PEFT format, or whole weights. Starts from the last whole checkpoint in the folder
    where there is one: at most `SAVE_EVERY` steps are done again and the result is the same as
    without the interruption. Raises SelarasError where the loss stops being a number, or memory or
    the disk runs out.
    """
    start = last_checkpoint(training.folder)
    if start and stopped_by(start):
        return epoch_checkpoints(training.folder, training.steps_per_epoch)
    transformers.set_seed(training.seed)
    model, tokenizer, adapter = (
        whole(training.base, training.settings)
        if training.full
        else adapted(training.base, training.settings, training.start)
    )
    tokenizer.pad_token_id = pad_id(tokenizer)
    datasets.disable_progress_bars()
    with progress.task("tuning (steps)", training.steps) as task:
        trainer = ResponseLoss(
            model=model,
            args=trl.SFTConfig(
                **arguments(training),
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
                remove_unused_columns=False,
            ),
            train_dataset=_dataset(training.rows),
            processing_class=tokenizer,
            data_collator=_collator(pad_id(tokenizer)),
            peft_config=adapter,
        )
        trainer.weights = training.weights
        if training.full and (training.weights.kl or training.probe):
            trainer.reference = _reference(training)
        trainer.add_callback(Watch(training, task, lambda: _divergence(training, trainer)))
        return run(trainer, training, start)


def run(trainer: Any, training: Training[Any], start: Path | None) -> list[Path]:
    """Run a trainer from a checkpoint, or from the beginning, and return the epochs' checkpoints.

    Raises SelarasError where memory or the disk runs out or the training stops.
    """
    trainer.remove_callback(transformers.PrinterCallback)
    try:
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    except (RuntimeError, MemoryError, OSError, SafetensorError) as error:
        raise training_error(error, LOWER.format(training.section)) from error
    return epoch_checkpoints(training.folder, training.steps_per_epoch)


def _dataset(rows: Encoded) -> Any:
    return datasets.Dataset.from_dict(
        {
            "input_ids": [list(ids) for ids in rows.input_ids],
            "labels": [list(labels) for labels in rows.labels],
            "kept": list(rows.kept or [False] * len(rows.input_ids)),
        }
    )


def _collator(pad: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        ids, labels = ([row[key] for row in rows] for key in ("input_ids", "labels"))
        return {
            **padded(ids, labels, pad, "cpu"),
            "kept": torch.tensor([row["kept"] for row in rows]),
        }

    return collate


def _reference(training: Training[Encoded]) -> Any:
    """Return the base in memory beside the weights that are trained, frozen."""
    model, _ = load_weights(training.base, precision_of(training.settings))
    return model.to(best_device()).eval().requires_grad_(False)


def _divergence(training: Training[Encoded], trainer: Any) -> float | None:
    """Return KL(base || tuned) on the rows kept aside, in nats a token; None without such rows."""
    if training.probe is None:
        return None
    model = trainer.accelerator.unwrap_model(trainer.model)
    found = mean_divergences(
        lambda: as_base(model, trainer.reference),
        lambda: nullcontext(causal_of(model)),
        training.probe,
        pad_id(trainer.processing_class),
    )
    return sum(found) / len(found)


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
    """Return the whole checkpoints at the ends of epochs, and where a budget stopped."""
    found = [
        path
        for path in folder.glob("checkpoint-*")
        if (path / COMPLETE).is_file() and (_step(path) % steps_per_epoch == 0 or stopped_by(path))
    ]
    return sorted(found, key=_step)


def stopped_by(checkpoint: Path) -> str | None:
    """Return why a training stopped at a checkpoint, None where it did not."""
    note = read_json(checkpoint / COMPLETE)
    return f"stopped at step {note['step']}: {note['stopped']}" if "stopped" in note else None


def divergence_curve(folder: Path) -> list[dict[str, float]]:
    """Return KL(base || tuned) by step, at the checkpoints that are still there."""
    notes = [read_json(path / COMPLETE) for path in folder.glob("checkpoint-*")
             if (path / COMPLETE).is_file()]  # fmt: skip
    return sorted(
        ({"step": n["step"], "kl": n["kl"]} for n in notes if n.get("kl") is not None),
        key=lambda entry: entry["step"],
    )


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
    # An optimizer's state is twice the weights: written at the ends of epochs only.
    every = training.steps_per_epoch if training.full else SAVE_EVERY
    return {
        "output_dir": str(training.folder),
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": settings.batch_size // width(),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": max(1, training.steps // 20),
        "bf16": precision_of(settings) is torch.bfloat16,
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "logging_steps": 1,
        "save_steps": every,
        "seed": training.seed,
        "data_seed": training.seed,
        "disable_tqdm": True,
        # Left on, it writes a loss of 0 where the loss is no number, and training goes on.
        "logging_nan_inf_filter": False,
        **running_arguments(settings.running, training.folder),
    }


class Watch(transformers.TrainerCallback):  # type: ignore[misc]
    """Shows steps, orders epochs, marks whole checkpoints; stops where the loss is no number, or
    where the model has moved further from its base than the budget allows.
    """

    def __init__(
        self,
        training: Training[Any],
        task: Task,
        divergence: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.training = training
        self.task = task
        self.divergence = divergence
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
        loss, gradient = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            # A finite loss may have such a gradient: the weights are lost, and not to be kept.
            broken = f"loss is {loss}" if not math.isfinite(loss) else f"gradient is {gradient}"
            raise diverged(broken, state.global_step, self.training.base, self.training.section,
                           self.training.settings.learning_rate)  # fmt: skip
        speed = self.live.logged(state)
        self.task.advance(
            1, f"loss {loss:.3f}, {speed:.0f} tokens/s" if speed else f"loss {loss:.3f}"
        )

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self.live.end(state)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if not state.is_world_process_zero:
            return control
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        moved, budget = self.divergence(), self.training.kl_budget
        note = {"step": state.global_step, "base": weights_hash(self.training.base)}
        if moved is not None:
            note["kl"] = moved
            self.task.advance(0, f"KL {moved:.3f} nats")
        if moved is not None and budget is not None and moved > budget:
            note["stopped"] = f"KL {moved:.3f} is over the budget of {budget:g} nats a token"
            control.should_training_stop = True
        write_json(folder / COMPLETE, note)
        for path in Path(args.output_dir).glob("checkpoint-*"):
            # Epoch ends are candidates; other checkpoints only serve to go on after a kill.
            if path != folder and _step(path) % self.training.steps_per_epoch:
                shutil.rmtree(path)
        return control


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])


def training_error(error: Exception, lower: str) -> SelarasError:
    """Return what a library's error says, in a line; `lower` are the settings that need memory."""
    text = str(error)
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return SelarasError(f"out of memory: lower --set {lower}")
    signs = (*map(os.strerror, _NO_ROOM), *_CUT_SHORT)
    if getattr(error, "errno", None) in _NO_ROOM or any(sign in text for sign in signs):
        return SelarasError(
            "the disk is full, or a limit on it is reached, and a checkpoint could not be written: "
            "make room, and go on from the last whole one with --resume"
        )
    return SelarasError(f"training stopped: {one_line(text, 300)}")
