"""Prompts with planted evidence: for each it is known which sentence the answer comes from.

Twelve, by hand; eight or nine sentences each, one of which the target cannot be said without. A
method that does not find it first explains nothing else either.
"""

from dataclasses import dataclass
from importlib.resources import files

from selaras.core.files import parse_json
from selaras.core.records import Message
from selaras.template import Rendered
from selaras.template import Segment as Stretch


@dataclass(frozen=True, slots=True)
class Planted:
    """A prompt (`passage` is a variable of the user's turn), what was said, and why."""

    id: str
    system: str
    passage: str
    question: str
    response: str
    evidence: str
    target: str

    def rendered(self) -> Rendered:
        """Return its messages with their stretches."""
        user = f"{self.passage}\n\n{self.question}"
        edge = len(self.passage)
        return Rendered(
            (Message(role="system", content=self.system), Message(role="user", content=user)),
            (
                Stretch("system", "system", 0, 0, len(self.system)),
                Stretch("user", "variable", 1, 0, edge, "passage"),
                Stretch("user", "user", 1, edge, len(user)),
            ),
        )


def planted_prompts() -> tuple[Planted, ...]:
    """Return the prompts.

    >>> all(p.evidence in p.system + p.passage and p.target in p.response
    ...     for p in planted_prompts())
    True
    """
    text = (files(__package__) / "planted.jsonl").read_text(encoding="utf-8")
    return tuple(Planted(**parse_json(line)) for line in text.splitlines())
