"""Escaping: no text can become markup, run, load or hide."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selaras.page import Markup, element, escape, join, untrusted, visible

ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates and controls included
NASTY = st.lists(
    st.sampled_from(
        ["<script>", "</bdi>", "<!--", "-->", "]]>", '"', "'", "&amp", "&lt;", "<svg onload=x>",
         "\x00", "\r\n", "\r", "\ud800", "\u202e", "</title>", "</style>", "{", "}",
         "\U000e0041", "\ufe0f\ufe0f"]
    )
    | ANY_TEXT
).map("".join)  # fmt: skip


class Reader(HTMLParser):
    def __init__(self, markup):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.others = [], [], [], []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.others.append(data)

    def handle_decl(self, decl):
        self.others.append(decl)

    def handle_pi(self, data):
        self.others.append(data)

    @property
    def text(self):
        return "".join(self.texts)


@given(NASTY)
def test_text_round_trips_and_makes_no_tags(text):
    read = Reader(element("p", text, "|", element("b", text)))
    assert read.tags == ["p", "b"]
    assert read.text == f"{visible(text)}|{visible(text)}"
    assert not read.others


@given(NASTY)
def test_attribute_values_round_trip(text):
    read = Reader(element("p", title=text, data_row=text))
    assert read.attributes == [{"title": visible(text), "data-row": visible(text)}]


@given(NASTY, st.integers(1, 80))
def test_untrusted_text_stays_in_its_element(text, limit):
    read = Reader(untrusted(text, limit=limit))
    assert set(read.tags) <= {"bdi", "span"}
    assert read.tags.count("bdi") == 1
    assert not read.others


@given(ANY_TEXT)
def test_visible_text_is_legal_and_stable(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert visible(shown) == shown
    if text.isascii() and text.isprintable():
        assert shown == text


def test_markup_is_kept_and_none_dropped():
    assert join([Markup("<br>"), None, "<br>", 7], ", ") == "<br>, &lt;br&gt;, 7"
    assert isinstance(element("p"), Markup)
    assert not isinstance(Markup("<b>") + "<i>", Markup)
    assert element("p", Markup("<b>") + "<i>") == "<p>&lt;b&gt;&lt;i&gt;</p>"


def test_markup_in_an_attribute_is_text():
    assert element("p", title=Markup('"><b>')) == '<p title="&quot;&gt;&lt;b&gt;"></p>'


@pytest.mark.parametrize("child", [1.5, True, b"x", ["x"], object()])
def test_what_is_not_text_is_refused(child):
    with pytest.raises(TypeError, match="a page holds text"):
        element("p", child)


def test_attribute_names():
    made = element("label", class_="a", for_="b", data_row_id=3, aria_hidden=True, hidden=True)
    assert made == (
        '<label class="a" for="b" data-row-id="3" aria-hidden="true" hidden=""></label>'
    )
    assert element("p", id=None, hidden=False) == "<p></p>"


@pytest.mark.parametrize(
    "name", ["onclick", "ONLOAD", "on_click", "srcdoc", "srcset", "ping", "a b", "a>", "", "x=y"]
)
def test_attributes_that_run_or_load_are_refused(name):
    with pytest.raises(ValueError, match="attribute"):
        element("p", **{name: "x"})


@pytest.mark.parametrize(
    "tag", ["script", "SCRIPT", "style", "iframe", "object", "meta", "b><i", "", "set", "1a", "b i"]
)
def test_elements_that_run_or_load_are_refused(tag):
    with pytest.raises(ValueError, match="element"):
        element(tag)


def test_void_elements_have_no_content():
    assert element("br") == "<br>"
    with pytest.raises(ValueError, match="no content"):
        element("br", "x")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "JaVaScRiPt:x", " javascript:x", "java\nscript:x", "java\tscript:x",
        "\x01javascript:x", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "mailto:a@b.c",
        "//example.org/x", "\\\\example.org", "/\\example.org", "http:/\\x", "http:x", "https://",
        "blob:x", "\ud800",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["href", "src", "action", "formaction", "xlink:href"])
def test_addresses_that_run_or_leave_are_refused(name, url):
    with pytest.raises(ValueError, match="address"):
        element("a", **{name: url})


@pytest.mark.parametrize(
    "url",
    ["https://example.org/a?b=c:d#e", "HTTP://example.org", "#rows", "runs/a/report.html", "",
     "../x", "/a:b", "?q=a:b", "./a:b"],
)  # fmt: skip
def test_plain_addresses_are_kept(url):
    assert Reader(element("a", href=url)).attributes == [{"href": url}]


def test_images_may_be_in_the_page():
    assert "base64" in element("img", src="data:image/png;base64,iVBORw0KGgo=", alt="x")
    for url in ("data:image/svg+xml;base64,AAAA", "data:image/png;base64,A A"):
        with pytest.raises(ValueError, match="address"):
            element("img", src=url)


@pytest.mark.parametrize("style", ["background:url(x)", "a:b;}{", "a:\\75rl(x)", "a:'x'", "x:<"])
def test_styles_that_load_or_break_out_are_refused(style):
    with pytest.raises(ValueError, match="style"):
        element("p", style=style)
    assert element("p", style="width: 4.2em") == '<p style="width: 4.2em"></p>'


def test_reordering_characters_are_shown_and_isolated():
    assert escape("a\u202eb\u2066c") == "a[U+202E]b[U+2066]c"
    shown = untrusted("a\u202eb")
    assert shown.startswith('<bdi class="untrusted">a<span class="hidden-character"')
    assert "\u202e" not in shown
    assert 'title="right-to-left override">U+202E</span>b</bdi>' in shown


def test_text_hidden_in_tag_characters_is_spelled_out():
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey <me>")
    assert visible("hi" + hidden) == "hi[hidden text: obey <me>]"
    assert "obey &lt;me&gt;" in untrusted("hi" + hidden)
    assert visible("a" + "\U000e0101" * 9) == "a[9 variation selectors]"


@pytest.mark.parametrize(
    "text",
    ["👩‍👩‍👧 ❤️ 🏽", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
     "می‌خواهم", "tab\tline\n"],
)  # fmt: skip
def test_honest_text_is_left_alone(text):
    assert visible(text) == text


def test_flags_cannot_carry_a_message():
    message = "\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "ignoreallrules\x7f")
    assert "hidden text: ignoreallrules" in visible(message)


def test_control_characters_and_surrogates():
    assert escape("\x00\x1b\x7f\x85\ud83d\ufffe") == (
        "[U+0000][U+001B][U+007F][U+0085][U+D83D][U+FFFE]"
    )
    assert escape("a\r\nb\rc") == "a\nb[U+000D]c"


def test_long_text_is_cut_and_says_so():
    assert untrusted("x" * 4000).endswith("… 2,000 characters cut</span>")
    assert untrusted("ab", limit=1).endswith("… 1 character cut</span>")
    assert untrusted("x" * 4000, limit=None).count("x") == 4000
    assert "cut" not in untrusted("x" * 2000)
    with pytest.raises(ValueError, match="limit"):
        untrusted("x", limit=0)


@pytest.mark.parametrize("whole", ["e\u0301", "👩\u200d👧", "👍🏽", "\r\n"])
def test_no_character_is_cut_in_two(whole):
    text = "ab" + whole + "cd"
    for limit in range(2, len(text)):
        left = Reader(untrusted(text, limit=limit)).texts[0]
        assert left == "ab" or left.startswith(("ab" + whole).replace("\r\n", "\n"))
