"""A gate's outcome as Markdown, for the comment on a pull request: figures, criteria, flips.

Ids and figures only: no text of a row or an answer is in it.
"""

import importlib.resources
from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.project import Project
from selaras.evaluate import Evaluation, GateState, gate_words, passed
from selaras.evaluate.flips import counted, flips
from selaras.evaluate.gate_words import state_words
from selaras.page import rate_text

MOST_FLIPS = 20
MARKS = {"met": "✅ met", "not met": "❌ not met", "undecided": "❔ undecided"}
FIGURES = {
    "violation_rate": "Violations",
    "quality": "Quality",
    "compliance_rate": "Compliance",
    "over_refusal_rate": "Over-refusal",
    "capability": "Capability",
}


def comment(
    project: Project,
    evaluation: Evaluation,
    states: Sequence[GateState],
    reference: Evaluation | None = None,
) -> str:
    """Return the Markdown of one System's gate; with a reference, its figures and the flips."""
    word = "passed" if passed(states) else "did not pass"
    lines = [f"### {_plain(project.file.product)}: `{evaluation.name}` {word} the gate", ""]
    lines += [*_figures(evaluation, reference), "", *_criteria(states), ""]
    if reference:
        lines += [*_flips(reference, evaluation), ""]
    looks = project.file.look_budget
    lines.append(
        f"<sub>{evaluation.manifest.stamp}; bounds at .05 / {looks}, the look budget, with "
        "unscored and failed rows at their worst; run "
        f"<code>{evaluation.manifest.id}</code></sub>"
    )
    return "\n".join(lines) + "\n"


def workflow() -> str:
    """Return a GitHub Actions workflow that measures, gates and comments."""
    file = importlib.resources.files("selaras.report") / "gate_workflow.yml"
    return file.read_text(encoding="utf-8")


def _figures(evaluation: Evaluation, reference: Evaluation | None) -> list[str]:
    shown = [evaluation, *([reference] if reference else [])]
    known = [name for name in FIGURES if any(_n(e.figures.get(name)) for e in shown)]
    head = [f"| | {' | '.join(f'`{e.name}`' for e in shown)} |", f"|---|{'---|' * len(shown)}"]
    return head + [
        f"| {FIGURES[name]} | {' | '.join(_rate(name, e.figures.get(name)) for e in shown)} |"
        for name in known
    ]


def _criteria(states: Sequence[GateState]) -> list[str]:
    rows = [
        f"| {_plain(gate_words(state.gate))} | {MARKS[state.state]} | "
        f"{_plain('; '.join(state_words(state)))} |"
        for state in states
    ]
    return ["| criterion | state | |", "|---|---|---|", *rows]


def _flips(reference: Evaluation, evaluation: Evaluation) -> list[str]:
    found = flips(reference, evaluation)
    if not found:
        return [f"No row is judged otherwise than under `{reference.name}`."]
    counts = counted(found)
    said = ", ".join(f"{counts[name]} {name}" for name in counts if counts[name])
    rows = [
        f"| `{_code(flip.row.row)}` | {flip.change} | {flip.before} → {flip.after} | "
        f"{flip.row.kind.replace('_', '-')} | {_plain(', '.join(flip.row.policies)) or '-'} |"
        for flip in found[:MOST_FLIPS]
    ]
    head = ["| row | | judged | kind | policies |", "|---|---|---|---|---|"]
    more = len(found) - MOST_FLIPS
    rest = [f"\n… and {more} more: `selaras compare` shows them all."] if more > 0 else []
    return [
        f"<details><summary>{len(found)} rows flipped against {reference.name}: {said}</summary>",
        "", *head, *rows, *rest, "", "</details>",
    ]  # fmt: skip


def _rate(name: str, value: Mapping[str, Any] | None) -> str:
    if value is None or not _n(value) or value["value"] is None:
        return "no rows"
    if name == "quality":
        return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f}), n {value['n']:,}"
    return rate_text(value["value"], value["low"], value["high"], value["n"])


def _n(value: Mapping[str, Any] | None) -> int:
    return int(value["n"]) if value else 0


def _plain(text: str) -> str:
    """Return text that Markdown takes for nothing else: no cell, tag, link or mention in it."""
    shown = "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~" else c for c in text)
    return " ".join(shown.replace("<", "&lt;").replace("@", "@\u200b").split())


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").replace("|", "/").split())
