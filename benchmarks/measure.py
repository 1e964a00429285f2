"""What every benchmark shares: options, costs, machine and versions, the peers' environments.

A script holds its question, its methods and its table, and ends in

    options = arguments(__doc__, quick="300 rows, one turn").parse_args()
    rows = ...                                   # {"name", "ours", **figures, **cost}
    return finish(options, report(rows, versions("numpy")), shown)

Peers cannot share one environment, since their pins clash: `peer("inspect", options.peers)` makes
one from `peers/inspect.txt` on first use, and `run_apart` runs a command in a process of its own
and says what it cost. Left out: warm-up and turns, which differ by question (see `alternating`).
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from selaras.core.files import write_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = ROOT.parent / "shared" / "data"
PEERS = Path.home() / ".cache" / "selaras" / "peers"
# One thread each, so that CPU seconds are comparable and a second core is not waited for.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
Value = TypeVar("Value")
Row = dict[str, Any]


def arguments(doc: str | None, quick: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark; `quick` says what --quick leaves out."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--out", type=Path, help="write the JSON to this file as well")
    return parser


def data_option(parser: argparse.ArgumentParser) -> None:
    """Add --data, the folder of the public data sets, which are not in the project."""
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the data sets")


def peers_option(parser: argparse.ArgumentParser) -> None:
    """Add --peers, the folder of the peers' environments."""
    parser.add_argument("--peers", type=Path, default=PEERS, help="environments of the peers")


def lacking(folder: Path, files: Sequence[str]) -> str | None:
    """Return the line that says which file of the data is not there, or None."""
    missing = [name for name in files if not (folder / name).is_file()]
    return f"skipped: {folder} lacks {missing[0]} (see its README.md)" if missing else None


def machine() -> Row:
    """Return what the figures were measured on."""
    about = {"platform": platform.platform(), "processor": platform.machine()}
    return {**about, "cores": os.cpu_count()}


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of installed packages."""
    found = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


def report(rows: Sequence[Row], used: Mapping[str, str], **more: Any) -> Row:
    """Return the benchmark's result: machine, versions, anything more, and its rows."""
    return {"machine": machine(), "versions": dict(used), **more, "rows": list(rows)}


def finish(options: argparse.Namespace, result: Row, shown: Callable[[Row], str]) -> int:
    """Write and print the result as the options ask for; return the exit code 0."""
    if options.out:
        write_json(options.out, result)
    print(json.dumps(result, indent=2) if options.json else shown(result))
    return 0


def say(line: str) -> None:
    """Say a line on the error stream, as each thing is done."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def timed(call: Callable[[], Value]) -> tuple[dict[str, float], Value]:
    """Return what a call in this process cost, and what it returned; the peak is the process's."""
    wall, cpu = time.perf_counter(), time.process_time()
    value = call()
    cost = {"wall_seconds": round(time.perf_counter() - wall, 4),
            "cpu_seconds": round(time.process_time() - cpu, 4), "peak_mb": peak_mb()}  # fmt: skip
    return cost, value


def peak_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def run_apart(
    command: Sequence[str | Path], limit: float = 1800, env: Mapping[str, str] | None = None
) -> tuple[dict[str, float], str]:
    """Return what a command cost, its children included, and what it printed.

    It runs in a process of its own with one thread. Raises RuntimeError with its last line where it
    fails or takes longer than `limit` seconds.
    """
    surroundings = {**os.environ, **ONE_THREAD, **(env or {})}
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as wrong:
        begun = time.perf_counter()
        child = subprocess.Popen([str(p) for p in command], stdout=said, stderr=wrong,
                                 env=surroundings)  # fmt: skip
        while True:
            # wait4 is the one call that says what this very child used.
            done, status, used = os.wait4(child.pid, os.WNOHANG)
            wall = time.perf_counter() - begun
            if done:
                break
            if wall > limit:
                child.kill()
                os.wait4(child.pid, 0)
                child.returncode = -9
                raise RuntimeError(f"took more than {limit:.0f} s")
            time.sleep(0.002)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        wrong.seek(0)
        if child.returncode:
            last = wrong.read().strip().splitlines() or ["no message"]
            raise RuntimeError(f"failed: {last[-1][:200]}")
        cost = {"wall_seconds": wall, "cpu_seconds": used.ru_utime + used.ru_stime,
                "peak_mb": used.ru_maxrss / 1024}  # fmt: skip
        return cost, said.read()


def peer(name: str, folder: Path = PEERS) -> Path:
    """Return the Python of a peer's environment, made from `peers/NAME.txt` on first use.

    Raises RuntimeError with the installer's last line where it cannot be made.
    """
    home = folder / name
    python, stamp = home / "bin" / "python", home / "installed.txt"
    wanted = (HERE / "peers" / f"{name}.txt").read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(home, with_pip=True, clear=True)
    command = [python, "-m", "pip", "install", "-q", "-r", HERE / "peers" / f"{name}.txt"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)  # noqa: PLW1510
    if done.returncode:
        last = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"cannot be installed: {last[-1][:200]}")
    stamp.write_text(wanted, encoding="utf-8")
    return python


def pin(name: str) -> str:
    """Return a peer's pinned packages, as its versions are reported."""
    return (HERE / "peers" / f"{name}.txt").read_text(encoding="utf-8").strip().replace("\n", ", ")


def alternating(names: Sequence[str], turns: int) -> Iterator[str]:
    """Yield every name once a turn, every other turn backwards, so that no one is always first."""
    for turn in range(turns):
        yield from reversed(names) if turn % 2 else names


def median(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each figure over runs."""
    return {key: round(statistics.median(run[key] for run in runs), 4) for key in runs[0]}


def mean_figures(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each figure over runs."""
    return {key: round(statistics.fmean(run[key] for run in runs), 3) for key in runs[0]}
