"""`selaras tune`: the second lever."""

from pathlib import Path
from typing import Annotated

import typer

from selaras.cli import tune_pairs
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
from selaras.cli.render_tune import show_plan, show_tuned
from selaras.cli.tune_export import export
from selaras.cli.tune_pareto import pareto
from selaras.cli.tune_rl import rl, rollouts


def register(app: typer.Typer) -> None:
    """Add this stage's commands."""
    tune = group("Tune a model on development rows, guarded against over-refusal.")
    tune.callback()(_stage)
    tune.command("sft")(sft)
    tune.command("export")(export)
    tune.command("reward")(tune_pairs.reward)
    tune.command("preference")(tune_pairs.preference)
    tune.command("pareto")(pareto)
    tune.command("memorised")(memorised)
    tune.command("rl")(rl)
    tune.command("rollouts")(rollouts)
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
    trl_config: Annotated[
        Path | None, typer.Option(help="A YAML of TRL's scripts; --set goes before it.")
    ] = None,
    accelerate: Annotated[
        str | None,
        typer.Option(help="Train in several processes: cpu, ddp, fsdp2, or a file of accelerate."),
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="How many.")] = None,
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
    if processes and not accelerate:
        raise InputError("--processes needs --accelerate", fix="--accelerate cpu, ddp or fsdp2")
    project = open_project_at(folder, [*_of_trl(trl_config), *(overrides or ())])
    if recipe == "naive":
        say("warning: the naive recipe has no answered look-alikes; it teaches to refuse what "
            "merely sounds unsafe")  # fmt: skip
    from selaras.tune.forecast import forecast
    from selaras.tune.launched import checked_launch
    from selaras.tune.sft import plan_sft, tune_sft

    launch = (
        checked_launch(accelerate, processes, project.file.tune.batch_size) if accelerate else None
    )
    runs = []
    with showing() as progress:
        for number in range(seeds):
            plan = plan_sft(project, recipe, project.file.seed + number, progress)
            if dry_run:
                show_plan(plan, forecast(project, plan, progress), as_json)
                return
            say(plan.text)
            runs.append(tune_sft(project, plan, resume=resume, progress=progress, launch=launch))
    show_tuned(runs, folder, as_json)


def _of_trl(path: Path | None) -> tuple[str, ...]:
    """Return a TRL configuration as overrides, and say what became of each of its fields."""
    if path is None:
        return ()
    from selaras.tune.trl_config import read_trl_config

    read = read_trl_config(path)
    say(f"{path}:\n{read.text}")
    return read.overrides


@command
def memorised(
    run: Annotated[str, typer.Argument(help="A finished tuning.")],
    folder: ProjectOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Count the training responses that a tuned model gives back word for word, beside its base."""
    import dataclasses

    from selaras.cli.render import rate
    from selaras.tune.memorised import WORDS, probe_memory

    project = open_project_at(folder)
    with showing() as progress:
        found = probe_memory(project, run, progress)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    say(f"the first {WORDS} words of its training responses, asked greedily as it was trained:")
    say(f"  tuned {rate(found.tuned)}, base {rate(found.base)}")
    for words, value in (("stand more than once", found.repeated), ("stand once", found.single)):
        if value is not None:
            say(f"  of responses that {words} in the rows: {rate(value)}")
    c = found.change
    say(f"  against the base {100 * c.difference:+.0f} points ({100 * c.low:+.0f} to "
        f"{100 * c.high:+.0f}), p {c.p_value:.3f}")  # fmt: skip
