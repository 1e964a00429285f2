"""One training of `tuning.py` in a process of its own: prints its figures as one line of JSON.

    python benchmarks/tuning_work.py METHOD MODEL_FOLDER ROWS

METHOD is selaras, trl (its own SFTTrainer as it comes, with gradient checkpointing) or trl-plain
(without). All train the same LoRA modules on the same ids in the same batches in the same order.
"""

import contextlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import peft
import trl

from selaras.core.fingerprint import seed_from
from selaras.core.project import Project, Tuning
from selaras.core.records import Example
from selaras.data import load_rows
from selaras.evaluate import renderer
from selaras.models.local import best_dtype, pad_id
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_torch import torch, transformers
from selaras.models.local_weights import load_weights
from selaras.starter import create_project
from selaras.template import PLAIN
from selaras.tune.encode import IGNORED, Encoded, encode
from selaras.tune.response_loss import ResponseLoss
from selaras.tune.trainer import LORA_ALPHA, Training, loss_curve, train, upper_linears

SEED, BATCH = 0, 16
PEAK_SIDE, PEAK_TRIES = 2048, 5
SETTINGS = Tuning(epochs=1, batch_size=BATCH, learning_rate=5e-4, rank=8, layers=0.5)


def encoded(base: Path, count: int) -> Encoded:
    """Return the first rows of the starter project in an order drawn once, as ids and labels."""
    with tempfile.TemporaryDirectory() as folder:
        project: Project = create_project(Path(folder) / "starter", "household-helper")
        found = (row for row in load_rows(project).kept if isinstance(row, Example))
        rows = [row for row in found if row.response_label == "safe" and row.response]
        random.Random(SEED).shuffle(rows)
        tokenizer = transformers.AutoTokenizer.from_pretrained(base, local_files_only=True)
        return encode(rows[:count], renderer(project, PLAIN), ChatTokenizer(tokenizer), 512)


class Steps:
    """When the first step began, the tokens of every step, and the positions computed for them."""

    def __init__(self) -> None:
        self.begun = 0.0
        self.tokens: list[int] = []
        self.positions = 0

    @contextlib.contextmanager
    def of(self, trainer: type) -> Iterator[None]:
        """Watch the trainer's steps while the block runs."""
        step: Callable[..., Any] = trainer.training_step  # type: ignore[attr-defined]
        loss: Callable[..., Any] = trainer.compute_loss  # type: ignore[attr-defined]

        def stepped(own: Any, model: Any, inputs: Any, *more: Any) -> Any:
            self.begun = self.begun or time.process_time()
            self.tokens.append(int(inputs["attention_mask"].sum()))
            return step(own, model, inputs, *more)

        def computed(own: Any, model: Any, inputs: Any, *more: Any, **named: Any) -> Any:
            self.positions += inputs["attention_mask"].numel()
            return loss(own, model, inputs, *more, **named)

        trainer.training_step, trainer.compute_loss = stepped, computed  # type: ignore[attr-defined]
        try:
            yield
        finally:
            trainer.training_step, trainer.compute_loss = step, loss  # type: ignore[attr-defined]


def ours(base: Path, rows: Encoded, folder: Path, steps: Steps) -> list[float]:
    """Train as `selaras tune sft` does and return the losses."""
    with steps.of(ResponseLoss):
        train(Training(base, rows, SETTINGS, SEED, folder))
    return [entry["loss"] for entry in loss_curve(folder)]


class _SameOrder(transformers.TrainerCallback):  # type: ignore[misc]
    """Orders the rows of an epoch as ours does, so that both see the same batches."""

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **event: Any) -> None:  # noqa: ARG002
        order = torch.Generator().manual_seed(seed_from("order", SEED, 0))
        event["train_dataloader"].batch_sampler.sampler.generator = order


def theirs(
    base: Path, rows: Encoded, folder: Path, steps: Steps, checkpointing: bool
) -> list[float]:
    """Train with TRL's own trainer and return the losses; all that is not said is its default."""
    model, tokenizer = load_weights(base, best_dtype())
    tokenizer.pad_token_id = pad_id(tokenizer)
    masks = [[int(label != IGNORED) for label in labels] for labels in rows.labels]
    data = datasets.Dataset.from_dict({"input_ids": rows.input_ids, "completion_mask": masks})
    transformers.set_seed(SEED)
    count = -(-len(rows.input_ids) // BATCH)
    trainer = trl.SFTTrainer(
        model=model,
        args=trl.SFTConfig(
            output_dir=str(folder), num_train_epochs=1, per_device_train_batch_size=BATCH,
            learning_rate=SETTINGS.learning_rate, lr_scheduler_type="cosine",
            warmup_steps=max(1, count // 20), max_length=None, completion_only_loss=True,
            gradient_checkpointing=checkpointing, bf16=best_dtype() is torch.bfloat16,
            use_cpu=True, dataloader_pin_memory=False, logging_steps=1, save_strategy="no",
            seed=SEED, data_seed=SEED, report_to="none", disable_tqdm=True,
        ),
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=peft.LoraConfig(
            r=SETTINGS.rank, lora_alpha=LORA_ALPHA * SETTINGS.rank, lora_dropout=0.0,
            target_modules=upper_linears(model, SETTINGS.layers), task_type="CAUSAL_LM",
        ),
        callbacks=[_SameOrder()],
    )  # fmt: skip
    trainer.remove_callback(transformers.PrinterCallback)
    with steps.of(trl.SFTTrainer):
        trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def needed_operations(base: Path, rows: Encoded) -> float:
    """Return the floating-point operations that the adapter's training asks for at least.

    Two a weight and token forward, two more backward in the adapted layers, and both for the
    vocabulary at labelled positions. Attention's own products and the adapter are left out.
    """
    config = transformers.AutoConfig.from_pretrained(base, local_files_only=True)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    upper = set(upper_linears(model, SETTINGS.layers))
    sizes = {name: module.weight.numel() for name, module in model.named_modules()
             if isinstance(module, torch.nn.Linear) and ".layers." in f".{name}"}  # fmt: skip
    backward = sum(size for name, size in sizes.items() if name in upper)
    responses = sum(label != IGNORED for labels in rows.labels for label in labels)
    head = config.vocab_size * config.hidden_size
    return 2.0 * rows.tokens * (sum(sizes.values()) + backward) + 4.0 * responses * head


def matmul_peak() -> float:
    """Return the most operations a CPU second that a square matrix product reached here."""
    side = torch.randn(PEAK_SIDE, PEAK_SIDE, dtype=best_dtype())
    seconds = []
    for _ in range(PEAK_TRIES):
        begun = time.process_time()
        side @ side
        seconds.append(time.process_time() - begun)
    return 2 * PEAK_SIDE**3 / min(seconds)


def main() -> None:
    """Train once and print the figures."""
    method, base, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    rows, steps, peak = encoded(base, count), Steps(), matmul_peak()
    with tempfile.TemporaryDirectory() as folder:
        if method == "selaras":
            losses = ours(base, rows, Path(folder), steps)
        else:
            losses = theirs(base, rows, Path(folder), steps, checkpointing=method == "trl")
        seconds = time.process_time() - steps.begun
    print(json.dumps({
        "training_cpu_seconds": round(seconds, 2),
        "tokens_per_cpu_second": round(rows.tokens / seconds, 1),
        "mfu": round(needed_operations(base, rows) / seconds / peak, 4),
        "matmul_gflops": round(peak / 1e9, 1),
        "padding": round(1 - sum(steps.tokens) / steps.positions, 3),
        "step_tokens": steps.tokens,
        "losses": [round(loss, 4) for loss in losses],
    }))  # fmt: skip


if __name__ == "__main__":
    main()
