"""A run of RL as a page: its curves, what was chosen, and why one may or may not believe it."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from selaras.core.files import read_json, write_text
from selaras.core.manifest import Manifest
from selaras.core.project import Project
from selaras.page.chart import Curve, curves
from selaras.page.html import Child, Markup, element, join
from selaras.page.shell import page
from selaras.page.table import rate_cell, table
from selaras.tune.rl_browse import browse, queries_of, rollouts_page

OUT, PAGE, ROLLOUTS_PAGE = "rl.json", "rl.html", "rollouts.html"
Numbers = Mapping[str, Any]


def write_page(project: Project, manifest: Manifest) -> Path:
    """Write the run's page and the page of its rollouts into its folder, and return the first."""
    folder = project.runs / manifest.id
    told = read_json(folder / OUT)
    write_text(folder / PAGE, run_page(manifest, told["steps"], told["looks"]))
    found = browse(project, manifest.id)
    write_text(folder / ROLLOUTS_PAGE, rollouts_page(manifest.id, found, queries_of(project)))
    return folder / PAGE


def run_page(manifest: Manifest, steps: Sequence[Numbers], looks: Sequence[Numbers]) -> str:
    """Return the page of a run from its curves (`rl.json`)."""
    config = manifest.config
    rl: Numbers = config["settings"]["rl"]
    chosen = Path(str(config["chosen"]["adapter"])).name
    seconds = manifest.seconds or 0.0
    facts = {
        "Base": str(config["model"]), "Algorithm": str(config["recipe"]).upper(),
        "Steps": f"{config['steps_done']} of {rl['steps']}, each {rl['queries']} queries x "
                 f"{rl['samples']} responses", "Seed": str(manifest.seed),
        "Queries": ", ".join(f"{n} {kind.replace('_', '-')}"
                             for kind, n in config["rows"].items()),
        "Kept aside": f"{config['selection_rows']} queries", "Chosen": chosen,
        "Time": f"{seconds / 60:.0f} minutes",
        "KL": str(config["kl"]),
    }  # fmt: skip
    body = join([
        element("p", "Development figures, of one training seed: the checkpoint was chosen on the "
                "queries that they are of. Sealed rows decide.", class_="stamp"),
        element("p", str(config["stopped"]), class_="warning") if config["stopped"] else None,
        element("dl", *(join([element("dt", name), element("dd", value)])
                        for name, value in facts.items())),
        element("h2", "Rewards on queries kept aside"),
        element("p", _believed(looks, chosen)),
        _rewards(looks),
        element("h2", "Refusals on queries kept aside"),
        _refusals(looks),
        element("h2", "While training"),
        *_training(steps, rl),
        element("h2", "Rollouts"),
        element("p", element("a", "Every response with its reward, costs and KL",
                             href=ROLLOUTS_PAGE)),
    ])  # fmt: skip
    return page(f"RL: {manifest.id}", body, lede="Reward, KL, costs and refusals by step.")


def _believed(looks: Sequence[Numbers], chosen: str) -> str:
    """Return what the two rewards say of the checkpoint that was chosen, in words."""
    taken = next((look for look in looks if chosen == f"checkpoint-{look['step']}"), looks[-1])
    own, other = taken["reward"], taken.get("held_aside_reward")
    said = (
        f"At the chosen step {taken['step']}, {taken['kl_per_response']:.1f} nats of KL a response "
        f"away, the reward trained against has risen by {_span(own)}."
    )
    if other is None:
        return said + " No second reward model watched, so over-optimisation cannot be seen."
    said += f" The held-aside reward model, which was not trained against, says {_span(other)}."
    if other["high"] < 0:
        return said + " It fell: by that one the responses have become worse."
    if other["low"] > 0:
        return said + (
            " Both rose." if own["low"] > 0 else " Only that one is shown to have risen."
        )
    if own["low"] > 0:
        return said + (
            " Its interval holds 0: that the responses are better is not shown, and more training "
            "on this reward may only fool it."
        )
    return said + " Neither rise is shown."


def _span(found: Numbers) -> str:
    return f"{found['rise']:+.2f} sd ({found['low']:+.2f} to {found['high']:+.2f}, n {found['n']})"


def _rewards(looks: Sequence[Numbers]) -> Markup:
    named = (("reward", "trained against"), ("held_aside_reward", "held aside"))
    drawn = [
        Curve(
            label,
            tuple((look["step"], look[name]["rise"]) for look in looks),
            tuple((look[name]["low"], look[name]["high"]) for look in looks),
        )
        for name, label in named
        if name in looks[0]
    ]
    return _by_step(drawn, "rise of the reward, standard deviations of the start")


def _refusals(looks: Sequence[Numbers]) -> Markup:
    sides = (("refusal_adversarial", "adversarial"), ("refusal_other", "other"))
    drawn = [
        Curve(
            f"{label} queries",
            tuple((look["step"], look[name]["value"]) for look in looks),
            tuple((look[name]["low"], look[name]["high"]) for look in looks),
        )
        for name, label in sides
    ]
    rows: list[list[Child]] = [
        [
            str(look["step"]),
            *(rate_cell(*(look[name][key] for key in ("value", "low", "high", "n")))
              for name, _ in sides),
            f"{look['kl_per_response']:.2f}",
        ]
        for look in looks
    ]  # fmt: skip
    heads = ["Step", "Refused, adversarial", "Refused, other", "KL a response (nats)"]
    return join(
        [
            _by_step(drawn, "share refused in full"),
            table(heads, rows, caption="Refusals by look", numeric={heads[-1]}),
        ]
    )


def _training(steps: Sequence[Numbers], rl: Numbers) -> list[Markup]:
    def curve(label: str, of: Callable[[Numbers], float | None]) -> Curve:
        values = [(float(step["step"]), of(step)) for step in steps]
        return Curve(label, tuple((x, math.nan if y is None else float(y)) for x, y in values))

    names = list(steps[0]["costs"])

    def cost(name: str) -> Curve:
        return curve(name.replace("_", " "), lambda step: step["costs"][name])

    def weight(name: str) -> Curve:
        return curve(name.replace("_", " "), lambda step: step["weights"][name])

    budgets = ", ".join(f"{name.replace('_', ' ')} {rl['budgets'][name]:g}" for name in names)
    shares = [
        curve("adversarial", lambda step: step["refusal_adversarial"]),
        curve("other", lambda step: step["refusal_other"]),
        curve("cut at the length limit", lambda step: step["truncated"]),
    ]
    limit = ("budget", float(rl["kl_budget"]))
    reward = curve("reward", lambda step: step["reward"])
    kl = curve("KL", lambda step: step["kl_per_response"])
    return [
        _by_step([reward], "mean reward of the step, standard deviations of the start"),
        _by_step([kl], "KL to the reference, nats a response", limit),
        _by_step([cost(name) for name in names], f"mean costs (budgets: {budgets})"),
        _by_step([weight(name) for name in names], "weights of the costs (lambda)"),
        _by_step(shares, "share of responses refused in full, and cut"),
    ]


def _by_step(
    drawn: Sequence[Curve], y_label: str, limit: tuple[str, float] | None = None
) -> Markup:
    return curves(drawn, x_label="step", y_label=y_label, limit=limit)
