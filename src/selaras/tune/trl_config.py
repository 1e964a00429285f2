"""`--trl-config FILE`: the YAML that TRL's own scripts read, as fields of the project file.

Every field of it is named: carried over, the same as what is done here anyway, or not taken, with
the reason. Nothing is ignored in silence.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selaras.core.errors import InputError, one_line
from selaras.core.project import load_yaml

Carried = Callable[[Any], Mapping[str, Any]]


def _one(field: str) -> Carried:
    return lambda value: {field: value}


# TRL's field to ours. Fields that depend on each other stand in `_together`.
CARRIED: dict[str, Carried] = {
    "num_train_epochs": _one("tune.epochs"),
    "learning_rate": _one("tune.learning_rate"),
    "max_length": _one("tune.max_tokens"),
    "max_seq_length": _one("tune.max_tokens"),
    "lora_r": _one("tune.rank"),
    "seed": _one("seed"),
    "gradient_checkpointing": _one("tune.running.gradient_checkpointing"),
    "load_in_4bit": _one("tune.running.four_bit"),
    "report_to": lambda value: {"tune.running.report_to": _loggers(value)},
    "model_name_or_path": lambda value: {"tune.model": _model(str(value))},
}
# What is done here whatever the file says, and the values that say the same.
SAME: dict[str, tuple[tuple[Any, ...], str]] = {
    "use_peft": ((True,), "an adapter is trained"),
    "lora_dropout": ((0, 0.0), "there is no dropout"),
    "lora_task_type": (("CAUSAL_LM",), "a causal model is tuned"),
    "lora_target_modules": (("all-linear",), "all linear modules of the adapted layers"),
    "completion_only_loss": ((True, None), "the loss covers the response only"),
    "assistant_only_loss": ((False,), "the loss covers the response only"),
    "lr_scheduler_type": (("cosine",), "the schedule is cosine"),
    "packing": ((False,), "rows are not packed"),
    "logging_steps": ((1,), "every step is logged"),
    "dataset_name": ((None,), "rows are the project's own"),
    "bf16": ((True, None), "bfloat16 is used where the processor has it"),
    "trust_remote_code": ((False,), "no remote code is run"),
    "push_to_hub": ((False,), "nothing is uploaded"),
}
BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")
LORA_ALPHA, TRL_RANK = 2, 16
SHOWN = 120


@dataclass(frozen=True, slots=True)
class TrlConfig:
    """What became of the fields: `overrides` as of --set, and a line each for people."""

    overrides: tuple[str, ...]
    carried: tuple[str, ...]
    same: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def text(self) -> str:
        """All fields of the file, one a line."""
        lines = [f"  {line}" for line in (*self.carried, *self.same)]
        return "\n".join([*lines, *(f"  not taken: {line}" for line in self.left_out)])


def read_trl_config(path: Path) -> TrlConfig:
    """Return what a TRL YAML says of our fields; raises InputError where it is not one.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "sft.yaml"
    >>> _ = file.write_text("lora_r: 4\\nper_device_train_batch_size: 2\\n"
    ...                     "gradient_accumulation_steps: 8\\nneftune_noise_alpha: 5\\n")
    >>> read = read_trl_config(file)
    >>> read.overrides, read.left_out
    (('tune.batch_size=16', 'tune.rank=4'), ('neftune_noise_alpha=5: there is no such field here',))
    """
    value = load_yaml(path)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError("not a TRL configuration (a mapping of fields)", path=path)
    found: dict[str, Any] = {}
    carried: list[str] = []
    same: list[str] = []
    left_out: list[str] = []
    if any(name in value for name in BATCH):
        size = _whole(value, BATCH[0], 8, path) * _whole(value, BATCH[1], 1, path)
        found["tune.batch_size"] = size
        carried.append(f"{' x '.join(BATCH)} -> tune.batch_size={size}")
    for name, item in value.items():
        if name in BATCH:
            continue
        shown = f"{name}={one_line(_written(item), SHOWN)}"
        if name in CARRIED and item is None and name != "report_to":
            left_out.append(f"{shown}: TRL's own default; the project's value stays")
        elif name in CARRIED:
            ((field, own),) = CARRIED[name](item).items()
            if found.setdefault(field, own) == own:
                carried.append(f"{name} -> {field}={_written(own)}")
            else:
                left_out.append(f"{shown}: {field} is {found[field]} already")
        elif name == "lora_alpha":
            is_so = _number(item) == LORA_ALPHA * _number(value.get("lora_r") or TRL_RANK)
            (same if is_so else left_out).append(f"{shown}: it is {LORA_ALPHA} times the rank here")
        elif name in SAME:
            values, why = SAME[name]
            (same if item in values else left_out).append(f"{shown}: {why}")
        else:
            left_out.append(f"{shown}: there is no such field here")
    overrides = tuple(f"{field}={_written(own)}" for field, own in found.items())
    return TrlConfig(overrides, tuple(carried), tuple(same), tuple(left_out))


def _whole(value: dict[str, Any], name: str, default: int, path: Path) -> int:
    found = default if value.get(name) is None else value[name]
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise InputError(f"{found!r} is not a whole number of 1 or more", path=path, field=name)
    return found


def _number(value: Any) -> float:
    """Return a number as YAML writes it, `1e1` without a point being text there; else NaN."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _loggers(value: Any) -> list[str]:
    named = value if isinstance(value, list) else [value]
    return [str(one) for one in named if one not in (None, "none", "None")]


def _model(name: str) -> str:
    return name if ":" in name else f"hf:{name}"


def _written(value: Any) -> str:
    """Return a value as --set reads it back.

    >>> _written(["a"]), _written(True), _written(1e-4)
    ('["a"]', 'true', '0.0001')
    >>> _written("1e-4"), _written("hf:a # b")
    ('1e-4', '"hf:a # b"')
    """
    import json

    if isinstance(value, str) and _reads_back(value):
        return value
    # YAML knows values that JSON does not: dates, sets, bytes.
    return json.dumps(value, default=str, ensure_ascii=False)


def _reads_back(text: str) -> bool:
    """Return whether --set reads a text as that text, or as the number that it says."""
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return False
    return found == text or (isinstance(found, int | float) and not isinstance(found, bool))
