"""One finding on the audit's page: what it says, and its rows side by side with what differs.

Row text is untrusted and shown with personal data covered.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from selaras.core.records import Query
from selaras.data import Evidence, Finding
from selaras.data.finding import responses, text_fields
from selaras.data.personal import masked
from selaras.page import Markup, element, join, table, untrusted
from selaras.report.html_showcase import SIDE_BY_SIDE

LONGEST = 700
AROUND = 160
MOST_CARDS = 6
MOST_WORDS = 400
_WORD = re.compile(r"\S+")
Spans = list[tuple[int, int]]


def cards(finding: Finding, rows: Mapping[str, Query], regions: Sequence[str] = ()) -> Markup:
    """Return a finding: its sentence, score and rows; rows of a cluster stand side by side."""
    shown = [rows[name] for name in finding.records if name in rows][:MOST_CARDS]
    removed = {proposal.record for proposal in finding.proposed if proposal.action == "remove"}
    made = [
        _card(row, shown[0], _evidence(finding, row.id), removed if finding.proposed else None,
              regions)
        for row in shown
    ]  # fmt: skip
    rest = len(finding.records) - len(shown)
    more = ", ".join(finding.records[len(shown) :][:20]) + (" …" if rest > 20 else "")
    return element(
        "article",
        element("p", element("b", untrusted(finding.message, 300)), " ", _score(finding)),
        element("div", *made, style=SIDE_BY_SIDE) if made else None,
        element("p", f"and {rest:,} more rows: {more}", class_="muted") if rest > 0 else None,
        style="break-inside: avoid",
    )


def plain_list(findings: Sequence[Finding]) -> Markup:
    """Return findings that are about no row (an empty cell) as a table."""
    lines = [[untrusted(f.message, 300), _score(f)] for f in findings]
    return table(["What", "Measured"], lines, caption="Findings about the rows as a whole")


def differing(first: str, other: str) -> Spans:
    """Return the spans of words in `other` that are not in `first`; none of very long texts.

    >>> differing("kill the mould", "kill the black mould")
    [(9, 14)]
    """
    mine, theirs = list(_WORD.finditer(first)), list(_WORD.finditer(other))
    if max(len(mine), len(theirs)) > MOST_WORDS:
        return []
    matcher = difflib.SequenceMatcher(
        None, [w[0].casefold() for w in mine], [w[0].casefold() for w in theirs], autojunk=False
    )
    return [
        (theirs[start].start(), theirs[end - 1].end())
        for tag, _, _, start, end in matcher.get_opcodes()
        if tag in {"replace", "insert"}
    ]


def _evidence(finding: Finding, record: str) -> list[Evidence]:
    return [evidence for evidence in finding.evidence if evidence.record == record]


def _card(
    row: Query,
    first: Query,
    evidence: Sequence[Evidence],
    removed: set[str] | None,
    regions: Sequence[str],
) -> Markup:
    labels = [row.kind.value, row.expected and f"expected: {row.expected}", *row.policies]
    labels += [row.use_case, getattr(row, "response_label", None)]
    state = None
    if removed is not None:
        state = element("span", "proposed to go", class_="bad") if row.id in removed else "stays"
    head = [element("code", row.id), " · " if state else None, state]
    told = " · ".join(str(label) for label in labels if label)
    return element(
        "div",
        element("p", *head),
        element("p", element("small", told)),
        *_texts(row, first, evidence, regions),
    )


def _texts(
    row: Query, first: Query, evidence: Sequence[Evidence], regions: Sequence[str]
) -> Iterator[Markup]:
    others, replies = text_fields(first), responses(row)
    for name, text in text_fields(row).items():
        spans: Spans = [(e.start, e.end) for e in evidence if e.field == name and e.end > e.start]
        if row is not first and not spans:
            spans = differing(others.get(name, ""), text)
        shown, spans, before = _window(masked(text, regions), spans)
        label = None if name == "query" else element("small", f"{name}: ")
        lead = element("span", "… ", class_="cut") if before else None
        body = element("p", label, lead, untrusted(shown or "(empty)", LONGEST, spans))
        yield body if name in replies else element("blockquote", body)


def _window(text: str, spans: Spans) -> tuple[str, Spans, bool]:
    """Return the part of a long text around its first span, with the spans moved."""
    if len(text) <= LONGEST or not spans:
        return text, spans, False
    start = max(0, min(spans)[0] - AROUND)
    return text[start:], [(a - start, b - start) for a, b in spans], start > 0


def _score(finding: Finding) -> Markup | None:
    if finding.score is None:
        return None
    limit = "" if finding.threshold is None else f" (threshold {finding.threshold:.3g})"
    return join([element("small", f"score {finding.score:.3g}{limit}")])
