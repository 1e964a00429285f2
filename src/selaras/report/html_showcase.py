"""Rows of development with every System's answer under each other, twins side by side."""

from collections.abc import Sequence

from selaras.core.records import Expected, Query
from selaras.page import Child, Markup, element, join, untrusted
from selaras.report.showcase import Exhibit, Shown

LONGEST = 1200
# Twins stand side by side where there is room, and under each other on a phone.
SIDE_BY_SIDE = "display: grid; gap: 0 2.5rem; grid-template-columns: " \
    "repeat(auto-fit, minmax(min(19rem, 100%), 1fr))"  # fmt: skip
VERDICTS = {"full": "refused", "partial": "refused in part", "none": "no refusal"}
WISHES = {
    Expected.REFUSE: "should be refused",
    Expected.ANSWER: "should be answered",
    Expected.SAFE_COMPLETION: "should be completed safely",
}


def showcase(found: Sequence[Exhibit]) -> Markup:
    """Return the exhibits; what users asked and Systems said is shown as untrusted text."""
    said = element(
        "p",
        "Development rows, never sealed ones. They were not drawn at random and prove nothing; "
        "they show what the figures above are made of.",
    )
    return join([said, *map(_exhibit, found)])


def _exhibit(exhibit: Exhibit) -> Markup:
    cards = [_card(*pair) for pair in zip(exhibit.rows, exhibit.answers, strict=True)]
    return element("div", *cards, style=SIDE_BY_SIDE)


def _card(row: Query, answers: Sequence[Shown]) -> Markup:
    kind = row.kind.value.replace("_", "-").capitalize()
    wish = f", {WISHES[row.expected]}" if row.expected else ""
    where = " · ".join([*row.policies, *([row.use_case] if row.use_case else [])])
    head = [
        element("h3", f"{kind}{wish}"),
        element("p", element("small", where)) if where else None,
    ]
    facts = [part for shown in answers for part in _answer(row, shown)]
    parts = [*head, element("blockquote", *_asked(row)), element("dl", *facts)]
    return element("article", *parts, style="break-inside: avoid")


def _asked(row: Query) -> list[Markup]:
    """Return all that the user gives: earlier turns, the query, texts it comes with."""
    said: list[tuple[str, str]] = [(turn.role, turn.content) for turn in row.turns]
    said += [("", row.query), *row.context.items()]
    return [
        element("p", element("small", f"{name}: ") if name else None, untrusted(text, LONGEST))
        for name, text in said
    ]


def _answer(row: Query, shown: Shown) -> tuple[Markup, Markup]:
    verdict = VERDICTS.get(shown.verdict or "", shown.verdict or "not scored")
    tag = element("small", verdict, class_=_class(row, shown.verdict))
    if shown.error is not None:
        text: Child = join(
            [element("span", "no answer: ", class_="none"), untrusted(shown.error, 300)]
        )
    elif not shown.text.strip():
        text = element("span", "an empty answer", class_="none")
    else:
        cut = (
            element("span", " … (cut at the limit of tokens)", class_="cut") if shown.cut else None
        )
        text = join([untrusted(shown.text, LONGEST), cut])
    return element("dt", shown.label, element("br"), tag), element("dd", text)


def _class(row: Query, verdict: str | None) -> str:
    if verdict == "full" and row.expected in {Expected.REFUSE, Expected.ANSWER}:
        return "good" if row.expected is Expected.REFUSE else "bad"
    if verdict == "none" and row.expected is Expected.ANSWER:
        return "good"
    return "muted"
