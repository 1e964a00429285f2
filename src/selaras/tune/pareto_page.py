"""The frontier as a page: the plot, the points with intervals, the seeds, what to do next."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from selaras.core.files import write_text
from selaras.core.project import Project
from selaras.core.records import Kind
from selaras.page import (
    Child,
    Markup,
    Point,
    element,
    interval_text,
    join,
    page,
    percent,
    rate_cell,
    table,
    tradeoff,
)
from selaras.tune.clouds import Cloud, clouds
from selaras.tune.frontier import Spot, letters
from selaras.tune.pareto import Frontier
from selaras.tune.reach import reach_words

PAGE = "report.html"
COLUMNS = {
    "refuses": "Refuses what it should",
    "over_refusal": "Refuses look-alikes",
    "capability": "Capability",
    "coherent": "Coherent",
}


def columns_of(spots: Sequence[Spot]) -> dict[str, str]:
    """Return a heading a figure; over-refusal is that of look-alikes where there are any."""
    over = spots[0].figures["over_refusal_rate"]["by_kind"]
    if Kind.LOOK_ALIKE.value in over:
        return COLUMNS
    return {**COLUMNS, "over_refusal": "Refuses what it should answer"}


def write_page(project: Project, found: Frontier) -> Path:
    """Write runs/<id>/report.html and return its path."""
    path = project.runs / found.manifest.id / PAGE
    write_text(path, frontier_page(project, found))
    return path


def frontier_page(project: Project, found: Frontier) -> str:
    """Return the page of a frontier."""
    sweep = found.sweep
    runs = [f"{_letter(found, i)}{m.id}, seed {m.seed}" for i, m in enumerate(sweep.manifests)]
    cloud = clouds(sweep.manifests, found.spots)
    body = join(
        [
            element("p", "Development figures: on rows that no run trained on, by refusal rules "
                    "that are not calibrated here, and the best of many points. They choose a "
                    "point; sealed rows decide.", class_="stamp"),
            element("p", _capital(sweep.warning), class_="warning") if sweep.warning else None,
            element("h2", "What these rows say"),
            element("p", _capital(found.advice.text) + "."),
            element("p", _capital(reach_words(project, found.spots)) + "."),
            element("h2", "The frontier"),
            _plot(found),
            element("p", element("small", "Named points are on the front: none is as good in "
                    "everything and better in something, of what it refuses, look-alikes, "
                    "capability and coherence. e2 x 0.7 is the second checkpoint at adapter scale "
                    "0.7; dotted lines turn the scale up from the base, and shades join one point "
                    "of several training seeds.")),
            element("h2", "The points"),
            _points(found),
            *(_seeds(cloud, columns_of(found.spots)) if cloud else ()),
            element("h2", "The runs"),
            element("ul", *(element("li", run) for run in runs)),
            element("p", sweep.text + "."),
        ]
    )  # fmt: skip
    lede = f"{len(found.front)} of {len(found.spots)} points are on the front."
    return page(f"Frontier of tuning: {project.file.product}", body, lede=lede)


def _plot(found: Frontier) -> Markup:
    on_front = {spot.label for spot in found.front}
    drawn = [_point(spot, spot.label in on_front) for spot in found.spots]
    turned: dict[tuple[str, int], list[str]] = {}
    for spot in found.spots[1:]:
        dial = turned.setdefault((str(spot.run), spot.epoch), [found.spots[0].label])
        dial.append(spot.label)
    shaded = [[spot.label for spot in cloud.spots]
              for cloud in clouds(found.sweep.manifests, found.spots)]  # fmt: skip
    return tradeoff(
        drawn,
        x_label=columns_of(found.spots)["over_refusal"],
        y_label="Refuses what it should",
        x_better="low",
        y_better="high",
        title="Checkpoints and adapter scales",
        paths=list(turned.values()),
        clouds=shaded,
    )


def _point(spot: Spot, on_front: bool) -> Point:
    keys = ("value", "low", "high")
    (x, x_low, x_high), (y, y_low, y_high) = (
        [float("nan") if rate[key] is None else float(rate[key]) for key in keys]
        for rate in (spot.rate("over_refusal"), spot.rate("refuses"))
    )
    return Point(spot.label, x, x_low, x_high, y, y_low, y_high, emphasis=on_front)


def _points(found: Frontier) -> Markup:
    on_front = {spot.label for spot in found.front}
    advice = found.advice
    tied = {spot.label for spot in advice.tied}
    rows: list[list[Child]] = []
    for spot in found.spots:
        said = [word for word, is_so in (
            ("taken", spot is advice.take), ("most benefit", spot is advice.best),
            ("not told from it", spot.label in tied), ("loses too much", spot in advice.excluded),
        ) if is_so]  # fmt: skip
        name = element("b", spot.label) if spot.label in on_front else spot.label
        rows.append([name, *(_rate(spot, key) for key in COLUMNS), _kl(spot), ", ".join(said)])
    columns = ["Point", *columns_of(found.spots).values(), "KL from the base, nats a token", ""]
    return table(columns, rows, caption="Every point, with 95 % intervals; the front in bold",
                 numeric=set(columns[1:-1]))  # fmt: skip


def _rate(spot: Spot, name: str) -> Markup:
    rate = spot.rate(name)
    if rate["value"] is None:
        return _not_measured()
    return rate_cell(rate["value"], rate["low"], rate["high"], rate["n"])


def _not_measured() -> Markup:
    return element("span", "not measured", class_="none")


def _kl(spot: Spot) -> str:
    value, low, high = (spot.kl[key] for key in ("value", "low", "high"))
    if value is None:
        return "-"
    if low is None:  # of one row there is no interval
        return f"{value:.3f}"
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _seeds(found: Sequence[Cloud], named: Mapping[str, str]) -> list[Markup]:
    columns = ["Point", "Seeds", *named.values()]
    rows: list[list[Child]] = [
        [cloud.label, len(cloud.seeds),
         *(interval_text(*own) if (own := cloud.figures[name]) else _not_measured()
           for name in COLUMNS)]
        for cloud in found
    ]  # fmt: skip
    told = "Mean, and least to most over the seeds."
    if known := [(own, cloud) for cloud in found if (own := cloud.figures["refuses"])]:
        (_, low, high), widest = max(known, key=lambda pair: pair[0][2] - pair[0][1])
        told += (f" At {widest.label} what is refused of what should be lies between "
                 f"{percent(low)} and {percent(high)}.")  # fmt: skip
    return [
        element("h2", "Over training seeds"),
        element("p", told),
        table(columns, rows, caption="The same point, other seeds", numeric=set(columns[1:])),
    ]  # fmt: skip


def _letter(found: Frontier, number: int) -> str:
    return f"{letters(number)}: " if len(found.sweep.manifests) > 1 else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
