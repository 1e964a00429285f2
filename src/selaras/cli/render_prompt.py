"""Templates on the terminal: stretches in the colour of their origin, remarks under their words."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from selaras.prompt.lint import Remark
    from selaras.prompt.shown import ToldRow
    from selaras.template import PromptTemplate
    from selaras.template.diff import Change
    from selaras.template.versions import Version

# What origins and marks are drawn in; legible on light and dark terminals.
COLOURS = {
    "system": "cyan",
    "few_shot": "magenta",
    "user": "green",
    "variable": "yellow",
    "chat_template": "dim",
    "principles": "bold cyan",
    "frozen": "bold blue",
}
SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}
KIND_COLOURS = {"added": "green", "removed": "red", "changed": "yellow"}
LONGEST = 4000


def print_told(told: "ToldRow", *, file: Any = None) -> None:
    """Print a rendered prompt in the colours of its origins, then the tokens of each stretch."""
    from rich.table import Table
    from rich.text import Text

    console = _console(file)
    role: str | None = None
    for stretch in told.stretches:
        if stretch.role and stretch.role != role:
            role = stretch.role
            console.print(Text(f"── {role} ", style="dim"))
        shown = stretch.text if len(stretch.text) <= LONGEST else stretch.text[:LONGEST] + "…"
        style = _colour(stretch.origin, stretch.name)
        console.print(Text(_printable(shown), style=style), end="")
    console.print()
    table = Table(title="Tokens by stretch", title_justify="left")
    for column in ("origin", "role", "name", "tokens", "share"):
        table.add_column(column, justify="right" if column in {"tokens", "share"} else "left")
    for stretch in told.stretches:
        share = stretch.tokens / told.tokens if told.tokens else 0.0
        origin = Text(stretch.origin, style=_colour(stretch.origin, stretch.name))
        name = Text(stretch.name or "")
        table.add_row(origin, stretch.role or "", name, str(stretch.tokens), f"{share:.0%}")
    about = "" if told.counted_by else "about "
    table.add_row("all", "", told.counted_by or "", f"{about}{told.tokens}", "100%")
    console.print(table)
    for note in told.notes:
        console.print(note, style="yellow", markup=False)


def told_value(told: "ToldRow") -> dict[str, Any]:
    """Return a rendered prompt as JSON values."""
    return {
        "tokens": told.tokens,
        "counted_by": told.counted_by,
        "stretches": [dataclasses.asdict(stretch) for stretch in told.stretches],
        "notes": list(told.notes),
    }


def print_template(
    template: "PromptTemplate", versions: Sequence["Version"], *, file: Any = None
) -> None:
    """Print a template's messages, its principles and its newest versions."""
    from rich.text import Text

    from selaras.template import edited_by_hand
    from selaras.template.prompt import Variable

    console = _console(file)
    for number, turn in enumerate(template.turns):
        console.print(Text(f"── {turn.role} ", style="dim"))
        last = number == len(template.turns) - 1
        origin = turn.role if turn.role == "system" else "user" if last else "few_shot"
        shown = Text()
        for piece in turn.pieces:
            if isinstance(piece, Variable):
                shown.append(f"{{{{{piece.name}}}}}", style=COLOURS["variable"])
            else:
                shown.append(_printable(piece.text), style=_colour(origin, piece.mark))
        console.print(shown)
    block = template.front.selaras
    for principle in block.principles:
        of = f" ({principle.policy})" if principle.policy else ""
        style = "dim" if not principle.holds else ""
        line = f"principle {principle.id}{of}, {principle.status}: {principle.text}"
        console.print(Text(line, style=style))
    if edited_by_hand(template):
        console.print("the principles block was edited by hand: selaras prompt adopt FILE",
                      style="yellow")  # fmt: skip
    if template.unfilled:
        console.print(f"few-shot examples by reference: {', '.join(template.unfilled)}")
    if versions:
        print_history("", versions[-3:][::-1], file=file)


def template_value(template: "PromptTemplate", versions: Sequence["Version"]) -> dict[str, Any]:
    """Return a template as JSON values."""
    from selaras.template import frozen_spans

    return {
        "fingerprint": template.fingerprint,
        "front": template.front.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "turns": [
            {"role": turn.role, "pieces": [dataclasses.asdict(piece) for piece in turn.pieces]}
            for turn in template.turns
        ],
        "variables": sorted(template.variables),
        "frozen": [dataclasses.asdict(span) for span in frozen_spans(template)],
        "versions": [version_value(version) for version in versions],
    }


def print_remarks(
    path: Path, template: "PromptTemplate", remarks: Sequence["Remark"], *, file: Any = None
) -> None:
    """Print remarks with their line, the words marked under it, and the reason."""
    from rich.text import Text

    console = _console(file)
    lines = template.body.split("\n")
    first = template.head.count("\n") + 1
    for remark in remarks:
        line = Text(f"{path}:{remark.line}: ")
        line.append(remark.severity, style=SEVERITY_COLOURS[remark.severity])
        line.append(f" {remark.check}: {_printable(remark.what)}")
        console.print(line, soft_wrap=True)
        if remark.end > remark.start:
            text = _printable(lines[remark.line - first])
            column = remark.start - template.body.rfind("\n", 0, remark.start) - 1
            width = max(1, min(remark.end - remark.start, len(text) - column))
            left = max(0, column - 40)
            console.print(Text(f"    {text[left : column + width + 30]}"), soft_wrap=True)
            under = " " * (column - left) + "^" * width
            console.print(Text(f"    {under}", style=SEVERITY_COLOURS[remark.severity]),
                          soft_wrap=True)  # fmt: skip
        console.print(Text(f"    {remark.why}", style="dim"), soft_wrap=True)
    counts = {s: sum(r.severity == s for r in remarks) for s in SEVERITY_COLOURS}
    said = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items())
    console.print(f"{path}: {said}", highlight=False)


def print_history(file_name: str, versions: Sequence["Version"], *, file: Any = None) -> None:
    """Print versions, newest first, with their labels and parents."""
    from rich.table import Table
    from rich.text import Text

    console = _console(file)
    if not versions:
        console.print(f"no version of {file_name} is kept yet: selaras prompt keep {file_name}")
        return
    table = Table(title="Versions", title_justify="left")
    for column in ("version", "labels", "parent", "kept at", "note"):
        table.add_column(column)
    for version in versions:
        cells = (version.version, ", ".join(version.labels), version.parent or "", version.at,
                 version.note)  # fmt: skip
        table.add_row(*(Text(_printable(cell)) for cell in cells))
    console.print(table)


def version_value(version: "Version") -> dict[str, Any]:
    """Return a version as JSON values."""
    return dataclasses.asdict(version)


def print_changes(changes: Sequence["Change"], *, file: Any = None) -> None:
    """Print what changed, message by message."""
    from rich.text import Text

    console = _console(file)
    if not changes:
        console.print("What the model is told is the same.")
    for change in changes:
        where = change.role + (f", {change.mark}" if change.mark else "")
        console.print(Text(f"{change.kind} ({where})", style=KIND_COLOURS[change.kind]))
        if change.before:
            console.print(Text(f"  - {_printable(change.before)}", style="red"))
        if change.after:
            console.print(Text(f"  + {_printable(change.after)}", style="green"))


def _colour(origin: str, name: str | None) -> str:
    kind = (name or "").partition(":")[0]
    return COLOURS.get(kind) or COLOURS.get("few_shot" if kind == "example" else origin, "")


def _printable(text: str) -> str:
    """Return text without what could command a terminal; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _console(file: Any) -> "Console":
    from rich.console import Console

    return Console(file=file or sys.stdout, highlight=False)
