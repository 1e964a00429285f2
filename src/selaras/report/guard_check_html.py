"""`selaras guard check FILE --html`: what a guard said of each row, blocked ones first.

The page loads and runs nothing. It shows the rows' text as the file has it, escaped; of sealed rows
only ids and outcomes.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from selaras.core.records import Query
from selaras.page import Child, Markup, element, filters, join, page, table, untrusted
from selaras.safeguard.checking import Checked, responses_of_row
from selaras.safeguard.outcome import Outcome

MOST_ROWS = 3000
LONGEST = 1500
ORDER = {"block": 0, "error": 1, "allow": 2}
CLASSES = {"block": "bad", "error": "bad", "allow": "good"}
SAID = {"block": "blocked", "error": "could not be checked", "allow": "allowed"}
STYLE = """
.row { border-top: 1px solid var(--rule); padding: .9rem 0; break-inside: avoid; }
.row h3 { margin: 0 0 .3rem; font: 600 .95rem/1.5 var(--sans); overflow-wrap: anywhere; }
.row p { margin: .1rem 0; }
"""


def render_checked(
    found: Sequence[Checked], texts: Mapping[str, Query], guard: str, file: str
) -> str:
    """Return what was found as one HTML page. `texts` are the rows that may be shown."""
    ordered = sorted(found, key=lambda each: min(ORDER[one.action] for one in each.outcomes))
    shown = ordered[:MOST_ROWS]
    facets: dict[str, Callable[[Checked], Sequence[str]]] = {
        "Outcome": lambda each: _distinct(SAID[one.action] for one in each.outcomes),
        "Policy": lambda each: _distinct(_decided_by(one) for one in each.outcomes),
        "Side": lambda each: (
            _distinct(one.side for one in each.outcomes if not one.allowed) or ["nothing stopped"]
        ),
        "Kind": lambda each: [_kind(texts.get(each.row))],
    }
    chosen = filters({name: [of(one) for one in shown] for name, of in facets.items()}, "row")
    parts: list[Child] = [element("h2", "The counts"), _counts(found)]
    parts += [element("h2", "Row by row"), element("p", _told(found, shown, texts))]
    parts.append(chosen.choices)
    parts += [
        _row(each, texts.get(each.row), class_)
        for each, class_ in zip(shown, chosen.classes, strict=True)
    ]
    return page(
        f"What the guard says of {file}", join(parts),
        lede=f"{len(found):,} rows under the guard {guard}",
        footer="Made by Selaras. This page loads nothing and runs nothing.",
        style=STYLE + chosen.style,
    )  # fmt: skip


def _counts(found: Sequence[Checked]) -> Markup:
    counts = Counter[tuple[str, str]](
        (one.side, one.action) for each in found for one in each.outcomes
    )
    rows: list[list[Child]] = [
        [side, *(f"{counts[side, action]:,}" for action in ORDER)]
        for side in ("query", "response")
        if any(counts[side, action] for action in ORDER)
    ]
    heads = ["Side", *(SAID[action] for action in ORDER)]
    return table(heads, rows, caption="How many texts", numeric=set(heads[1:]))


def _told(found: Sequence[Checked], shown: Sequence[Checked], texts: Mapping[str, Query]) -> str:
    said = "Blocked rows come first, then those that could not be checked."
    if len(shown) < len(found):
        said += f" The first {len(shown):,} of {len(found):,} are shown; --json has all."
    if any(each.row not in texts for each in shown):
        said += " Sealed rows are shown without their text."
    return said


def _row(each: Checked, query: Query | None, class_: str) -> Markup:
    asked = None
    answers: list[str] = []
    if query is not None:
        lines = [*(turn.content for turn in query.turns), query.query, *query.context.values()]
        quoted = (element("p", untrusted(text, LONGEST)) for text in lines)
        asked = element("blockquote", *quoted)
        answers = responses_of_row(query)
    facts = " · ".join([_kind(query), *query.policies]) if query else ""
    about = element("p", element("small", facts)) if facts else None
    head = element("h3", untrusted(each.row, 200))
    # A query has one outcome, which is the first; each response has one after it.
    said = [None, *(element("blockquote", untrusted(text, LONGEST)) for text in answers)]
    outcomes: list[Child] = []
    for place, one in enumerate(each.outcomes):
        outcomes += [said[place] if place < len(said) else None, _outcome(one)]
    return element("article", head, about, asked, *outcomes, class_=class_)


def _outcome(one: Outcome) -> Markup:
    action = element("b", f"{one.side} {SAID[one.action]}", class_=CLASSES[one.action])
    facts = [one.policy, one.stage, one.reason]
    if one.score is not None and one.threshold is not None:
        facts.append(f"score {one.score:.2f}, blocks from {one.threshold:.2f} on")
    told = " · ".join(fact for fact in facts if fact)
    return element("p", action, " ", element("small", untrusted(told, 500)))


def _decided_by(one: Outcome) -> str:
    return "none" if one.allowed else one.policy or "no policy named"


def _kind(query: Query | None) -> str:
    return query.kind.value.replace("_", "-") if query else "unknown"


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
