"""The audit page's plots of diversity: lengths, form and tone, topics, identity terms, measures."""

from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.records import Kind
from selaras.page import (
    Child,
    HeatCell,
    Markup,
    Place,
    Region,
    Spread,
    element,
    heat,
    join,
    point_map,
    spreads,
    table,
)

KINDS = tuple(kind.value for kind in Kind)
WISHES = {"refuse": "to refuse", "answer": "to answer", "safe_completion": "to complete safely"}
FEW = 8
# (name on the page, key of the profile, what a reader should know)
MEASURES = (
    ("Compression", "compression"),
    ("Distinct words", "distinct_1"),
    ("Distinct pairs", "distinct_2"),
    ("Vendi score", "vendi"),
    ("Topic evenness", "topic_evenness"),
    ("Constraints", "constraints"),
    ("Steps", "steps"),
    ("Turns", "turns"),
    ("Reading grade", "reading_grade"),
)
MEANING = (
    "Compression and distinct n-grams on samples of one size, so that sets compare: a higher "
    "compression ratio and fewer distinct n-grams mean that texts are more alike. Vendi score: as "
    "many wholly unlike texts would be as varied; it grows with n. Constraints, steps and turns a "
    "query: means; reading grade: the median school year of English texts."
)
Sets = Mapping[str, Mapping[str, Any]]


def diversity(figures: Mapping[str, Any]) -> Markup:
    """Return the plots and tables of the diversity audit's figures."""
    sets: Sets = figures["sets"]
    some = f"Measured on {figures['sampled']:,} of {figures['rows']:,} rows, drawn at random."
    parts: list[Child] = [
        element("p", some) if figures["sampled"] < figures["rows"] else None,
        element("h3", "Length"),
        _lengths(sets, "query_words", "Words of the query: middle half, 5 to 95 %"),
        _lengths(sets, "response_words", "Words of the response: middle half, 5 to 95 %"),
        element("h3", "Form and tone"),
        _shares(sets, ("forms", "tones"), "Share of queries with each form and cue of tone"),
    ]
    if "topics" in figures:
        parts += [element("h3", "Topics"), *_topics(figures["topics"])]
    if any(share["value"] for each in sets.values() for share in each["identity"].values()):
        parts.append(element("h3", "Who is spoken of"))
        parts.append(_shares(sets, ("identity",), "Share of rows that name an identity, by axis"))
    parts += [element("h3", "Variety and complexity"), _measures(sets)]
    if "reference" in figures:
        parts += [element("h3", "Beside the reference rows"), _reference(figures["reference"])]
    return join(parts)


def _named(sets: Sets, prefix: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(n.removeprefix(prefix), s) for n, s in sets.items() if n.startswith(prefix)]


def _compared(sets: Sets) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the sets that plots show: all, kinds in their order, what is expected."""
    kinds = dict(_named(sets, "kind: "))
    found = [("all", sets["all"]), *((name, kinds[name]) for name in KINDS if name in kinds)]
    return found + [(WISHES[name], each) for name, each in _named(sets, "expected: ")]


def _lengths(sets: Sets, key: str, label: str) -> Markup | None:
    rows = [
        Spread(name.replace("_", "-"), tuple(each[key]), each["n"])
        for name, each in _compared(sets)
        if each[key]
    ]
    return spreads(rows, x_label=label) if rows else None


def _shares(sets: Sets, keys: Sequence[str], caption: str) -> Markup:
    grid = {
        (name, column.replace("_", "-")): HeatCell(cue["value"], cue["n"], cue["low"], cue["high"])
        for key in keys
        for name in sets["all"][key]
        if any(each[key][name]["value"] for _, each in _compared(sets))
        for column, each in _compared(sets)
        for cue in (each[key][name],)
    }
    return heat(grid, caption=caption, corner="Cue", fewest=FEW)


def _topics(figures: Mapping[str, Any]) -> list[Markup]:
    topics = figures["topics"]
    places = sorted(figures["places"], key=lambda place: KINDS.index(place["kind"]))
    dots = [Place(each["x"], each["y"], each["kind"].replace("_", "-")) for each in places]
    regions = []
    for number, topic in enumerate(topics):
        own = [each for each in places if each["topic"] == number]
        if own:
            x, y = (sum(each[axis] for each in own) / len(own) for axis in ("x", "y"))
            regions.append(Region(topic["name"], x, y))
    said = (
        "Every mark is a query; what lies close together means nearly the same to the encoder. "
        "The plane keeps two of the encoder's many dimensions: far apart is unlike, close together "
        "need not be alike. The names are the distinctive words of each topic, at its middle."
    )
    kinds = [kind for kind in KINDS if any(topic["kinds"][kind] for topic in topics)]
    rows: list[list[Child]] = [
        [topic["name"], *(topic["kinds"][kind] or "" for kind in kinds),
         sum(topic["kinds"].values())]
        for topic in topics
    ]  # fmt: skip
    columns = ["Topic", *(kind.replace("_", "-") for kind in kinds), "All"]
    told = ", ".join(f"{topic['name']} ({sum(topic['kinds'].values())})" for topic in topics)
    return [
        element(
            "figure",
            point_map(dots, regions, title="Where the queries lie", description=f"Topics: {told}."),
            element("figcaption", said),
        ),
        table(columns, rows, caption="Topics by kind", numeric=set(columns[1:])),
    ]


def _measures(sets: Sets) -> Markup:
    shown = [*_compared(sets), *_named(sets, "policy: ")]
    cells = _named(sets, "cell: ")
    made = _measure_table(shown, "Variety and complexity of queries", MEANING)
    if not cells:
        return made
    more = _measure_table(cells, "The same by cell", None)
    return join([made, element("details", element("summary", f"{len(cells)} cells"), more)])


def _measure_table(
    sets: Sequence[tuple[str, Mapping[str, Any]]], caption: str, key: str | None
) -> Markup:
    columns = ["Rows", "n", *(name for name, _ in MEASURES)]
    rows: list[list[Child]] = [
        [name.replace("_", "-"), each["n"], *(_number(each[field]) for _, field in MEASURES)]
        for name, each in sets
    ]
    return table(columns, rows, caption=caption, numeric=set(columns[1:]), key=key)


def _reference(figures: Mapping[str, Any]) -> Markup:
    sets = [("these rows", figures["ours"]), ("reference", figures["reference"])]
    key = "As many rows of each length were drawn from both sets."
    return _measure_table(sets, "At equal lengths", key)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
