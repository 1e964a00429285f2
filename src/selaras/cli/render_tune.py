"""What the commands of `selaras tune` show alike: a plan with its forecast, and tuned models."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from selaras.cli.frame import print_json, say

if TYPE_CHECKING:
    from selaras.core.manifest import Manifest


class Told(Protocol):
    """A plan, or a forecast."""

    @property
    def text(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...


def show_plan(plan: Told, forecast: Told, as_json: bool) -> None:
    """Print what a command would do and what it would take."""
    if as_json:
        print_json({**plan.to_dict(), "forecast": forecast.to_dict()})
    else:
        say(f"{plan.text}\n{forecast.text}")


def show_tuned(runs: Sequence["Manifest"], folder: Path, as_json: bool) -> None:
    """Print what tunings of one plan made, one a seed, and what to do next with them."""
    if as_json:
        print_json({"runs": [{"id": m.id, "seed": m.seed, "chosen": m.config["chosen"],
                              "stopped": m.config.get("stopped"),
                              "figures": m.figures} for m in runs]})  # fmt: skip
        return
    from selaras.cli.render import rate

    for m in runs:
        chosen = m.config["chosen"]
        say(f"{m.id}: {Path(chosen['adapter']).name} at scale {chosen['scale']:g}")
        if stopped := m.config.get("stopped"):
            say(f"  {stopped}")
        say(f"  development figures: refuses what it should {rate(m.figures['compliance_rate'])}, "
            f"over-refusal {rate(m.figures['over_refusal_rate'])}")  # fmt: skip
    say(f"each figure rests on one training seed{f' of {len(runs)}' if len(runs) > 1 else ''}")
    say(f"next: selaras eval run:{runs[-1].id} -C {folder}, or the frontier of all points: "
        f"selaras tune pareto {' '.join(m.id for m in runs)} -C {folder}")  # fmt: skip
