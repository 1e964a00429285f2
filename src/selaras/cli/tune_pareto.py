"""`selaras tune pareto`: which checkpoint, at which adapter scale."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    SetOption,
    command,
    open_project_at,
    print_json,
    say,
    showing,
)

if TYPE_CHECKING:
    from selaras.core.progress import Progress
    from selaras.core.project import Project
    from selaras.evaluate import Evaluation
    from selaras.tune.pareto import Frontier


@command
def pareto(
    runs: Annotated[list[str], typer.Argument(help="Finished tunings of one base model.")],
    folder: ProjectOption = Path(),
    scales: Annotated[
        str, typer.Option(help="Adapter scales to try, between 0 (the base) and 1.")
    ] = "0.25,0.5,0.75,1",
    checks: Annotated[
        int, typer.Option(min=0, help="Capability checks to run at every point.")
    ] = 100,
    seal: Annotated[
        bool, typer.Option("--seal", help="Then measure the point taken on the sealed rows, once.")
    ] = False,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Measure checkpoints x adapter scales on development rows and show the Pareto front.

    Rows that none of the runs trained on; a winner is named only where they tell it from the rest.
    """
    from selaras.tune.pareto import measure_frontier, plan_sweep
    from selaras.tune.pareto_page import write_page

    project = open_project_at(folder, overrides)
    with showing() as progress:
        sweep = plan_sweep(project, runs, _scales(scales), checks, progress)
        if sweep.warning:
            progress.say(f"warning: {sweep.warning}")
        if dry_run:
            told = {"points": len(sweep.points) + 1, "rows": len(sweep.rows),
                    "checks": len(sweep.checks)}  # fmt: skip
            print_json(told) if as_json else say(sweep.text)
            return
        found = measure_frontier(project, sweep, resume=resume, progress=progress)
        path = write_page(project, found)
        sealed = _sealed(project, found, progress) if seal else None
    if as_json:
        print_json(_values(project, found, path, sealed))
        return
    _print(project, found, path, sealed)


def _scales(text: str) -> list[float]:
    from selaras.core.errors import InputError

    try:
        found = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found or not all(0 < value <= 1 for value in found):
        raise InputError(f"--scales {text!r} are no numbers above 0 and up to 1",
                         fix="write them so: 0.25,0.5,1")  # fmt: skip
    return found


def _sealed(project: "Project", found: "Frontier", progress: "Progress") -> "Evaluation | None":
    """Return the evaluation of the point taken on the sealed rows; None where it is the base."""
    from selaras.core.system import Sampling, SystemSpec
    from selaras.evaluate import evaluate, held_out_suite, open_system

    take = found.advice.take
    if take.model is None:
        progress.say("the base is not sealed as a tuning: measure it with selaras eval")
        return None
    first = next(iter(project.file.systems.values()), None)
    spec = SystemSpec(model=take.model, sampling=first.sampling if first else Sampling())
    opened = open_system(project, f"tuned-{found.manifest.id[-4:]}", spec, progress)
    return evaluate(project, opened, held_out_suite(project), resume=True, progress=progress)


def _values(
    project: "Project", found: "Frontier", path: Path, sealed: "Evaluation | None"
) -> dict[str, Any]:
    from selaras.evaluate import summary
    from selaras.tune.clouds import clouds
    from selaras.tune.pareto import spot_values
    from selaras.tune.reach import reach_words

    told = found.advice
    return {
        "run": found.manifest.id, "stamp": found.manifest.stamp, "page": str(path),
        "points": [spot_values(spot) for spot in found.spots],
        "front": [spot.label for spot in found.front],
        "verdict": told.verdict, "take": told.take.label, "model": told.take.model,
        "tied": [spot.label for spot in told.tied], "advice": told.text,
        "criteria": reach_words(project, found.spots),
        "clouds": [cloud.to_dict() for cloud in clouds(found.sweep.manifests, found.spots)],
        "sealed": summary(sealed) if sealed else None,
    }  # fmt: skip


def _print(project: "Project", found: "Frontier", path: Path, sealed: "Evaluation | None") -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    from selaras.cli.render import print_figures, rate
    from selaras.tune.clouds import clouds
    from selaras.tune.frontier import OBJECTIVES, letters
    from selaras.tune.pareto_page import columns_of
    from selaras.tune.reach import reach_words

    on_front = {spot.label for spot in found.front}
    made = Table(title="The frontier (*) on development rows", title_justify="left")
    named = columns_of(found.spots)
    for column in ("", *named.values(), "KL, nats"):
        made.add_column(column)
    for spot in found.spots:
        kl = spot.kl["value"]
        made.add_row(
            spot.label + (" *" if spot.label in on_front else ""),
            *(rate(spot.rate(name), wide=False) for name in OBJECTIVES),
            "-" if kl is None else f"{kl:.3f}",
        )
    console = Console(file=sys.stdout, highlight=False)
    console.print(made)
    for number, manifest in enumerate(found.sweep.manifests):
        if len(found.sweep.manifests) > 1:
            say(f"{letters(number)}: {manifest.id}, seed {manifest.seed}")
    for cloud in clouds(found.sweep.manifests, found.spots):
        told = [
            f"{named[name].lower()} {100 * own[0]:.0f} % ({100 * own[1]:.0f} to {100 * own[2]:.0f})"
            for name in ("refuses", "over_refusal")
            if (own := cloud.figures[name])
        ]
        say(f"{cloud.label} over {len(cloud.seeds)} seeds: {', '.join(told)}")
    say(found.advice.text)
    say(reach_words(project, found.spots))
    if sealed is not None:
        print_figures([sealed])
    elif found.advice.take.model:
        say(f"next: --seal, or selaras eval {found.advice.take.model} -C {project.root}")
    say(f"the plot and every point: {path}")
