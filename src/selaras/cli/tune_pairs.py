"""`selaras tune reward` and `tune preference`: what is learnt from preference pairs."""

from collections.abc import Sequence
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
from selaras.cli.render_tune import show_plan, show_tuned

if TYPE_CHECKING:
    from selaras.core.progress import Progress
    from selaras.core.project import Project
    from selaras.tune.reward import RewardPlan


@command
def reward(
    folder: ProjectOption = Path(),
    per_policy: Annotated[
        bool, typer.Option("--per-policy", help="One model a policy, of the pairs that name it.")
    ] = False,
    policy: Annotated[
        str | None, typer.Option(help="Only the model of this policy.", metavar="ID")
    ] = None,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Measure on the sealed pairs as well: a look.")
    ] = False,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Train a reward model on preference pairs; a model that is trained already is read."""
    from selaras.tune.reward import measure_sealed, tune_reward

    project = open_project_at(folder, overrides)
    wanted = [policy] if policy else [*project.file.policies] if per_policy else [None]
    runs = []
    with showing() as progress:
        plans = _plans(project, wanted, progress)
        if dry_run:
            _forecast(project, plans, progress, as_json)
            return
        for plan in plans:
            say(plan.text)
            run = tune_reward(project, plan, resume=resume, progress=progress)
            runs.append(measure_sealed(project, run, progress) if sealed else run)
    if as_json:
        print_json({"runs": [{"id": m.id, "policy": m.config["policy"], "figures": m.figures}
                             for m in runs]})  # fmt: skip
        return
    for run in runs:
        _told(run.id, run.figures)
        say(f"  page: {project.runs / run.id / 'reward.html'}")
    say(f"next: judge with it (selaras eval SYSTEM --judge reward:run:{runs[-1].id})"
        + ("" if sealed else ", or measure it once on the sealed pairs (--sealed)"))  # fmt: skip


@command
def preference(
    folder: ProjectOption = Path(),
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Train this many seeds.")] = 1,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Tune an adapter on preference pairs (DPO with an SFT term), safe and helpful together."""
    from selaras.tune.forecast import forecast_pairs
    from selaras.tune.preference import plan_preference, tune_preference

    project = open_project_at(folder, overrides)
    runs = []
    with showing() as progress:
        for number in range(seeds):
            plan = plan_preference(project, project.file.seed + number, progress)
            if dry_run:
                show_plan(plan, forecast_pairs(project, plan, progress), as_json)
                return
            say(plan.text)
            runs.append(tune_preference(project, plan, resume=resume, progress=progress))
    show_tuned(runs, folder, as_json)


def _plans(
    project: "Project", wanted: Sequence[str | None], progress: "Progress"
) -> list["RewardPlan"]:
    """Return the plans of those policies that have pairs, and say which have none."""
    from selaras.tune.choose_pairs import TooFewPairsError
    from selaras.tune.reward import plan_reward

    plans: list[RewardPlan] = []
    for name in wanted:
        try:
            plans.append(plan_reward(project, name, progress=progress))
        except TooFewPairsError as error:
            # One policy without pairs is no reason to have none of the others.
            if name == wanted[-1] and not plans:
                raise
            say(f"{name}: no reward model ({error.what})")
    return plans


def _forecast(
    project: "Project", plans: Sequence["RewardPlan"], progress: "Progress", as_json: bool
) -> None:
    from selaras.tune.forecast import forecast_pairs

    found = [forecast_pairs(project, plan, progress) for plan in plans]
    if as_json:
        print_json({"plans": [{**plan.to_dict(), "forecast": own.to_dict()}
                              for plan, own in zip(plans, found, strict=True)]})  # fmt: skip
        return
    for plan, own in zip(plans, found, strict=True):
        show_plan(plan, own, as_json)


def _told(name: str, figures: dict[str, Any]) -> None:
    from selaras.cli.render import rate

    say(f"{name}:")
    for where, title in (("aside", "pairs aside (development)"), ("sealed", "sealed pairs")):
        if where not in figures:
            continue
        own = figures[where]
        length = own["length"]
        say(f"  {title}: the better side wins in {rate(own['accuracy'])}")
        say(f"    length alone ({length['rule']} side): {rate(length['length_only'])}; "
            f"calibration error {own['calibration']['error']:.2f}")  # fmt: skip
        for policy, found in own["by_policy"].items():
            say(f"    {policy}: {rate(found)}")
