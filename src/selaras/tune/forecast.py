"""What a tuning will take on this machine: measured on a few of its own steps, not modelled.

Three real steps are trained in a temporary folder, the first to warm up, and a batch of answers is
generated; the run's tokens do the rest. Memory is what those steps held at most. It costs some
seconds, and knows nothing of what else the machine will be asked to do meanwhile.
"""

import math
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

from selaras.core.fingerprint import seed_from
from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.core.records import Expected
from selaras.core.tuning import LoraSettings
from selaras.models.local import LocalModel, best_dtype, open_local
from selaras.models.local_speed import Speed, measure_speed
from selaras.models.local_torch import give_back_memory, torch, transformers
from selaras.tune.choose_pairs import EncodedPairs
from selaras.tune.choose_point import SELECTION_TOKENS
from selaras.tune.encode import IGNORED, Encoded
from selaras.tune.kept_answers import TOKENS, some_answered
from selaras.tune.own_words import REPLAY_TOKENS
from selaras.tune.preference import PreferencePlan
from selaras.tune.preference_trainer import train_preference
from selaras.tune.reward import RewardPlan
from selaras.tune.reward_trainer import train_reward
from selaras.tune.sft import Plan, training_of
from selaras.tune.trainable import is_trained
from selaras.tune.trainer import SAVE_EVERY, Training, train

PROBED = 3
WIDE_BATCH = 128
# Positions that an answer of `measure_speed` takes, its prompt included.
PROBED_POSITIONS = 40


@dataclass(frozen=True, slots=True)
class Forecast:
    """Sizes, tokens over all epochs, seconds and megabytes; `choosing` is all but the training."""

    parameters: int
    trainable: int
    steps: int
    tokens: int
    tokens_per_second: float
    training_seconds: float
    choosing_seconds: float
    peak_mb: float
    device: str

    @property
    def seconds(self) -> float:
        """The whole run's time."""
        return self.training_seconds + self.choosing_seconds

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON values."""
        return {key: round(value, 1) if isinstance(value, float) else value
                for key, value in {**asdict(self), "seconds": self.seconds}.items()}  # fmt: skip

    @property
    def text(self) -> str:
        """The forecast in two lines."""
        share = self.trainable / self.parameters
        return (
            f"  {self.parameters:,} parameters, {self.trainable:,} of them trained ({share:.2%}); "
            f"{self.steps} steps, {self.tokens:,} tokens\n"
            f"  about {self.seconds:.0f} s: {self.training_seconds:.0f} s of training at "
            f"{self.tokens_per_second:.0f} tokens/s, {self.choosing_seconds:.0f} s of answers; "
            f"about {self.peak_mb:,.0f} MB of memory ({self.device})"
        )


def forecast(project: Project, plan: Plan, progress: Progress = SILENT) -> Forecast:
    """Return what the plan will take; raises SelarasError where its steps do not fit the memory."""
    settings = project.file.tune
    replays = plan.recipe != "naive" and settings.own_words
    rows = _replayed(plan.encoded) if replays else plan.encoded
    chosen = _first_batches(len(rows), PROBED * settings.batch_size, plan.seed)
    few = replace(
        rows,
        input_ids=tuple(rows.input_ids[i] for i in chosen),
        labels=tuple(rows.labels[i] for i in chosen),
        kept=tuple(rows.kept[i] for i in chosen),
    )
    probe = _probed(training_of(project, plan, few, Path()), rows, train)
    model, opening = _opened(plan)
    speed = measure_speed(model)
    progress.say("measured a few steps and answers of this very run")
    longest = max(sum(label == IGNORED for label in labels) for labels in rows.labels)
    return probe.forecast(
        plan.base, _answers(plan, project, speed, opening),
        _caches_mb(model.model.config, longest),
    )  # fmt: skip


def _replayed(rows: Encoded) -> Encoded:
    """Return the rows no longer than the base's own answers make those that are to be answered."""
    ends = [
        len(ids) - max(0, sum(label != IGNORED for label in labels) - REPLAY_TOKENS) * kept
        for ids, labels, kept in zip(rows.input_ids, rows.labels, rows.kept, strict=True)
    ]
    return replace(
        rows,
        input_ids=tuple(ids[:end] for ids, end in zip(rows.input_ids, ends, strict=True)),
        labels=tuple(labels[:end] for labels, end in zip(rows.labels, ends, strict=True)),
    )


def forecast_pairs(
    project: Project, plan: PreferencePlan | RewardPlan, progress: Progress = SILENT
) -> Forecast:
    """Return what a tuning on pairs will take, as `forecast` does for SFT.

    Beside the training it reads every pair once (the reference, or the head's beginning), and then
    answers rows at every point, or reads the pairs aside.
    """
    tune = project.file.tune
    prefers = isinstance(plan, PreferencePlan)
    settings: LoraSettings = tune.preference if prefers else tune.reward
    work: Callable[..., list[Path]] = train_preference if prefers else train_reward
    rows = plan.encoded
    chosen = _first_batches(len(rows), PROBED * settings.batch_size, plan.seed)
    few = replace(
        rows,
        prompts=tuple(rows.prompts[i] for i in chosen),
        chosen=tuple(rows.chosen[i] for i in chosen),
        rejected=tuple(rows.rejected[i] for i in chosen),
    )
    start = plan.start.adapter
    probe = _probed(Training(plan.base, few, settings, plan.seed, Path(), start=start), rows, work)
    model, opening = _opened(plan)
    speed = measure_speed(model)
    progress.say("measured a few steps and answers of this very run")
    longest = max(map(len, rows.prompts))
    prompt = sum(map(len, rows.prompts)) / len(rows)
    unread = (rows.tokens - few.tokens) / speed.read
    if isinstance(plan, PreferencePlan):
        points = settings.epochs * len(tune.preference.scales)
        answers = _answered(len(plan.selection), SELECTION_TOKENS, prompt, speed)
        choosing = points * (opening + answers)
    else:
        aside = len(plan.rows.aside) * rows.tokens / len(rows) / speed.read
        choosing = settings.epochs * (opening + aside)
    return probe.forecast(plan.base, choosing + unread, _caches_mb(model.model.config, longest))


@dataclass(frozen=True, slots=True)
class _Probe:
    """What a few steps of a training showed, for all of its steps."""

    trainable: int
    opening: float
    training_seconds: float
    steps: int
    tokens: int

    def forecast(self, base: Path, choosing: float, caches_mb: float) -> Forecast:
        """Return the forecast, with what is not the training: seconds, and memory for answers."""
        return Forecast(
            parameters=_count(sorted(base.glob("*.safetensors"))),
            trainable=self.trainable,
            steps=self.steps,
            tokens=self.tokens,
            tokens_per_second=self.tokens / (self.training_seconds - self.opening),
            training_seconds=self.training_seconds,
            choosing_seconds=choosing,
            peak_mb=peak_mb_so_far() + caches_mb,
            device="GPU" if torch.cuda.is_available() else "CPU",
        )


def _probed(
    few: Training[Any], rows: Encoded | EncodedPairs, work: Callable[..., list[Path]]
) -> _Probe:
    """Return what training on a few rows for one epoch says of training on all."""
    settings = few.settings
    with tempfile.TemporaryDirectory(prefix="selaras-probe-") as folder:
        one = replace(few, settings=settings.model_copy(update={"epochs": 1}), folder=Path(folder))
        watch = _Clock()
        begun = time.perf_counter()
        (made,) = work(one, watch)
        trainable = _trainable(one, made)
        opening, step = watch.split(begun)
    # By tokens and not by steps: an epoch's last batch may hold a row or two.
    tokens = rows.tokens * settings.epochs
    training = step * one.steps * tokens / few.rows.tokens
    steps = replace(few, rows=rows).steps
    give_back_memory()
    return _Probe(trainable, opening, opening + training, steps, tokens)


def _opened(plan: Plan | PreferencePlan | RewardPlan) -> tuple[LocalModel, float]:
    """Return the base and the seconds that opening it takes, as each point that is tried is.

    What a training does before its first step takes longer: it also makes its trainer.
    """
    begun = time.perf_counter()
    model = open_local(plan.base, chat_template=plan.start.chat_template)
    return model, time.perf_counter() - begun


def _first_batches(rows: int, count: int, seed: int) -> list[int]:
    """Return the numbers of the rows that an epoch begins with."""
    order = torch.Generator().manual_seed(seed_from("order", seed, 0))
    chosen: list[int] = torch.randperm(rows, generator=order)[:count].tolist()
    return chosen


def _answers(plan: Plan, project: Project, speed: Speed, opening: float) -> float:
    """Return the seconds that answering takes: the base's own words, and every point's rows."""
    settings = project.file.tune
    prompts = sum(label == IGNORED for labels in plan.encoded.labels for label in labels)
    prompt = prompts / len(plan.encoded)
    guarded = plan.recipe != "naive"
    replayed = sum(row.expected is Expected.ANSWER for row in plan.rows.train)
    own = 0.0
    if guarded and settings.own_words:
        own = opening + _answered(replayed, REPLAY_TOKENS, prompt, speed)
    points = settings.epochs * len(settings.scales) if guarded else 1
    chosen = _answered(len(plan.rows.selection), SELECTION_TOKENS, prompt, speed)
    held = _held(plan, project, prompt, speed, opening) if settings.kl_budget else 0.0
    return own + points * (opening + chosen) + held


def _held(plan: Plan, project: Project, prompt: float, speed: Speed, opening: float) -> float:
    """Return the seconds that a budget on KL takes: answers once, read twice a checkpoint."""
    settings = project.file.tune
    rows = len(some_answered(plan.rows.selection))
    epoch = math.ceil(len(plan.encoded) / settings.batch_size)
    every = epoch if settings.method == "full" else SAVE_EVERY
    kept = sum(step % every == 0 or step % epoch == 0
               for step in range(1, epoch * settings.epochs + 1))  # fmt: skip
    reading = 2 * rows * (prompt + TOKENS) / speed.read
    return opening + _answered(rows, TOKENS, prompt, speed) + kept * reading


def _answered(rows: int, tokens: int, prompt: float, speed: Speed) -> float:
    """Return the seconds that answering rows takes, of prompts of `prompt` tokens on average."""
    return rows * (prompt / speed.read + tokens / speed.generated)


class _Clock:
    """A progress that notes when each step was done."""

    def __init__(self) -> None:
        self.times: list[float] = []

    @contextmanager
    def task(self, title: str, total: float) -> Iterator["_Clock"]:  # noqa: ARG002
        yield self

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        if amount and note:
            self.times.append(time.perf_counter())

    def say(self, line: str) -> None:
        pass

    def split(self, begun: float) -> tuple[float, float]:
        """Return the seconds before the first step, and those of a step."""
        if len(self.times) < 2:
            whole = self.times[-1] - begun
            return 0.0, whole
        step = (self.times[-1] - self.times[0]) / (len(self.times) - 1)
        return max(0.0, self.times[0] - begun - step), step


def _trainable(training: Training[Any], checkpoint: Path) -> int:
    """Return how many of a checkpoint's numbers were trained: an adapter's, or whole weights'."""
    if not training.full:
        return _count([checkpoint / "adapter_model.safetensors"])
    config = transformers.AutoConfig.from_pretrained(training.base, local_files_only=True)
    layers = training.settings.layers
    return _count(
        sorted(checkpoint.glob("model*.safetensors")), lambda name: is_trained(name, config, layers)
    )


def _count(files: list[Path], counts: Callable[[str], bool] = bool) -> int:
    """Return how many numbers the safetensors hold under names that count, without reading them."""
    total = 0
    for path in files:
        with safe_open(path, framework="pt") as source:
            for name in filter(counts, source.keys()):
                size = 1
                for side in source.get_slice(name).get_shape():
                    size *= side
                total += size
    return total


def _caches_mb(config: Any, longest: int) -> float:
    """Return what keys and values of a full batch of answers take over those that were probed.

    `longest` is the most tokens of a prompt.
    """
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    position = 2 * config.num_hidden_layers * heads * head * (config.dtype or best_dtype()).itemsize
    positions = max(0, longest + REPLAY_TOKENS - PROBED_POSITIONS)
    return float(WIDE_BATCH * positions * position / (1 << 20))


def peak_mb_so_far() -> float:
    """Return the most memory that this process has held, libraries included."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / (1 << 20))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
