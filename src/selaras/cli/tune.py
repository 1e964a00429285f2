"""`selaras tune`: the second lever."""

from pathlib import Path
from typing import Annotated

import typer

from selaras.cli.frame import (
    DryRunOption,
    JsonOption,
    ProjectOption,
    ResumeOption,
    SetOption,
    command,
    group,
    open_project_at,
    print_json,
    say,
    showing,
)
from selaras.cli.tune_export import export


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    tune = group("Tune a model on development rows, guarded against over-refusal.")
    tune.callback()(_stage)
    tune.command("sft")(sft)
    tune.command("export")(export)
    app.add_typer(tune, name="tune")


def _stage() -> None:
    """Tune a model on development rows, guarded against over-refusal."""


@command
def sft(
    folder: ProjectOption = Path(),
    recipe: Annotated[
        str, typer.Option(help="guarded, or naive (refusals and ordinary rows only).")
    ] = "guarded",
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Train this many seeds.")] = 1,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Fine-tune a LoRA adapter on safe responses; checkpoint and scale are chosen on rows aside."""
    from selaras.core.errors import InputError
    from selaras.tune.choose_rows import RECIPES

    if recipe not in RECIPES:
        raise InputError(f"no recipe {recipe!r}", fix=f"use one of: {', '.join(RECIPES)}")
    project = open_project_at(folder, overrides)
    if recipe == "naive":
        say("warning: the naive recipe has no answered look-alikes; it teaches to refuse what "
            "merely sounds unsafe")  # fmt: skip
    from selaras.tune.sft import plan_sft, tune_sft

    runs = []
    with showing() as progress:
        for number in range(seeds):
            plan = plan_sft(project, recipe, project.file.seed + number, progress)
            if dry_run:
                print_json(plan.to_dict()) if as_json else say(plan.text)
                return
            runs.append(tune_sft(project, plan, resume=resume, progress=progress))
    if as_json:
        print_json({"runs": [{"id": m.id, "seed": m.seed, "chosen": m.config["chosen"],
                              "figures": m.figures} for m in runs]})  # fmt: skip
        return
    from selaras.cli.render import rate

    for m in runs:
        chosen = m.config["chosen"]
        say(f"{m.id}: {Path(chosen['adapter']).name} at scale {chosen['scale']:g}")
        say(f"  development figures: refuses what it should {rate(m.figures['compliance_rate'])}, "
            f"over-refusal {rate(m.figures['over_refusal_rate'])}")  # fmt: skip
    say(f"each figure rests on one training seed{f' of {seeds}' if seeds > 1 else ''}")
    say(f"next: selaras eval run:{runs[-1].id} -C {folder}")
