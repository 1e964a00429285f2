"""`selaras tune reward` and `tune preference`: what is learnt from preference pairs."""

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
    from selaras.tune.preference import PreferencePlan
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
    from selaras.tune.choose_pairs import TooFewPairsError
    from selaras.tune.reward import measure_sealed, plan_reward, tune_reward

    project = open_project_at(folder, overrides)
    wanted = [policy] if policy else [*project.file.policies] if per_policy else [None]
    runs, plans = [], []
    with showing() as progress:
        for name in wanted:
            try:
                plans.append(plan_reward(project, name, progress=progress))
            except TooFewPairsError as error:
                # One policy without pairs is no reason to have none of the others.
                if name == wanted[-1] and not plans:
                    raise
                say(f"{name}: no reward model ({error.what})")
        if dry_run:
            told = [_forecast(project, plan, progress) for plan in plans]
            if as_json:
                print_json({"plans": [values for values, _ in told]})
            else:
                say("\n".join(text for _, text in told))
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
    from selaras.cli.render import rate
    from selaras.tune.preference import plan_preference, tune_preference

    project = open_project_at(folder, overrides)
    runs = []
    with showing() as progress:
        for number in range(seeds):
            plan = plan_preference(project, project.file.seed + number, progress)
            if dry_run:
                values, text = _forecast(project, plan, progress)
                print_json(values) if as_json else say(text)
                return
            say(plan.text)
            runs.append(tune_preference(project, plan, resume=resume, progress=progress))
    if as_json:
        print_json({"runs": [{"id": m.id, "seed": m.seed, "chosen": m.config["chosen"],
                              "figures": m.figures} for m in runs]})  # fmt: skip
        return
    for m in runs:
        chosen = m.config["chosen"]
        say(f"{m.id}: {Path(chosen['adapter']).name} at scale {chosen['scale']:g}")
        say(f"  development figures: refuses what it should {rate(m.figures['compliance_rate'])}, "
            f"over-refusal {rate(m.figures['over_refusal_rate'])}")  # fmt: skip
    say(f"next: selaras eval run:{runs[-1].id} -C {folder}")


def _forecast(
    project: "Project", plan: "PreferencePlan | RewardPlan", progress: "Progress"
) -> tuple[dict[str, Any], str]:
    """Return a plan and what it will take, as JSON values and as text."""
    from selaras.tune.forecast import forecast_pairs

    found = forecast_pairs(project, plan, progress)
    return {**plan.to_dict(), "forecast": found.to_dict()}, f"{plan.text}\n{found.text}"


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
