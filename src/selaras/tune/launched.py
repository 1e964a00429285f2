"""One training in several processes, on this machine's GPUs or more machines, by `accelerate`.

The process that was started plans, answers and chooses as ever; only the training is launched, as
this module's own main: it reads a `Training` as JSON and does what `train` does. A batch is divided
among the processes, in the order of one process, so that the loss curve is that of one.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from selaras.core.errors import InputError, SelarasError, one_line
from selaras.core.progress import SILENT, Progress, Task
from selaras.models.local_torch import torch
from selaras.tune.encode import Encoded
from selaras.tune.shared import width
from selaras.tune.trainer import Training, epoch_checkpoints, last_checkpoint, train

MODULE = "selaras.tune.launched"
_GIVEN = TypeAdapter(Training[Encoded])
_GPU = {"compute_environment": "LOCAL_MACHINE", "num_machines": 1, "use_cpu": False}
# Configurations of accelerate by name. The adapter is saved whole, whatever shards the model.
PRESETS: dict[str, dict[str, Any] | None] = {
    "cpu": None,
    "ddp": {**_GPU, "distributed_type": "MULTI_GPU"},
    "fsdp2": {
        **_GPU,
        "distributed_type": "FSDP",
        "fsdp_config": {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_reshard_after_forward": True,
            "fsdp_cpu_ram_efficient_loading": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Launch:
    """How a training is launched: a preset's name or a file of `accelerate config`, and how wide.

    With `processes` None a file says it itself, and a preset takes one a GPU.
    """

    config: str
    processes: int | None = None


def checked_launch(config: str, processes: int | None, batch_size: int) -> Launch:
    """Return the launch; raises InputError where its file or its width does not fit."""
    if config not in PRESETS and not Path(config).is_file():
        raise InputError(
            f"--accelerate {config!r} is neither a preset nor a file",
            fix=f"use one of: {', '.join(PRESETS)}, or a file that 'accelerate config' wrote",
        )
    gpus = torch.cuda.device_count()
    if config in ("ddp", "fsdp2") and not gpus:
        raise InputError(f"--accelerate {config} needs a GPU, and there is none",
                         fix="--accelerate cpu --processes 2 runs here")  # fmt: skip
    wide = processes or (2 if config == "cpu" else gpus if config in PRESETS else None)
    _refuse_width(batch_size, wide or 1)
    return Launch(config, wide)


def train_launched(
    training: Training[Encoded], launch: Launch, progress: Progress = SILENT
) -> list[Path]:
    """Train in the launch's processes and return the checkpoints, as `train` does.

    Raises SelarasError with the first process's own line where the training fails.
    """
    # Removes what a kill cut short: each process would, and may find it gone.
    last_checkpoint(training.folder)
    with tempfile.TemporaryDirectory(prefix="selaras-launch-") as folder:
        given = Path(folder) / "training.json"
        given.write_bytes(_GIVEN.dump_json(training))
        command = _command(launch, Path(folder), given)
        errors = Path(folder) / "errors.txt"
        with errors.open("w") as wrong, progress.task("tuning (steps)", training.steps) as task:
            started = subprocess.Popen(  # noqa: S603 - our own module, no shell
                command, stdout=subprocess.PIPE, stderr=wrong, text=True, env=_surroundings(launch),
                start_new_session=True,
            )  # fmt: skip
            with started as child, _ended(child):
                failure = _followed(child, task)
        if failure or child.returncode:
            last = errors.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise SelarasError(failure or f"the launch failed: {one_line(last[-1], 300)}")
    return epoch_checkpoints(training.folder, training.steps_per_epoch)


def _command(launch: Launch, folder: Path, given: Path) -> list[str]:
    module = ["-m", MODULE, str(given)]
    if launch.config == "cpu":
        # accelerate's own launcher wants MPI for several processes without a GPU.
        width = f"--nproc-per-node={launch.processes}"
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", width, *module]
    config = Path(launch.config)
    if (preset := PRESETS.get(launch.config)) is not None:
        config = folder / "accelerate.yaml"
        config.write_text(yaml.safe_dump(preset))
    wide = ["--num_processes", str(launch.processes)] if launch.processes else []
    start = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    return [*start, *wide, *module]


def _surroundings(launch: Launch) -> dict[str, str]:
    own = dict(os.environ)
    if launch.config == "cpu":
        threads = max(1, (os.cpu_count() or 1) // (launch.processes or 1))
        own = {"OMP_NUM_THREADS": str(threads), **own, "ACCELERATE_USE_CPU": "true"}
    return own


def _followed(child: subprocess.Popen[str], task: Task) -> str | None:
    """Show what the first process tells, line by line; return its error, if it had one."""
    failure = None
    for line in child.stdout or ():
        try:
            told = json.loads(line)
        except ValueError:
            continue  # a library's own word
        if isinstance(told, dict) and "error" in told:
            failure = str(told["error"])
        elif isinstance(told, dict) and "done" in told:
            task.advance(told["done"], told["note"])
    child.wait()
    return failure


@contextmanager
def _ended(child: subprocess.Popen[str]) -> Iterator[None]:
    """End the launcher with the block, whatever ends it; it ends its own processes."""
    try:
        yield
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(timeout=20)
            except subprocess.TimeoutExpired:
                child.kill()


class _Told:
    """Progress as lines of JSON for the process that launched this one."""

    @contextmanager
    def task(self, title: str, total: float) -> Iterator["_Told"]:  # noqa: ARG002
        yield self

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        print(json.dumps({"done": amount, "note": note}), flush=True)  # noqa: T201 - the protocol

    def say(self, line: str) -> None:
        pass


def main() -> int:
    """Train what the file of the first argument holds, as one of several processes."""
    training = _GIVEN.validate_json(Path(sys.argv[1]).read_bytes())
    first = int(os.environ.get("RANK", "0")) == 0
    try:
        # A file of accelerate may say itself how many there are.
        _refuse_width(training.settings.batch_size, width())
        train(training, _Told() if first else SILENT)
    except SelarasError as error:
        if first:
            print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201 - the protocol
        return error.exit_code
    return 0


def _refuse_width(batch_size: int, wide: int) -> None:
    """Raise InputError where a batch cannot be divided among so many processes."""
    if batch_size % wide:
        raise InputError(
            f"a batch of {batch_size} cannot be divided among {wide} processes",
            fix=f"--set tune.batch_size={wide * max(1, batch_size // wide)}",
        )


if __name__ == "__main__":
    sys.exit(main())
