"""The document: self-contained, guarded, and legible in both modes."""

import re
from html.parser import HTMLParser

import pytest

from selaras.page import Markup, Point, element, page, table, tradeoff
from selaras.page.shell import _style

MODES = {
    "light": re.search(r":root \{(.*?)\n\}", _style(), re.DOTALL)[1],
    "dark": re.search(r"dark\) \{\s*:root \{(.*?)\n  \}", _style(), re.DOTALL)[1],
}


def colours(mode):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", MODES[mode]))


def contrast(one, two):
    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class Outline(HTMLParser):
    """Checks that every element is closed in order, and collects what there is."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, document):
        super().__init__()
        self.open, self.seen, self.attributes = [], [], []
        self.feed(document)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def example():
    points = [Point("a", 0.1, 0.05, 0.2, 0.7, 0.6, 0.8)]
    chart = tradeoff(points, x_label="x", y_label="y", x_better="low", y_better="high")
    body = element("div", element("h2", "Part"), chart, table(["a"], [["b"]], caption="c"))
    nav = element("ul", element("li", element("a", "Part", href="#part")))
    return page("A < B", body, lede="First.", nav=nav, footer="Last.")


def test_landmarks_and_skip_link():
    outline = Outline(example())
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert outline.seen.count(tag) == 1, tag
    ids = {attributes.get("id") for _, attributes in outline.attributes}
    skip = next(a for tag, a in outline.attributes if tag == "a")
    assert skip["class"] == "skip"
    assert skip["href"] == "#content"
    assert "content" in ids
    assert "<title>A &lt; B</title>" in example()
    assert "<h1>A &lt; B</h1>" in example()


def test_nothing_is_loaded_and_nothing_runs():
    document = example()
    assert "script" not in Outline(document).seen
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', document)[1]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "base-uri 'none'" in policy
    assert not re.search(r"@import|url\(|@font-face|</style.*</style", document, re.DOTALL)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', document)
    assert all(address.startswith(("#", "data:")) for address in addresses)


def test_a_page_is_the_same_each_time_and_utf_8():
    assert example() == example()
    page("\ud800", "\udfff {title}").encode("utf-8")


def test_plain_text_as_a_body_is_escaped():
    assert "&lt;script&gt;" in page("t", "<script>")
    assert "<b>" in page("t", Markup("<b>x</b>"))


def test_languages():
    assert '<html lang="ar-EG" dir="rtl">' in page("t", "x", language="ar-EG")
    assert '<html lang="id" dir="ltr">' in page("t", "x", language="id")
    for wrong in ("", 'en" onload="x', "e", "en_US"):
        with pytest.raises(ValueError, match="language"):
            page("t", "x", language=wrong)


@pytest.mark.parametrize("mode", MODES)
def test_contrast_of_text_and_marks(mode):
    named = colours(mode)
    for name in ("ink", "muted", "link", "good", "bad"):
        for ground in ("paper", "tint"):
            assert contrast(named[name], named[ground]) >= 4.5, (name, ground)
    for number in range(1, 9):
        assert contrast(named[f"c{number}"], named["paper"]) >= 3, number
    assert contrast(named["focus"], named["paper"]) >= 3
    for number in range(6):
        assert contrast(named["ink"], named[f"heat-{number}"]) >= 4.5, number


def test_both_modes_define_the_same_colours():
    assert colours("light").keys() == colours("dark").keys()


def test_the_style_knows_print_phones_dark_and_focus():
    style = _style()
    for part in (
        "@media print",
        "@page",
        "max-width: 40rem",
        "prefers-color-scheme: dark",
        "prefers-reduced-motion",
        ":focus-visible",
        "position: sticky",
    ):
        assert part in style
    assert style.count("{") == style.count("}")
