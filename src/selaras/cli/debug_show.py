"""A map in the terminal: the prompt shaded by score, the ranked segments, the badge.

Colours run from orange (the target needs it) to blue (it speaks against the target): Okabe and
Ito's, told apart by the colour-blind; every shade is also a number in the table beneath.
"""

from typing import Any

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from selaras.cli.frame import say
from selaras.core.errors import one_line
from selaras.debug import SIGNED, Attribution, PromptView
from selaras.debug.aggregate import Aggregate

_WARM, _COOL = (213, 94, 0), (0, 114, 178)
ROWS = 12


def show(found: Attribution, view: PromptView) -> None:
    """Print a map."""
    console = Console()
    console.print(_heat(found, view), soft_wrap=True)
    console.print(_table(found))
    print_summary(found)


def print_summary(found: Attribution) -> None:
    """Print the lines under a map: the target, the shares, what it cost, the badge."""
    why = f" and not {', '.join(map(repr, found.against))}" if found.against else ""
    say(f"target {one_line(found.target_text, 120)!r}{why}: f = {found.value:.2f} nats")
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.shares().items())
    say(f"share of the scores: {shares}; template tokens, never deleted: "
        f"{found.template_tokens} of {found.prompt_tokens}")  # fmt: skip
    say(f"{found.method} by {found.model}: {found.seconds:.1f} s, {found.forwards} forwards, "
        f"{found.backwards} backwards")  # fmt: skip
    if found.faithfulness:
        figures = found.faithfulness.figures
        say(f"faithfulness: {found.faithfulness.badge}; drop at 1 {figures.drop_at_1:.1f}, at 3 "
            f"{figures.drop_at_3:.1f}, hold {figures.hold:.1f}, AOPC {figures.aopc:.1f} nats "
            "above random orders")  # fmt: skip


def _heat(found: Attribution, view: PromptView) -> Text:
    scores = {s.start: (s, score) for s, score in zip(found.segments, found.scores, strict=True)}
    top = max(map(abs, found.scores), default=0.0) or 1.0
    text, at = Text(), 0
    for start in sorted(scores):
        segment, score = scores[start]
        text.append(_plain(view.text[at:start]), "dim")
        text.append(_plain(view.text[segment.start : segment.end]), _style(score / top))
        at = segment.end
    text.append(_plain(view.text[at:]), "dim")
    text.append(found.target_text, "bold underline")
    return text


def _style(share: float) -> Style:
    """Return the shade of a score as a share of the largest: background towards its colour."""
    strength = min(abs(share), 1.0)
    if strength < 0.05:
        return Style()
    base = _WARM if share > 0 else _COOL
    r, g, b = (round(255 + strength * (part - 255)) for part in base)
    ink = "white" if strength > 0.6 else "black"
    return Style(color=ink, bgcolor=f"rgb({r},{g},{b})")


def _plain(text: str) -> str:
    """Return text whose control characters cannot steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def _table(found: Attribution) -> Table:
    table = Table(box=None, pad_edge=False)
    unit = "nats" if found.method in SIGNED or found.method == "integrated" else "score"
    for name, where in ((unit, "right"), ("origin", "left"), ("segment", "left")):
        table.add_column(name, justify=where)  # type: ignore[arg-type]
    for i in sorted(range(len(found.scores)), key=lambda i: -abs(found.scores[i]))[:ROWS]:
        segment: Any = found.segments[i]
        name = f"{segment.origin} {segment.name}" if segment.name else segment.origin
        table.add_row(f"{found.scores[i]:+.2f}", name, Text(one_line(found.texts[i], 90)))
    if len(found.scores) > ROWS:
        table.caption = f"the {ROWS} largest of {len(found.scores)}"
    return table


def show_rows(found: Aggregate) -> None:
    """Print what the parts of a prompt do over rows, and the findings."""
    table = Table(box=None, pad_edge=False)
    heads = ("wanted response", "refusing, safe rows", "refusing, unsafe rows")
    for name in heads:
        table.add_column(name, justify="right")
    table.add_column("part")
    for part in found.parts:
        effects = [_effect(e) for e in (part.wanted, part.refusing_safe, part.refusing_unsafe)]
        table.add_row(*effects, Text(one_line(f"{part.origin}: {part.text}", 100)))
    Console().print(table)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.shares.items())
    say(f"{found.rows} rows of {found.system}; nats, with simultaneous 95 % intervals; "
        f"share of the wanted response's scores: {shares}")  # fmt: skip
    for row, why in found.failed:
        say(f"row {row} was not read: {why}")
    for finding in found.findings:
        say(f"{finding.finding.replace('_', ' ')}: {one_line(finding.segment.text, 90)!r} "
            f"{finding.mean:+.2f} [{finding.low:+.2f}, {finding.high:+.2f}] n {finding.n}; "
            f"{finding.proposed}")  # fmt: skip
    if not found.findings:
        say("no finding: no part stands out at this many rows (try a larger --limit)")


def _effect(effect: Any) -> str:
    if effect is None:
        return "–"
    return f"{effect.mean:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}] n {effect.n}"
