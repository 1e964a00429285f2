"""How fast is tuning, beside TRL's own trainer on the same rows, model, precision and steps?

    python benchmarks/tuning.py [--quick] [--json] [--out FILE] [--turns N] [--runs FILE]

SFT of a LoRA (rank 8, the upper half of the layers, bfloat16 where the processor has it) on rows of
the starter project, in batches of 16 drawn at random: ours, TRL's SFTTrainer as it comes (with
gradient checkpointing), and without. Every training is a process of its own with one thread; the
methods take turns. Counted are real tokens (no padding) a CPU second from the first step's
beginning to the end, ours with the checkpoints that it writes; the peak of memory is the process's.
MFU is the share of the bf16 matrix product measured in the same process, for the operations that
the training needs at least (see `tuning_work.needed_operations`): prompt beginnings that ours reads
once a batch count in full. The same batches in the same order make the loss curves comparable.

Each training is kept in --runs as it finishes and not done again. Left out: packing and Liger,
which want a GPU, and other trainers, which are TRL underneath.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

from measure import (
    HERE,
    PEERS,
    ROOT,
    Row,
    alternating,
    arguments,
    finish,
    median,
    report,
    run_apart,
    versions,
)

from selaras.core.files import append_jsonl, scan_jsonl
from selaras.models.catalogue import bundled, is_ready, model_folder

MODELS = ("smollm2-135m-instruct", "gemma3-270m")
METHODS = ("selaras", "trl", "trl-plain")
ROWS, QUICK_ROWS = 96, 16
TURNS = 3
LAST = 3  # steps whose mean is the final loss
FIGURES = ("tokens_per_cpu_second", "mfu", "training_cpu_seconds", "matmul_gflops", "padding",
           "final_loss", "loss_gap", "wall_seconds", "cpu_seconds", "peak_mb")  # fmt: skip
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")


def main() -> int:
    """Run the benchmark and print its table, or JSON."""
    parser = arguments(__doc__, quick=f"{QUICK_ROWS} rows of the smaller model, one turn")
    parser.add_argument("--turns", type=int, default=TURNS, help="trainings of each method")
    parser.add_argument("--runs", type=Path, default=PEERS.parent / "benchmarks" / "tuning.jsonl",
                        help="where every training is kept as it finishes")  # fmt: skip
    options = parser.parse_args()
    models = MODELS[:1] if options.quick else MODELS
    rows = [row for model in models for row in measured(model, options)]
    return finish(options, report(rows, versions(*PACKAGES)), shown)


def measured(model: str, options: argparse.Namespace) -> list[Row]:
    """Return a row of medians for each method on a model."""
    if not is_ready(bundled(model)):
        why = f"skipped: selaras models get {model} first"
        return [{"name": name, "ours": name == "selaras", "model": model, "skipped": why}
                for name in METHODS]  # fmt: skip
    count, turns = (QUICK_ROWS, 1) if options.quick else (ROWS, options.turns)
    runs: dict[str, list[Row]] = {name: [] for name in METHODS}
    for name in alternating(METHODS, turns):
        runs[name].append(one(name, model, count, len(runs[name]), options.runs))
    plain = runs["trl-plain"][0]
    rows = []
    for name, found in runs.items():
        if any(run["step_tokens"] != plain["step_tokens"] for run in found):
            raise RuntimeError(f"{name} on {model} trained on other batches")
        figures = median([{key: run[key] for key in FIGURES if key in run} | gaps(run, plain)
                          for run in found])  # fmt: skip
        rows.append({"name": name, "ours": name == "selaras", "model": model, "turns": turns,
                     "losses": found[0]["losses"], **figures})  # fmt: skip
    return rows


def gaps(run: Row, plain: Row) -> dict[str, float]:
    """Return the final loss and the largest difference of the curve from TRL's without tricks."""
    apart = [abs(a - b) for a, b in zip(run["losses"], plain["losses"], strict=True)]
    return {"final_loss": statistics.fmean(run["losses"][-LAST:]), "loss_gap": max(apart)}


def one(name: str, model: str, count: int, turn: int, runs: Path) -> Row:
    """Return one training, from the file of runs where it was done before."""
    key: Row = {"method": name, "model": model, "rows": count, "turn": turn,
                "versions": versions(*PACKAGES)}  # fmt: skip
    known: list[Any] = [value for _, value in scan_jsonl(runs)] if runs.is_file() else []
    for value in known:
        if isinstance(value, dict) and value.get("key") == key:
            return dict(value["run"])
    command = [sys.executable, HERE / "tuning_work.py", name,
               model_folder(bundled(model)), str(count)]  # fmt: skip
    cost, said = run_apart(command, env={"PYTHONPATH": str(ROOT / "src")})
    run = {**json.loads(said.strip().splitlines()[-1]), **cost}
    append_jsonl(runs, [{"key": key, "run": run}])
    print(f"{model} {name} {turn + 1}: {run['tokens_per_cpu_second']} tokens a CPU second, "
          f"{run['peak_mb']:.0f} MB", file=sys.stderr)  # fmt: skip
    return run


def shown(result: Row) -> str:
    """Return the table."""
    lines = [f"{'model':<23}{'trainer':<11}{'tokens / CPU s':>15}{'ours is':>9}{'MFU':>7}"
             f"{'peak MB':>9}{'padding':>9}{'final loss':>12}{'curve within':>14}"]  # fmt: skip
    ours = {row["model"]: row for row in result["rows"] if row["ours"]}
    for row in result["rows"]:
        if "skipped" in row:
            lines.append(f"{row['model']:<23}{row['name']:<11}{row['skipped']}")
            continue
        times = ours[row["model"]]["tokens_per_cpu_second"] / row["tokens_per_cpu_second"]
        lines.append(
            f"{row['model']:<23}{row['name']:<11}{row['tokens_per_cpu_second']:>15.1f}"
            f"{times:>8.2f}x{row['mfu']:>7.1%}{row['peak_mb']:>9.0f}{row['padding']:>9.1%}"
            f"{row['final_loss']:>12.3f}{row['loss_gap']:>14.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
