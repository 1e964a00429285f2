"""Requests as they come: what is read, and what is refused in the API's own form."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import PLANT, Server, ask, asking

from selaras.safeguard.api import RefusedError, argument_texts, read_request
from selaras.safeguard.completion import read_chunk, read_completion
from selaras.safeguard.sse import EventReader, MalformedError, event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["model", "messages", "n", "stream", "tools", "stop", "logprobs", "role", "content", "type",
     "text", "tool_calls", "function", "name", "arguments", "choices", "delta", "index", "usage"]
)  # fmt: skip
SHAPED = st.recursive(
    JSON | st.sampled_from(["user", "tool", "text", "function", 1 << 80]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=20,
)


def refusal(body: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        read_request(body)
    return caught.value


@given(st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        request = read_request(body)
    except RefusedError as error:
        status = error.status
        json.dumps(error.to_dict())
    else:
        status = 200 if request.messages else 0
    assert status in (200, 400)


@settings(max_examples=40)
@given(st.dictionaries(FIELDS, SHAPED, max_size=8))
def test_any_request_ends_as_an_answer_or_an_error(value: dict[str, Any]) -> None:
    server = Server()
    got = ask(server, json.dumps({"model": "m", **value}).encode())
    assert got.status in (200, 400)
    assert ("error" in got.value) == (got.status == 400)
    for sent in server.asked:
        again = read_request(json.dumps(sent).encode())
        assert again.upstream("m") == {**sent, "model": "m"}


@given(SHAPED)
def test_any_answer_is_read_or_malformed(value: Any) -> None:
    text = json.dumps(value)
    with suppress(MalformedError):
        read_completion(text.encode())
    with suppress(MalformedError):
        read_chunk(text)


@pytest.mark.parametrize(
    ("change", "param", "words"),
    [
        ({"n": 2}, "n", "one answer"),
        ({"n": 5000}, "n", "one answer"),
        ({"logprobs": True}, "logprobs", "before it is checked"),
        ({"top_logprobs": 3}, "top_logprobs", "before it is checked"),
        ({"echo": True}, "echo", "unknown field"),
        ({"prediction": {"content": "x"}}, "prediction", "unknown field"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role", "'system'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
         "messages.0.content", "image_url parts cannot"),
        ({"messages": [{"role": "user", "content": [{"type": "mystery"}]}]},
         "messages.0.content", "only text"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "string"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "x"}}]},
         "messages.0.function_call", "unknown field"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools.0.custom", "unknown field"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"model": ""}, "model", "at least 1"),
        ({"stream": "perhaps"}, "stream", "boolean"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused_with_its_field(
    change: dict[str, Any], param: str, words: str
) -> None:
    server = Server()
    got = ask(server, asking() | change)
    assert got.status == 400
    assert got.error["type"] == "invalid_request_error"
    assert got.error["param"] == param
    assert words in got.error["message"]
    assert server.asked == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"model": NaN}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "invalid_json"),
        (b'{"model": "\xff"}', "invalid_utf8"),
        (json.dumps(asking("half \ud83d")).encode(), "invalid_unicode"),
        (json.dumps({"model": "m"}).encode(), "invalid_value"),
    ],
)
def test_bodies_that_are_no_request(body: bytes, code: str) -> None:
    assert refusal(body).code == code


def test_a_field_that_stands_twice_is_checked_as_it_is_sent_on() -> None:
    body = (
        json.dumps(asking("hi"))[:-1] + f', "messages": [{{"role":"user","content":"{PLANT}"}}]}}'
    )
    server = Server()
    assert ask(server, body.encode()).finish == "content_filter"
    assert server.asked == []


def test_parts_of_text_are_one_text_and_nulls_are_nothing() -> None:
    server = Server()
    parts = [{"type": "text", "text": "the butler"}, {"type": "text", "text": "did it"}]
    assert ask(server, asking(parts)).finish == "content_filter"
    assert ask(server, asking([parts[0]], temperature=None, n=1, logprobs=False)).status == 200
    assert server.asked == [asking("the butler", stream=False)]


def test_more_than_a_megabyte_of_text_is_too_large_and_never_cut() -> None:
    server = Server()
    half = ["a" * (1 << 19), "b" * (1 << 19)]
    turns = [{"role": role, "content": text}
             for role, text in zip(("user", "assistant"), half, strict=True)]  # fmt: skip
    for body in (asking("a" * (1 << 20 | 1)), {"model": "tiny", "messages": turns}):
        got = ask(server, body)
        assert (got.status, got.error["type"]) == (413, "invalid_request_error")
        assert (got.error["code"], got.error["param"]) == ("too_large", "messages")
    assert server.asked == []
    assert ask(server, asking("a" * (1 << 20))).status == 200


def test_an_empty_text_has_nothing_to_check_and_passes() -> None:
    for content in ("", " \n", []):
        server = Server()
        assert ask(server, asking(content)).status == 200, content
        assert len(server.asked) == 1


@given(st.text())
def test_arguments_say_the_same_however_they_are_escaped(text: str) -> None:
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert whole in argument_texts(json.dumps([whole], ensure_ascii=True))[0]


@given(st.lists(st.text()), st.lists(st.integers(0, 400)), st.sampled_from(["\n", "\r\n", "\r"]))
def test_events_are_the_same_however_the_bytes_are_cut(
    texts: list[str], places: list[int], end: str
) -> None:
    whole = b"".join(b": ping\n" + event(text) for text in texts).replace(b"\n", end.encode())
    reader, found = EventReader(), []
    cuts = sorted({0, len(whole), *(place for place in places if place < len(whole))})
    for begin, stop in pairwise(cuts):
        found += reader.feed(whole[begin:stop])
    found += reader.feed(b"\n" if end == "\r" else b"")
    assert [json.loads(data) for data in found] == texts
    assert reader.empty
