"""Whatever the pieces: what is released holds no planted match, and nothing allowed is lost."""

import base64
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from selaras.safeguard import Guard
from selaras.safeguard.rules import PersonalRule, Rules, rule
from selaras.safeguard.stream import HeldText

GUARD = Guard(
    "test",
    (Rules((rule("spoilers", r"\bthe butler did it\b"), rule("code", r"xyzzy")),
           (PersonalRule("private", ("email", "card")),)),),
)  # fmt: skip
# What disguises the plant, or stands around it and touches it.
SPREAD = (str, str.upper, "\u200b".join, " ".join, lambda text: text.replace("u", "\u0443"),
          lambda text: base64.b64encode(f"now {text} all right then".encode()).decode(),
          lambda text: base64.b64encode(f"I say that {text}".encode()).decode(),
          lambda text: ".".join(text.replace(" ", "")))  # fmt: skip
PLANTS = ("the butler did it", "xyzzy", "ann@example.org", "4111 1111 1111 1111")
SAFE = st.text("abc .,\n\u200b!-é字👍", max_size=400)


def relay(guard: Guard, pieces: list[str], stride: int, context: int) -> tuple[str, bool]:
    """Return what leaves of a response that comes in these pieces, and whether all of it did."""
    held, released = HeldText(guard.releasable, guard.hold, stride, context), ""
    for piece in pieces:
        held.feed(piece)
        if held.due:
            if not guard.check_response("?", held.window(), final=False).allowed:
                return released, False
            released += held.release()
    if not guard.check_response("?", held.whole()).allowed:
        return released, False
    return released + held.rest(), True


@st.composite
def cut(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> list[str]:
    """Draw a text in pieces."""
    text = draw(texts)
    places = draw(st.lists(st.integers(0, len(text)), max_size=60))
    return [text[a:b] for a, b in pairwise(sorted({0, len(text), *places}))]


strides = st.integers(1, 64)


@given(cut(st.text(max_size=300)), strides, st.integers(0, 50))
def test_what_is_allowed_leaves_whole_and_in_order(
    pieces: list[str], stride: int, context: int
) -> None:
    nothing = Guard("none", (Rules((rule("code", "xyzzy"),)),))
    released, whole = relay(nothing, pieces, stride, context)
    assert (released == "".join(pieces)) == whole
    assert "".join(pieces).startswith(released)


@given(
    cut(
        st.tuples(SAFE, st.sampled_from(PLANTS), st.sampled_from(SPREAD), SAFE).map(
            lambda parts: f"{parts[0]} {parts[2](parts[1])} {parts[3] * 4}"  # type: ignore[operator]
        )
    ),
    strides,
)
@example(["so ", base64.b64encode(b"I say the butler did it").decode(), " and on" * 200], 8)
def test_no_planted_match_is_released(pieces: list[str], stride: int) -> None:
    text = "".join(pieces)
    if GUARD.check_response("?", text).allowed:  # not every plant survives every disguise
        return
    released, whole = relay(GUARD, pieces, stride, 4_000)
    assert not whole
    assert text.startswith(released)
    outcome = GUARD.check_response("?", released)
    assert outcome.allowed, (released, outcome)
