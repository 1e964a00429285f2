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
from selaras.page import Child, Markup, element, join, table, untrusted
from selaras.report.html_showcase import SIDE_BY_SIDE

LONGEST = 700
SHOWN = 120  # evidence that is the text itself ends here
AROUND = 160
MOST_CARDS = 6
MOST_WORDS = 400
_WORD = re.compile(r"\S+")
Spans = list[tuple[int, int]]


def clusters(
    findings: Sequence[Finding], rows: Mapping[str, Query], regions: Sequence[str] = ()
) -> list[Markup]:
    """Return findings about several rows, whose texts stand side by side with what differs."""
    return [_cluster(finding, rows, regions) for finding in findings]


def queue(
    findings: Sequence[Finding], rows: Mapping[str, Query], regions: Sequence[str] = ()
) -> Markup:
    """Return findings about one row each as a table to go through."""
    lines: list[list[Child]] = []
    for finding in findings:
        row = rows[finding.records[0]]
        texts = join([*_texts(row, row, finding.evidence, regions)])
        head = join([element("code", row.id), element("br"), element("small", _labels(row))])
        said = join([untrusted(finding.message, 300), element("br"), _score(finding)])
        lines.append([head, texts, said, _proposed(finding)])
    return table(["Row", "Text", "Finding", "Proposed"], lines, caption="Rows to look at")


def _cluster(finding: Finding, rows: Mapping[str, Query], regions: Sequence[str]) -> Markup:
    shown = [rows[name] for name in finding.records if name in rows][:MOST_CARDS]
    removed = {proposal.record for proposal in finding.proposed if proposal.action == "remove"}
    made = [
        _card(row, shown[0], [e for e in finding.evidence if e.record == row.id],
              row.id in removed if removed else None, regions)
        for row in shown
    ]  # fmt: skip
    rest = len(finding.records) - len(shown)
    more = ", ".join(finding.records[len(shown) :][:20]) + (" …" if rest > 20 else "")
    return element(
        "article",
        element("p", element("b", untrusted(finding.message, 300)), " ", _score(finding)),
        element("div", *made, style=SIDE_BY_SIDE),
        element("p", f"and {rest:,} more rows: {more}", class_="muted") if rest > 0 else None,
        style="break-inside: avoid",
    )


def _proposed(finding: Finding) -> Child:
    said = []
    for proposal in finding.proposed:
        fields = ", ".join(f"{name}: {value}" for name, value in proposal.fields.items())
        said.append(f"{proposal.action} {fields}".strip())
    return ", ".join(dict.fromkeys(said)) or "–"


def _labels(row: Query) -> str:
    labels = [row.kind.value, row.expected and f"expected: {row.expected}", *row.policies]
    labels += [row.use_case, getattr(row, "response_label", None)]
    return " · ".join(str(label) for label in labels if label)


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


def _card(
    row: Query,
    first: Query,
    evidence: Sequence[Evidence],
    removed: bool | None,
    regions: Sequence[str],
) -> Markup:
    state = None
    if removed is not None:
        state = element("span", "proposed to go", class_="bad") if removed else "stays"
    return element(
        "div",
        element("p", element("code", row.id), " · " if state else None, state),
        element("p", element("small", _labels(row))),
        *_texts(row, first, evidence, regions),
    )


def _texts(
    row: Query, first: Query, evidence: Sequence[Evidence], regions: Sequence[str]
) -> Iterator[Markup]:
    others, replies = text_fields(first), responses(row)
    for name, text in text_fields(row).items():
        spans: Spans = [
            (e.start, e.end)
            for e in evidence
            # To mark a text from its start is to mark nothing in it.
            if e.field == name and (e.start > 0 or e.end < min(len(text), SHOWN))
        ]
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
