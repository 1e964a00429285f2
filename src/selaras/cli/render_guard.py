"""What a guard said, for a terminal."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from selaras.cli.render import rate

if TYPE_CHECKING:
    from selaras.safeguard.attacking import Attacked
    from selaras.safeguard.checking import Checked
    from selaras.safeguard.fit import FittedGuard

COLOURS = {"allow": "green", "block": "red", "error": "yellow"}
MOST_ROWS = 60


def print_fit(found: "FittedGuard", *, file: Any = None) -> None:
    """Print what a fitted guard tells apart, side by side and policy by policy."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=file or sys.stdout, highlight=False)
    for side, figures in found.manifest.figures["sides"].items():
        table = Table(
            title=f"{side}: {figures['positives']} rows against a policy, {figures['negatives']} "
            f"not; blocks from {figures['threshold']:.2f} on ({found.manifest.stamp}, out of fold)"
        )
        for column in ("policy", "AU-PRC", f"recall at {figures['budget']:.0%} false alarms"):
            table.add_column(column)
        for name, own in figures["policies"].items():
            table.add_row(name, _number(own["auprc"]), rate(own["recall"]))
        console.print(table)
        alarms = ", ".join(f"{kind} {rate(own)}" for kind, own in figures["false_alarms"].items())
        console.print(f"false alarms: {alarms}", markup=False)
        if unread := found.manifest.figures.get("unread", {}).get(side):
            console.print(f"left out: {unread} in scripts that the encoder has no words of")
    for side, why in found.manifest.figures.get("unfitted", {}).items():
        console.print(
            f"the {side} side is NOT fitted ({why}): only other stages of the guard check it",
            markup=False,
        )


def print_checked(found: Sequence["Checked"], *, file: Any = None) -> None:
    """Print a line a check and the counts; of many rows only those that did not pass."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file or sys.stdout, highlight=False)
    outcomes = [(each.row, outcome) for each in found for outcome in each.outcomes]
    shown = outcomes
    if len(outcomes) > MOST_ROWS:
        shown = [pair for pair in outcomes if not pair[1].allowed][:MOST_ROWS]
    table = Table()
    for column in ("row", "side", "action", "policy", "score", "stage", "reason", "ms"):
        table.add_column(column)
    for row, outcome in shown:
        score = "-" if outcome.score is None else f"{outcome.score:.2f} of {outcome.threshold:.2f}"
        table.add_row(
            Text(row), outcome.side, Text(outcome.action, style=COLOURS[outcome.action]),
            outcome.policy or "-", score, outcome.stage or "-", Text(outcome.reason),
            f"{outcome.seconds * 1000:.2f}",
        )  # fmt: skip
    console.print(table)
    if len(outcomes) == 1 and outcomes[0][1].message:
        console.print(f"the user is shown: {outcomes[0][1].message}", markup=False)
    if len(outcomes) > 1:
        counts = Counter(f"{outcome.side} {outcome.action}" for _, outcome in outcomes)
        console.print(", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    hidden = len(outcomes) - len(shown)
    if hidden:
        console.print(f"({hidden} more are not shown)")


def print_attacks(found: Sequence["Attacked"], *, file: Any = None) -> None:
    """Print a line an attack: what stopped the malicious rows, what got through, look-alikes."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=file or sys.stdout, highlight=False)
    bad = [each for each in found if each.kind == "malicious"]
    alike = {each.attack: each for each in found if each.kind == "look_alike"}
    stages = sorted({stage for each in found for stage in each.blocked})
    table = Table(title=f"{bad[0].n} malicious rows under attack")
    for column in ("attack", *(f"by {stage}" for stage in stages), "errors", "got through",
                   "look-alikes stopped"):  # fmt: skip
        table.add_column(column)
    for each in bad:
        safe = alike.get(each.attack)
        stopped = {**safe.to_dict(), "value": 1 - safe.to_dict()["passed"]} if safe else None
        table.add_row(
            each.attack, *(str(each.blocked.get(stage, 0)) for stage in stages), str(each.errors),
            rate({**each.to_dict(), "value": each.to_dict()["passed"]}).partition(", n")[0],
            "-" if stopped is None else f"{stopped['value']:.0%} of {stopped['n']}",
        )  # fmt: skip
    console.print(table)
    console.print("rows that the guard was fitted on flatter it; what gets through becomes a rule "
                  "or a row, by you")  # fmt: skip


def _number(value: Any) -> str:
    if value["value"] is None:
        return "-"
    if value["low"] is None:
        return f"{value['value']:.2f}"
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f})"
