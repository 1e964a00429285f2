"""`prompt lint`: what published prompting guides warn of, found in a template, with reasons.

Sources: Google's Gemini prompt design strategies and Vertex AI best practices, OpenAI's prompt
engineering guide and GPT-4.1 prompting guide, Anthropic's prompting best practices, OWASP LLM01 and
LLM07. The checks are rules on English words: a remark says where to look, not that it is wrong.
Each check of `selaras.prompt.LINTS` is a function `Linted -> Iterator[Remark]`.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from selaras.core.late import resolve
from selaras.policy import Policy
from selaras.template import PromptTemplate
from selaras.template.finding import Finding
from selaras.template.lex import Token, lex

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Remark:
    """What a check found: [start, end) of the body, the line it is on, why it matters."""

    check: str
    severity: Severity
    what: str
    why: str
    start: int
    end: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of the author's text; `role` and `mark` are where it stands."""

    text: str
    role: str
    mark: str | None
    start: int


@dataclass(frozen=True)
class Linted:
    """A template with what the checks look at."""

    template: PromptTemplate
    policies: Mapping[str, Policy] = field(default_factory=dict)
    findings: Sequence[Finding] = ()

    @cached_property
    def tokens(self) -> list[tuple[Token, str, str | None]]:
        """The body's tokens, each with the role and the mark it stands in."""
        found: list[tuple[Token, str, str | None]] = []
        role, mark = "user", None
        for token in lex(self.template.body):
            if token.kind == "role":
                role = token.text
            elif token.kind == "open":
                mark = token.text
            elif token.kind == "close":
                mark = None
            else:
                found.append((token, role, mark))
        return found

    @cached_property
    def passages(self) -> list[Passage]:
        """The author's text; escaped braces end a passage."""
        return [
            Passage(token.text, role, mark, token.start)
            for token, role, mark in self.tokens
            if token.kind == "text"
        ]

    @cached_property
    def text(self) -> str:
        """All of the author's text."""
        return "".join(passage.text for passage in self.passages)

    def variables(self, mark: str | None = None) -> list[tuple[Token, str]]:
        """Return the variables that stand in a mark (None: in none), with their role."""
        return [
            (token, role)
            for token, role, own in self.tokens
            if token.kind == "variable" and (own == "examples") == (mark == "examples")
        ]


def lint(
    template: PromptTemplate,
    policies: Mapping[str, Policy] | None = None,
    only: Collection[str] = (),
    findings: Sequence[Finding] = (),
) -> list[Remark]:
    """Return what the checks have to say, the gravest first and then by place.

    `policies` are those that the prompt should speak about; none means that this is not checked.
    `findings` are what was measured of this template's parts.
    """
    from selaras.prompt import LINTS

    linted = Linted(template, policies or {}, findings)
    first_line = template.head.count("\n") + 1
    found: list[Remark] = []
    for name, target in LINTS.items():
        if not only or name in only:
            remarks: Iterator[Remark] = resolve(target)(linted)
            found += remarks
    placed = [
        Remark(r.check, r.severity, r.what, r.why, r.start, r.end,
               first_line + template.body.count("\n", 0, r.start))
        for r in found
    ]  # fmt: skip
    return sorted(placed, key=lambda r: (SEVERITIES.index(r.severity), r.start))
