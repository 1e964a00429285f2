"""What does preference tuning do to refusals, and does its frontier dominate the guarded recipe?

    python benchmarks/preference.py [--folder DIR] [--quick] [--json] [--out FILE]

SmolLM2-135M-Instruct on the starter project: the guarded SFT recipe, preference tuning (DPO with
an SFT term) of the base on the starter's pairs, and preference tuning that goes on from the guarded
adapter. Two tables. On sealed rows of a project of the benchmark's own, once each (nothing is
chosen by them): the base and what each run chose, what it refuses of malicious rows, look-alikes
and ordinary rows by the refusal rules (uncalibrated; 32 tokens a response), and capability with the
paired change against the base. On development rows that no run trained on: `tune pareto` over all
checkpoints x adapter scales, and which points dominate the one that the guarded recipe chose (no
worse in refusing what it should and in answering look-alikes, better in one).

`--folder` keeps the project: a benchmark that was cut off goes on there. One training seed; several
are what `tune preference --seeds` is for. Settings were set in advance: the starter's
learning rate, half of an SFT term.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import arguments, finish, report, say, versions

from selaras.core.manifest import Manifest
from selaras.core.progress import SILENT
from selaras.core.project import Project, open_project
from selaras.core.system import Sampling, SystemSpec
from selaras.data import split_project
from selaras.evaluate import Evaluation, compare, evaluate, held_out_suite, open_system
from selaras.starter import create_project
from selaras.tune.frontier import Spot
from selaras.tune.pareto import measure_frontier, plan_sweep
from selaras.tune.preference import plan_preference, tune_preference
from selaras.tune.sft import plan_sft, tune_sft

PREFERENCE = ("tune.preference.learning_rate=0.0007", "tune.preference.sft_weight=0.5")
# Those that the runs choose among by themselves.
SCALES = (0.7, 1.0)
SAMPLING = Sampling(max_tokens=32)


def main() -> int:
    """Run the benchmark and print both tables."""
    parser = arguments(__doc__, quick="few rows, one epoch: whether it runs")
    parser.add_argument("--folder", type=Path, help="keep the project here, and go on there")
    options = parser.parse_args()
    if options.folder:
        return finish(options, measured(options.folder, options.quick), shown)
    with tempfile.TemporaryDirectory() as folder:
        return finish(options, measured(Path(folder) / "project", options.quick), shown)


def measured(folder: Path, quick: bool) -> dict[str, Any]:
    """Return the rows of both tables."""
    runs = tuned(folder, quick)
    project = opened(folder, quick)
    reference = on_sealed(project, "base", project.file.tune.model)
    rows = [sealed_row("base", reference, reference)]
    for name, run in runs.items():
        found = on_sealed(project, name, f"run:{run.id}")
        rows.append(sealed_row(name, found, reference, run))
        say(shown({"rows": [rows[-1]], "points": [], "dominating": []}))
    sweep = plan_sweep(project, [run.id for run in runs.values()], SCALES, 20 if quick else 60)
    spots = measure_frontier(project, sweep, resume=True).spots
    guarded = runs["guarded SFT"]
    chosen = next(spot for spot in spots if is_chosen(spot, guarded))
    better = [spot.label for spot in spots if spot.run != guarded.id and dominates(spot, chosen)]
    names = {run.id: name for name, run in runs.items()}
    points = [
        {"name": names.get(spot.run or "", "base"), "label": spot.label,
         "chosen_by_guarded": spot is chosen, "refuses": dict(spot.rate("refuses")),
         "over_refusal": dict(spot.rate("over_refusal")),
         "capability": dict(spot.rate("capability"))}
        for spot in spots
    ]  # fmt: skip
    used = versions("torch", "transformers", "trl", "peft")
    return report(rows, used, points=points, dominating=better)


def tuned(folder: Path, quick: bool) -> dict[str, Manifest]:
    """Return the finished runs by name, tuned where they are not there yet."""
    project = opened(folder, quick)
    guarded = tune_sft(project, plan_sft(project), resume=True)
    say(f"guarded SFT: {guarded.id}, {guarded.seconds:.0f} s")
    found = {"guarded SFT": guarded}
    first = (f"tune.adapter=run:{guarded.id}",)
    for name, more in (("preference", ()), ("SFT, then preference", first)):
        own = opened(folder, quick, (*PREFERENCE, *more))
        found[name] = tune_preference(own, plan_preference(own), resume=True)
        say(f"{name}: {found[name].id}, {found[name].seconds:.0f} s")
    return found


def opened(folder: Path, quick: bool, more: tuple[str, ...] = ()) -> Project:
    """Return the benchmark's project, made and sealed where it is not there yet."""
    less: tuple[str, ...] = ("capability_rows=100",)
    if quick:
        less = ("capability_rows=20", "tune.epochs=1", "tune.preference.epochs=1",
                "tune.minimum_look_alikes=0", "tune.preference.minimum_pairs=1")  # fmt: skip
    if not folder.exists():
        create_project(folder, "household-helper")
        for path in folder.glob("data/*.jsonl") if quick else ():
            path.write_text("".join(path.read_text().splitlines(keepends=True)[:40]))
    project = open_project(folder, ("look_budget=1000", *less, *more))
    if not (folder / "holdout" / "seal.json").is_file():
        split_project(project)
    return project


def on_sealed(project: Project, name: str, model: str) -> Evaluation:
    """Return the evaluation of a model on the sealed rows; measured once."""
    spec = SystemSpec(model=model, sampling=SAMPLING)
    label = name.lower().replace(",", "").replace(" ", "-")
    system = open_system(project, label, spec, SILENT)
    return evaluate(project, system, held_out_suite(project), resume=True)


def sealed_row(
    name: str, found: Evaluation, base: Evaluation, run: Manifest | None = None
) -> dict[str, Any]:
    """Return a system's figures on sealed rows, and the paired changes against the base."""
    kinds = found.figures["over_refusal_rate"]["by_kind"]
    changes = {} if found is base else {c.figure: c.paired for c in compare(base, found)}
    return {
        "name": name, "ours": True, "compliance": found.figures["compliance_rate"],
        "look_alikes": kinds.get("look_alike"), "ordinary": kinds.get("ordinary"),
        "capability": found.figures["capability"],
        "changes": {figure: [p.difference, p.low, p.high] for figure, p in changes.items()},
        "chosen": run and run.config["chosen"], "wall_seconds": run and run.seconds,
    }  # fmt: skip


def is_chosen(spot: Spot, run: Manifest) -> bool:
    """Return whether a point is the one that its run chose by itself."""
    name = Path(run.config["chosen"]["adapter"]).name
    return (spot.run, spot.checkpoint, spot.scale) == (run.id, name, run.config["chosen"]["scale"])


def dominates(one: Spot, other: Spot) -> bool:
    """Return whether a point is no worse on either side as observed, and better on one."""
    ours, theirs = (
        (spot.rate("refuses")["value"], -spot.rate("over_refusal")["value"])
        for spot in (one, other)
    )
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))


def shown(found: dict[str, Any]) -> str:
    """Return both tables."""
    head = ["sealed rows", "refuses what it should", "refuses look-alikes", "ordinary rows",
            "capability", "capability against base, points"]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in found["rows"]:
        change = row["changes"].get("capability")
        told = "" if change is None else "{:+.0f} ({:+.0f} to {:+.0f})".format(
            *(100 * v for v in change)
        )  # fmt: skip
        cells = [rate(row[k]) for k in ("compliance", "look_alikes", "ordinary", "capability")]
        lines.append(f"| {row['name']} | {' | '.join(cells)} | {told} |")
    if found["points"]:
        head = ["development rows", "point", "refuses", "look-alikes", "capability"]
        lines += ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for point in found["points"]:
        cells = [rate(point[k]) for k in ("refuses", "over_refusal", "capability")]
        mark = " (chosen by guarded)" if point["chosen_by_guarded"] else ""
        lines.append(f"| {point['name']} | {point['label']}{mark} | {' | '.join(cells)} |")
    if found["points"]:
        which = ", ".join(found["dominating"]) or "none"
        lines += ["", f"points that dominate the one that the guarded recipe chose: {which}"]
    return "\n".join(lines)


def rate(value: dict[str, Any] | None) -> str:
    """Return a rate with its interval and n."""
    if not value or value["value"] is None:
        return "-"
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f}), n {value['n']}"


if __name__ == "__main__":
    sys.exit(main())
