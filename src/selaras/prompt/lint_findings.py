"""What `selaras debug --rows` measured of a template's parts, as remarks at their lines."""

from collections.abc import Iterator

from selaras.core.errors import one_line
from selaras.prompt.lint import Linted, Remark, Severity
from selaras.prompt.measured import place_of
from selaras.template.finding import FindingName

SAID: dict[FindingName, tuple[Severity, str]] = {
    "harms": ("warning", "makes the wanted response less likely"),
    "raises_over_refusal": ("warning", "pushes towards refusing what should be answered"),
    "never_matters": ("note", "never matters on these rows"),
    "makes_it_refuse": ("note", "works: it pushes towards refusing what should be refused"),
}


def measured(linted: Linted) -> Iterator[Remark]:
    """A part that was measured says what it does, with its figures."""
    for finding in linted.findings:
        severity, said = SAID[finding.finding]
        part = finding.segment
        place = place_of(linted.template, finding)
        named = f"the example {part.example}" if part.example else f'"{one_line(part.text, 60)}"'
        if part.origin == "silent":
            named = f"the chat template's own system prompt ({named})"
        start, end = place or (0, 0)
        yield Remark("measured", severity, f"{named} {said}",
                     f"{finding.figures}; {finding.proposed}", start, end)  # fmt: skip
