"""The plot of `salience.py`: CPU seconds against the prompt's length, both axes logarithmic."""

import math
from collections.abc import Callable, Sequence

from measure import Row

from selaras.page import Markup, element, join

# Okabe and Ito's colours, told apart by the colour-blind; the names stand at the lines, too.
WAYS = {"bare": ("a bare forward pass", "#000000"), "gradient": ("gradient preview", "#0072b2"),
        "hierarchy": ("hierarchical search", "#009e73"),
        "leave-one-out": ("exact leave-one-out", "#d55e00"),
        "plain-loo": ("one plain forward a segment", "#cc79a7")}  # fmt: skip
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, NAMES = 520, 340, 62, 40, 52, 150
Scale = Callable[[float], float]


def plot(rows: Sequence[Row]) -> str:
    """Return an SVG with a panel a model; the vertical axis is the same in all."""
    known = [row for row in rows if "length" in row and "cpu_seconds" in row]
    models = list(dict.fromkeys(row["model"] for row in known))
    costs = [row["cpu_seconds"] for row in known] or [1.0]
    tokens = [row["tokens"] for row in known] or [256]
    y = _log(min(costs), max(costs), HEIGHT - BOTTOM, TOP)
    panels = []
    for number, model in enumerate(models):
        x = _log(min(tokens), max(tokens), LEFT, WIDTH - NAMES)
        mine = [row for row in known if row["model"] == model]
        drawn = [*_axes(model, x, y, (min(tokens), max(tokens)), (min(costs), max(costs))),
                 *_lines(mine, x, y)]  # fmt: skip
        panels.append(element("g", *drawn, transform=f"translate({number * WIDTH} 0)"))
    whole = WIDTH * max(len(models), 1)
    ground = element("rect", width=str(whole), height=str(HEIGHT), fill="#ffffff")
    title = element("title", "CPU seconds by prompt tokens, for each way of explaining a prompt")
    return str(element("svg", title, ground, *panels, xmlns="http://www.w3.org/2000/svg",
                       viewBox=f"0 0 {whole} {HEIGHT}", width=str(whole), role="img",
                       font_family="sans-serif", font_size="12"))  # fmt: skip


def _log(low: float, high: float, start: float, end: float) -> Scale:
    span = math.log(high / low) or 1.0
    return lambda value: start + math.log(value / low) / span * (end - start)


def _axes(
    model: str, x: Scale, y: Scale, tokens: tuple[float, float], costs: tuple[float, float]
) -> list[Markup]:
    parts = [element("text", model, x=str(LEFT), y="20", font_weight="600")]
    for power in range(math.ceil(math.log10(costs[0])), math.floor(math.log10(costs[1])) + 1):
        at = f"{y(10.0**power):.1f}"
        parts.append(element("line", x1=str(LEFT), x2=str(WIDTH - NAMES), y1=at, y2=at,
                             stroke="#dddddd"))  # fmt: skip
        parts.append(element("text", f"{10.0**power:g} s", x=str(LEFT - 8), y=at, dy="4",
                             text_anchor="end"))  # fmt: skip
    for value in (256, 1000, 4000):
        place = min(max(value, tokens[0]), tokens[1])
        parts.append(element("text", f"{value:,}", x=f"{x(place):.1f}", y=str(HEIGHT - BOTTOM + 20),
                             text_anchor="middle"))  # fmt: skip
    middle = (LEFT + WIDTH - NAMES) / 2
    foot = element("text", "tokens of the prompt; CPU seconds, one thread", x=f"{middle:.1f}",
                   y=str(HEIGHT - 10), text_anchor="middle", fill="#555555")  # fmt: skip
    return [*parts, foot]


def _lines(rows: Sequence[Row], x: Scale, y: Scale) -> list[Markup]:
    parts, ends = [], []
    for way, (name, colour) in WAYS.items():
        points = sorted((row["tokens"], row["cpu_seconds"]) for row in rows if row["way"] == way)
        if not points:
            continue
        spots = [(x(tokens), y(cost)) for tokens, cost in points]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in spots)
        dots = join([element("circle", cx=f"{a:.1f}", cy=f"{b:.1f}", r="3.5", fill=colour)
                     for a, b in spots])  # fmt: skip
        parts.append(element("g", element("polyline", points=line, fill="none", stroke=colour,
                                          stroke_width="2"), dots))  # fmt: skip
        ends.append((spots[-1][1], spots[-1][0], name, colour))
    free = -math.inf
    for height, at, name, colour in sorted(ends):
        free = max(height, free + 14)  # names that would lie on each other move down
        parts.append(element("text", name, x=f"{at + 8:.1f}", y=f"{free:.1f}", dy="4",
                             fill=colour))  # fmt: skip
    return parts
