"""Filters over what a page lists: radio buttons and style rules made of numbers.

Nothing runs, so a page's Content-Security-Policy stays as strict as without. Where a browser does
not know `:has`, everything is shown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from selaras.page.html import Markup, element

STYLE = """
.filters { display: flex; flex-wrap: wrap; gap: .6rem 1.6rem; margin: 0 0 1.4rem; }
.filters fieldset { border: 0; margin: 0; padding: 0; min-width: 0; max-width: 100%; }
.filters legend { font: 600 .85rem/1.5 var(--sans); padding: 0; color: var(--muted); }
.filters label { display: inline-block; font-weight: 400; margin: 0 .9rem .2rem 0;
  cursor: pointer; }
.filters input { margin: 0 .35em 0 0; accent-color: var(--link); }
"""


@dataclass(frozen=True, slots=True)
class Filters:
    """The choices to show above a list, the page's style that obeys them, and the classes that
    each listed item carries, in their order.
    """

    choices: Markup
    style: str
    classes: tuple[str, ...]


def filters(facets: Mapping[str, Sequence[Sequence[str]]], item: str) -> Filters:
    """Return filters over a list whose items have the class `item`.

    `facets` gives the values that each item has, by the facet's name. A facet in which all are
    alike offers no choice.

    >>> found = filters({"Policy": [["hate"], ["hate", "spam"]], "Kind": [["a"], ["a"]]}, "row")
    >>> found.classes, "Kind" in str(found.choices), "spam (1)" in str(found.choices)
    (('row f0-0', 'row f0-0 f0-1'), False, True)
    """
    count = max(map(len, facets.values()), default=0)
    classes = [[item] for _ in range(count)]
    sets: list[Markup] = []
    rules: list[str] = []
    for name, rows in facets.items():
        options = Counter(value for own in rows for value in own)
        if len(options) < 2:
            continue
        place = len(sets)
        numbers = {value: number for number, value in enumerate(options)}
        for own, marks in zip(rows, classes, strict=True):
            marks += [f"f{place}-{numbers[value]}" for value in own]
        rules += [_rule(place, number, item) for number in numbers.values()]
        sets.append(_set(name, place, options))
    choices = element("div", *sets, class_="filters", role="group", aria_label="Show only")
    return Filters(choices, STYLE + "".join(rules), tuple(" ".join(own) for own in classes))


def _set(name: str, place: int, options: Mapping[str, int]) -> Markup:
    choices = [_choice(place, "all", "all", checked=True)]
    choices += [
        _choice(place, str(number), f"{value} ({count:,})", checked=False)
        for number, (value, count) in enumerate(options.items())
    ]
    return element("fieldset", element("legend", name), *choices)


def _choice(place: int, option: str, text: str, *, checked: bool) -> Markup:
    button = element("input", type="radio", name=f"facet-{place}", id=f"facet-{place}-{option}",
                     checked=checked)  # fmt: skip
    return element("label", button, text)


def _rule(place: int, number: int, item: str) -> str:
    """Return the rule that where an option is chosen, items without it are not displayed."""
    chosen = f"main:has(#facet-{place}-{number}:checked)"
    return f"{chosen} .{item}:not(.f{place}-{number}) {{ display: none; }}\n"
