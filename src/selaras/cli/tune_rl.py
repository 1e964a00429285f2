"""`selaras tune rl` and `selaras tune rollouts`: RL against a reward model, and what it tried."""

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
from selaras.cli.render_tune import show_plan

if TYPE_CHECKING:
    from selaras.core.manifest import Manifest
    from selaras.core.project import Project


@command
def rl(
    folder: ProjectOption = Path(),
    reward: Annotated[
        str | None, typer.Option(help="The reward model to train against: run:ID.")
    ] = None,
    held_aside_reward: Annotated[
        str | None,
        typer.Option(help="A second one, trained on other pairs, that shows over-optimisation."),
    ] = None,
    algorithm: Annotated[str | None, typer.Option(help="rloo (the default) or grpo.")] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Train on the queries of this file, of `data queries`.")
    ] = None,
    unbalanced: Annotated[
        bool, typer.Option("--unbalanced", help="Start outside the band of adversarial queries.")
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(help="A vLLM server that answers: its base URL, such as http://HOST:8000/v1."),
    ] = None,
    resume: ResumeOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    overrides: SetOption = None,
) -> None:
    """Train a LoRA adapter by RL against a reward model, held by costs and a KL budget."""
    named = {"reward": reward, "held_aside_reward": held_aside_reward, "algorithm": algorithm,
             "server": server}  # fmt: skip
    given = [f"tune.rl.{name}={value}" for name, value in named.items() if value is not None]
    project = open_project_at(folder, [*(overrides or ()), *given])
    from selaras.tune.rl import plan_rl, tune_rl

    with showing() as progress:
        plan = plan_rl(project, queries=queries, unbalanced=unbalanced, progress=progress)
        if dry_run:
            from selaras.tune.rl_forecast import forecast_rl

            show_plan(plan, forecast_rl(project, plan, progress), as_json)
            return
        say(plan.text)
        done = tune_rl(project, plan, resume=resume, progress=progress)
    if as_json:
        print_json({"id": done.id, "chosen": done.config["chosen"],
                    "stopped": done.config["stopped"], "figures": done.figures})  # fmt: skip
        return
    _tell(project, done, folder)


def _tell(project: "Project", done: "Manifest", folder: Path) -> None:
    figures: dict[str, Any] = done.figures["rl"]
    if done.config["stopped"]:
        say(done.config["stopped"])
    say(f"{done.id}: {Path(done.config['chosen']['adapter']).name}, on {figures['n']} queries kept "
        "aside (development figures):")  # fmt: skip
    for name, told in (("reward", "reward, trained against"),
                       ("held_aside_reward", "reward, held aside")):  # fmt: skip
        if found := figures.get(name):
            say(f"  {told}: {found['rise']:+.2f} sd ({found['low']:+.2f} to {found['high']:+.2f}), "
                f"n {found['n']}")  # fmt: skip
    say(f"  KL to the reference: {figures['kl_per_response']:.2f} nats a response, "
        f"{figures['kl_per_token']:.3f} a token")  # fmt: skip
    from selaras.cli.render import rate

    for side in ("adversarial", "other"):
        say(f"  refused, {side} queries: {rate(figures[f'refusal_{side}'])}")
    say("the figures rest on one training seed")
    say(f"page: {project.runs / done.id / 'rl.html'}")
    say(f"next: selaras eval run:{done.id} -C {folder}")


@command
def rollouts(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    folder: ProjectOption = Path(),
    step: Annotated[int | None, typer.Option(min=1, help="Of this step only.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of queries of this kind only.")] = None,
    refused: Annotated[
        bool | None, typer.Option("--refused/--answered", help="Refusals, or all but them.")
    ] = None,
    at_least: Annotated[float | None, typer.Option(help="Rewards from here up.")] = None,
    at_most: Annotated[float | None, typer.Option(help="Rewards up to here.")] = None,
    limit: Annotated[int, typer.Option("--n", min=1, help="Show so many, best first.")] = 20,
    html: Annotated[Path | None, typer.Option(help="Write them as a page with filters.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Browse what a run of RL tried: responses with reward, costs, KL, by step, kind, refusal."""
    from selaras.core.errors import one_line
    from selaras.tune.rl_browse import Filter, browse, queries_of, rollouts_page

    project = open_project_at(folder)
    found = browse(project, run, Filter(step, kind, refused, at_least, at_most))
    if html is not None:
        from selaras.core.files import write_text

        write_text(html, rollouts_page(run, found, queries_of(project)))
        say(f"{len(found)} rollouts in {html}")
        return
    if as_json:
        print_json({"rollouts": [each.to_dict() for each in found[:limit]], "found": len(found)})
        return
    for each in found[:limit]:
        costs = ", ".join(f"{name} {cost:.2f}" for name, cost in each.costs.items() if cost)
        typer.echo(f"step {each.step}  {each.row} ({each.kind})  reward {each.reward:+.3f}  "
                   f"KL {each.kl:.2f}  {'refused  ' if each.refused else ''}{costs}")  # fmt: skip
        typer.echo(f"    {one_line(each.text, 300)}")
    say(f"{min(limit, len(found))} of {len(found)} rollouts")
