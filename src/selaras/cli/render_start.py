"""What `selaras start` found, on the terminal."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selaras.starter.start import Begun, Started

LONGEST = 220
MOSTLY_FAILED = 0.2


def print_draft(begun: "Begun", *, file: Any = None) -> None:
    """Print what was drafted, each policy with why."""
    from rich.text import Text

    console = _console(file)
    project = begun.project.file
    console.print(Text(f"Product: {project.product}", style="bold"))
    cases = ", ".join(f"{case.id} ({case.title})" for case in project.use_cases)
    console.print(Text(f"Use cases: {cases}"))
    if begun.draft is None:
        console.print(Text(f"Policies: {', '.join(project.policies)} (as the project has them)"))
    else:
        whys: dict[str, list[str]] = {}
        for name, why in begun.draft.policies.items():
            whys.setdefault(why, []).append(name)
        for why, names in whys.items():
            console.print(Text(f"Policies: {', '.join(names)}: {why}"))
    for note in begun.notes:
        console.print(Text(f"Note: {note}", style="yellow"))


def print_started(started: "Started", folder: Path, *, file: Any = None) -> None:
    """Print the draft, the worst answers, the principle, and before and after."""
    from rich.text import Text

    console = _console(file)
    print_draft(started.begun, file=file)
    _print_worst(started, console)
    _print_change(started, console, file)
    console.print(Text(f"\nProject: {folder}   prompt: {folder}/prompts/assistant.prompt"))
    console.print(Text(
        f"Next:    read {folder}/selaras.yaml and policies/, mend what was drafted wrong\n"
        f"         selaras prompt diff {folder}/prompts/assistant.prompt as-given proposed\n"
        f"         selaras prompt label {folder}/prompts/assistant.prompt production proposed\n"
        f"         add your own rows to data/ and seal some: selaras data split -C {folder}"
    ))  # fmt: skip


def _print_worst(started: "Started", console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from selaras.cli.render import not_scored
    from selaras.core.errors import one_line

    errors = started.before.figures["errors"]
    if started.worst:
        title = f"The {len(started.worst)} worst answers (development figures, public probes)"
        table = Table(title=title, title_justify="left", show_lines=True)
        for column in ("asked", "answered", "why it is here"):
            table.add_column(column, ratio=1)
        for each in started.worst:
            cells = (each.row.query, each.answer or "(nothing)", each.why)
            table.add_row(*(Text(one_line(cell, LONGEST)) for cell in cells))
        console.print(table)
    elif errors["share"] < MOSTLY_FAILED:
        console.print("No probe went wrong that these judges can see.")
    if errors["count"]:
        answers = started.before.answers
        first = next((a.error for a in answers if a.status == "error"), "see the run")
        line = f"{errors['count']} of {len(answers)} probes were not answered ({first}): "
        console.print(Text(f"{line}run the same command again to ask them", style="red"))
    for line in not_scored(started.before):
        console.print(line, style="yellow", markup=False)


def _print_change(started: "Started", console: Any, file: Any) -> None:
    from rich.text import Text

    from selaras.cli.render import print_comparisons, print_figures

    if started.principle is not None:
        about = f" ({started.principle.policy})" if started.principle.policy else ""
        console.print(Text(f"\nProposed principle{about}:", style="bold"))
        console.print(Text(f"  {started.principle.text}"))
    for verdict in started.verdicts:
        if not verdict.passed:
            console.print(Text(f"  gate {verdict.name}: {verdict.reason}", style="red"))
    if started.after is not None:
        print_figures([started.before, started.after], file=file)
        print_comparisons(list(started.comparisons), file=file)
        console.print(_sentence(started), style="bold", markup=False)


def _sentence(started: "Started") -> str:
    """Return in a line what the principle did, as far as the probes can tell."""
    moved = [c for c in started.comparisons if not c.tied]
    rows = len(started.begun.rows)
    if not moved:
        return (f"On {rows} probes no difference can be told from chance: no significant "
                "improvement. (Development figures.)")  # fmt: skip
    words = {"compliance_rate": "refuses what it should", "violation_rate": "breaks a policy"}
    said = "; ".join(
        f"{words.get(c.figure, c.figure.replace('_', ' '))} "
        f"{100 * c.paired.difference:+.0f} points [{100 * c.paired.low:+.0f}, "
        f"{100 * c.paired.high:+.0f}], n = {c.paired.n}"
        for c in moved
    )
    return f"With the principle: {said}. (Development figures on public probes.)"


def _console(file: Any) -> Any:
    from rich.console import Console

    return Console(file=file or sys.stdout, highlight=False)
