"""What does each guard against over-tuning do? Each is switched off in turn.

    python benchmarks/guards.py [--folder DIR] [--seeds N] [--quick] [--json] [--out FILE]

SFT of SmolLM2-135M-Instruct on the starter's rows, trained with all guards, without each of them,
and by the naive recipe. A run is measured once on sealed rows of a project of the benchmark's own
(look_budget is raised; nothing is chosen by these figures): what it refuses of what it should, of
look-alikes and of ordinary rows, by the refusal rules (uncalibrated); and capability against the
base, paired, non-inferior where the interval stays above -5 points.

    look-alikes   the rows that teach to answer what only sounds unsafe
    own words     rows to be answered carry the base model's own answers
    KL term       KL(base || tuned) at the responses of these rows, in the loss
    recovery      refusals after a harmful beginning, for three in ten refusals
    choice        the epoch and the adapter scale are chosen on rows kept aside; off: the end, at 1

Half of the rows are sealed: what training does not read makes the figures surer. Batches are of 8,
so that half the rows make as many steps. Summaries, whose articles are a quarter of all tokens, and
pairs are left out. `--folder` keeps projects, runs and cells.jsonl: a benchmark that was cut off
goes on there, and a finished cell is read. Left out as well: the budget on KL, which stops a
training and has no cell of its own here, and larger models.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import arguments, finish, report, versions

from selaras.core.journal import Journal
from selaras.core.manifest import Manifest
from selaras.core.progress import SILENT
from selaras.core.project import Project, open_project
from selaras.core.system import Sampling, SystemSpec
from selaras.data import split_project
from selaras.evaluate import Evaluation, compare, evaluate, held_out_suite, open_system
from selaras.starter import create_project
from selaras.tune.sft import plan_sft, tune_sft

MARGIN = 0.05
COMMON = ("tune.epochs=2", "tune.learning_rate=0.0007", "tune.batch_size=8", "look_budget=1000",
          "seed=7", "held_out_share=0.5", "tune.minimum_look_alikes=0")  # fmt: skip
GUARDS = ("tune.recovery=0.3", "tune.kl_coefficient=1.0", "tune.scales=[0.5, 1.0]")
# Name to (recipe, overrides, whether look-alikes are in the data). In the order of being measured.
CELLS: dict[str, tuple[Any, tuple[str, ...], bool]] = {
    "all guards": ("guarded", GUARDS, True),
    "naive: none": ("naive", (), True),
    "without look-alikes": ("guarded", GUARDS, False),
    "without own words": ("guarded", (*GUARDS, "tune.own_words=false"), True),
    "without the KL term": ("guarded", (*GUARDS, "tune.kl_coefficient=0"), True),
    "without recovery": ("guarded", (*GUARDS, "tune.recovery=0"), True),
}
CHOICE = "without the choice"
SAMPLING = Sampling(max_tokens=24)
CELLS_FILE = "cells.jsonl"


def main() -> int:
    """Run the ablation and print it."""
    parser = arguments(__doc__, quick="two cells, few rows, one epoch: whether it runs")
    parser.add_argument("--folder", type=Path, help="keep projects and runs here, and go on there")
    parser.add_argument("--seeds", type=int, default=1, help="training seeds a cell")
    options = parser.parse_args()
    if options.folder:
        return finish(options, measured(options.folder, options.seeds, options.quick), shown)
    with tempfile.TemporaryDirectory() as folder:
        return finish(options, measured(Path(folder), options.seeds, options.quick), shown)


def measured(folder: Path, seeds: int, quick: bool) -> dict[str, Any]:
    """Return the figures of every cell; each is written as soon as it is known."""
    folder = folder / ("quick" if quick else "full")
    names = list(CELLS)[:2] if quick else list(CELLS)
    for look_alikes in (True, False):
        made(folder, look_alikes, quick)
    done = Journal(folder / CELLS_FILE)
    base = opened(folder, True, quick, ())
    reference = on_sealed(base, "base", base.file.tune.model)
    rows = [row_of("base", None, reference, reference, (0.0, 0.0))]
    for seed in range(seeds):
        for name in names:
            settings = (CELLS[name][0], *CELLS[name][1])
            wanted = [name, CHOICE] if name == "all guards" else [name]
            if any(done.get(key(each, seed, settings)) is None for each in wanted):
                for cell in measured_cells(folder, wanted, seed, quick, reference):
                    done.add(key(cell["name"], seed, settings), cell)
                    sys.stderr.write(f"{shown({'rows': [cell]})}\n")
            rows += [dict(done.get(key(each, seed, settings)) or {}) for each in wanted]
    return report(rows, versions("torch", "transformers", "trl", "peft"), margin=MARGIN)


def measured_cells(
    folder: Path, wanted: list[str], seed: int, quick: bool, reference: Evaluation
) -> Iterator[dict[str, Any]]:
    """Yield a training's cells: its chosen point and, where asked, its end as trained."""
    recipe, overrides, look_alikes = CELLS[wanted[0]]
    project = opened(folder, look_alikes, quick, overrides)
    begun = time.monotonic(), time.process_time()
    plan = plan_sft(project, recipe, project.file.seed + seed)
    run = tune_sft(project, plan, resume=True)
    spent = time.monotonic() - begun[0], time.process_time() - begun[1]
    last = run.config["points"][-1]["adapter"].rpartition("/")[2]
    for name in wanted:
        model = f"run:{run.id}/{last}@1" if name == CHOICE else f"run:{run.id}"
        found = on_sealed(project, f"s{seed}-{name}", model)
        yield row_of(name, seed, found, reference, spent, run)


def made(folder: Path, look_alikes: bool, quick: bool) -> Path:
    """Return the folder of a project with its seal, made where it is not there yet."""
    here = folder / ("all" if look_alikes else "no-look-alikes")
    if here.is_dir():
        return here
    # Renamed when it is whole: what a kill leaves half made is made again.
    begun = folder / f"{here.name}.begun"
    shutil.rmtree(begun, ignore_errors=True)
    if look_alikes:
        create_project(begun, "household-helper")
        (begun / "data" / "pairs.jsonl").unlink()
        kept_rows(begun, lambda row: row.get("use_case") != "summarise", 40 if quick else None)
        split_project(open_project(begun, COMMON))
    else:
        whole = made(folder, True, quick)
        shutil.copytree(whole, begun, ignore=shutil.ignore_patterns("runs"))
        kept_rows(begun, lambda row: row["kind"] != "look_alike", None)
    return begun.rename(here)


def kept_rows(project: Path, keeps: Callable[[dict[str, Any]], bool], most: int | None) -> None:
    """Leave only some rows in a project's files."""
    for path in project.glob("data/*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([x for x in lines if keeps(json.loads(x))][:most]))


def opened(folder: Path, look_alikes: bool, quick: bool, overrides: tuple[str, ...]) -> Project:
    """Return a project of the benchmark under overrides."""
    less = ("tune.epochs=1", "capability_rows=20") if quick else ("capability_rows=200",)
    here = folder / ("all" if look_alikes else "no-look-alikes")
    return open_project(here, (*COMMON, *less, *overrides))


def on_sealed(project: Project, name: str, model: str) -> Evaluation:
    """Return the evaluation of a model on the sealed rows; measured once."""
    spec = SystemSpec(model=model, sampling=SAMPLING)
    system = open_system(project, name.replace(" ", "-").replace(":", ""), spec, SILENT)
    return evaluate(project, system, held_out_suite(project), resume=True)


def row_of(
    name: str, seed: int | None, found: Evaluation, base: Evaluation,
    spent: tuple[float, float], run: Manifest | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return a cell's figures, with intervals, and the paired change of capability."""
    figures = found.figures
    kinds = figures["over_refusal_rate"]["by_kind"]
    change = next((c.paired for c in compare(base, found) if c.figure == "capability"), None)
    return {
        "name": name, "ours": name != "naive: none", "seed": seed,
        "compliance": figures["compliance_rate"], "look_alikes": kinds.get("look_alike"),
        "ordinary": kinds.get("ordinary"), "capability": figures["capability"],
        "capability_change": change and [change.difference, change.low, change.high],
        "non_inferior": None if change is None else change.low > -MARGIN,
        "chosen": run and run.config["chosen"],
        "wall_seconds": round(spent[0], 1), "cpu_seconds": round(spent[1], 1),
    }  # fmt: skip


def key(name: str, seed: int, settings: tuple[str, ...]) -> str:
    """Return what tells a cell from others in the journal."""
    return json.dumps([name, seed, [*COMMON, *settings]])


def shown(result: dict[str, Any]) -> str:
    """Return the table."""
    head = ["cell", "seed", "refuses what it should", "refuses look-alikes", "ordinary rows",
            "capability", "against base, points", "non-inferior"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in result["rows"]:
        change = row["capability_change"]
        told = "" if change is None else "{:+.0f} ({:+.0f} to {:+.0f})".format(
            *(100 * v for v in change)
        )  # fmt: skip
        cells = [row["name"], "" if row["seed"] is None else str(row["seed"])]
        cells += [rate(row[key]) for key in ("compliance", "look_alikes", "ordinary", "capability")]
        cells += [told, {True: "yes", False: "not shown", None: ""}[row["non_inferior"]]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rate(value: dict[str, Any] | None) -> str:
    """Return a rate with its interval and n."""
    if not value or value["value"] is None:
        return "-"
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f}), n {value['n']}"


if __name__ == "__main__":
    sys.exit(main())
