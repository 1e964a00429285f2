"""The pieces of a remote call by themselves: reading a body, waiting, addresses and keys."""

import json

import pytest

from selaras.core.errors import InputError
from selaras.models.remote import RemoteModel
from selaras.models.remote_address import Address
from selaras.models.remote_answer import read_answer
from selaras.models.remote_backoff import LONGEST, asked_wait, wait_before

KEY = "sk-very-secret-0123456789"


def choice(message, finish="stop"):
    return {"choices": [{"message": message, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("[]", "the body is a JSON list, not an object"),
        ('{"choices": NaN}', "the body is not JSON: '{\"choices\": NaN}'"),
        ("[" * 100_000, "the body is not JSON"),
        ("{}", "the body has no choices"),
        ('{"choices": []}', "the body has no choices"),
        ('{"choices": [null]}', "the body has no choices"),
        ('{"choices": null, "error": {"message": "over\\nload"}}', "no choices: over load"),
        ('{"choices": [{"message": "hi"}]}', "the body has no choices"),
        ('{"choices": [{"message": {}}]}', "the answer is empty"),
        ('{"choices": [{"message": {"content": 7}}]}', "the content is a JSON int"),
        (
            '{"choices": [{"message": {"content": ""}, "finish_reason": "length"}]}',
            "the answer is empty (cut at max_tokens)",
        ),
        (
            '{"choices": [{"message": {"content": "so"}, "finish_reason": "content_filter"}]}',
            "the endpoint's content filter withheld the answer",
        ),
    ],
)
def test_bodies_that_hold_no_answer(value, reason):
    answer, _ = read_answer(4, value.encode())
    assert (answer.index, answer.status, answer.text) == (4, "error", "")
    assert reason in answer.error


def test_bodies_that_hold_one(body):
    def read(value):
        return read_answer(0, json.dumps(value).encode())

    assert read(choice({"content": "a"}, "max_tokens"))[0].finish == "length"
    assert read(choice({"content": "a"}, "tool_calls"))[0].finish == "unknown"
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, 3, {"type": "text", "text": "b"}]
    assert read(choice({"content": parts}))[0].text == "ab"
    assert read(choice({"content": None, "refusal": "I can't."}))[0].text == "I can't."
    assert read(choice({"content": "\ud800!"}))[0].text == "\N{REPLACEMENT CHARACTER}!"
    odd = {"prompt_tokens": -1, "completion_tokens": True}
    answer, served = read(body(usage=odd, model=["x"]))
    assert (answer.prompt_tokens, answer.tokens, served) == (0, 0, None)


def test_waits_grow_to_a_limit_and_unreadable_headers_are_ignored():
    assert 0.25 <= wait_before(1) <= 0.5
    assert 30 <= wait_before(99) <= LONGEST
    assert 0.25 <= wait_before(1, "soon") <= 0.5
    assert wait_before(1, "Thu, 01 Jan 1970 00:00:00 GMT") <= 1
    for text in ("", "-1", "nan", "inf", "1e9", "٣", "Thu, 99 Foo 2020 00:00:00 GMT"):
        assert asked_wait(text) is None
    assert asked_wait("Wed, 21 Oct 2099 07:28:00 -0000") > 1e9


def test_the_public_key_goes_to_the_public_host_over_tls_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert Address("https://API.openai.com/v1").key() == KEY
    for url in ("http://api.openai.com/v1", "https://api.openai.com.evil.org/v1", "https://x.org"):
        with pytest.raises(InputError, match="no environment variable is bound"):
            Address(url).key()
    for url in ("http://localhost:1/v1", "http://127.8.0.1/v1", "http://[::1]:80/v1"):
        assert Address(url).key() == "none"
    assert Address("https://x.org/v1", key_env="OPENAI_API_KEY").key() == KEY


def test_a_key_that_is_missing_or_mangled_is_named_by_its_variable(monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(InputError, match=r"MY_KEY is not set.*key of x\.org"):
        RemoteModel("tiny", "https://x.org/v1", key_env="MY_KEY")
    assert Address("http://localhost/v1", key_env="MY_KEY").key() == "none"
    monkeypatch.setenv("MY_KEY", "two words")
    with pytest.raises(InputError, match="MY_KEY holds characters") as caught:
        Address("https://x.org/v1", key_env="MY_KEY").key()
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:secret@x.org/v1",
        "https://x.org/v1?key=secret",
        "https://x.org/v1#secret",
        "https://secret.org\\@api.openai.com/v1",
        "https://x.org/v1/chat/completions",
        "ftp://secret.org",
        "https://x.org/se cret",
        "https://",
    ],
)
def test_urls_that_could_hide_a_host_or_a_key_are_refused(url):
    with pytest.raises(InputError) as caught:
        Address(url)
    assert "secret" not in str(caught.value)
