import asyncio
import functools
import sys
import threading

import pytest

from selaras.core.errors import InputError
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.application import (
    LARGEST_RESPONSE,
    HttpApplication,
    PythonApplication,
    open_http,
    open_python,
)
from selaras.models.names import Place, open_model
from selaras.models.protocol import Generation, Model

APP = """
import asyncio

class Bot:
    async def __call__(self, messages):
        return "bot"

bot = Bot()
number = 7

def respond(messages):
    return f"{len(messages)}: {messages[-1]['content']}"

async def slowly(messages):
    await asyncio.sleep(0.01)
    return messages[-1]["content"].upper()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "selaras_test_app.py").write_text(APP)
    (tmp_path / "selaras_test_broken.py").write_text("raise OSError('at import')\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "selaras_test_app", raising=False)
    return Place(tmp_path, tmp_path / "runs", tmp_path / "cache")


def answers(model, conversations):
    found = list(model.generate(conversations, Sampling()))
    return [(one.text, one.error) for one in sorted(found, key=lambda one: one.index)]


def test_a_function_answers_with_the_whole_conversation(place):
    model = open_model("python:selaras_test_app:respond", place)
    assert isinstance(model, Model)
    asked = (Message(role="system", content="s"), Message(role="user", content="hi \ud800"))
    assert answers(model, [asked, asked]) == [("2: hi \N{REPLACEMENT CHARACTER}", None)] * 2


def test_a_coroutine_function_answers_several_rows_at_once(place, ask):
    model = open_python("selaras_test_app:slowly", place)
    texts = [f"row {n}" for n in range(9)]
    assert answers(model, ask(*texts)) == [(text.upper(), None) for text in texts]
    assert answers(open_python("selaras_test_app:bot", place), ask("a")) == [("bot", None)]


def test_a_plain_function_runs_in_the_callers_thread_and_may_return_an_awaitable(ask):
    threads = set()

    async def later():
        return "later"

    def respond(messages):
        threads.add(threading.current_thread())
        return later()

    assert answers(PythonApplication("m:f", respond), ask("a", "b")) == [("later", None)] * 2
    assert threads == {threading.current_thread()}


def test_an_async_application_keeps_its_loop_from_batch_to_batch(ask):
    loops = []

    async def respond(messages):
        loops.append(asyncio.get_running_loop())
        return "a"

    model = PythonApplication("m:f", respond)
    answers(model, ask("a"))
    answers(model, ask("a"))
    assert loops[0] is loops[1]


@pytest.mark.parametrize("in_loop", [False, True])
def test_what_goes_wrong_in_the_function_is_that_rows_error(in_loop, ask):
    def plain(messages):
        text = messages[-1]["content"]
        messages.clear()
        if text == "exit":
            raise SystemExit(3)
        if text == "stop":
            raise StopIteration
        if text == "bad":
            raise ValueError("first line\nsecond line")
        return {"none": None, "empty": " \n"}.get(text, text)

    async def waiting(messages):
        return plain(messages)

    model = PythonApplication("m:f", waiting if in_loop else plain)
    stopped = "RuntimeError: coroutine raised StopIteration" if in_loop else "StopIteration"
    assert answers(model, ask("a", "exit", "stop", "bad", "none", "empty", "b")) == [
        ("a", None),
        ("", "SystemExit: 3"),
        ("", stopped),
        ("", "ValueError: first line second line"),
        ("", "the function returned NoneType, not str"),
        ("", "the answer is empty"),
        ("b", None),
    ]


def test_ctrl_c_in_the_function_is_not_swallowed(ask):
    def respond(messages):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answers(PythonApplication("m:f", respond), ask("a"))


def test_the_identity_changes_with_the_source(place):
    model = open_python("selaras_test_app:respond", place)
    assert model.identity["name"] == "python:selaras_test_app:respond"
    (place.root / "selaras_test_app.py").write_text(APP + "# changed\n")
    again = open_python("selaras_test_app:respond", place)
    assert model.identity["sha256"] != again.identity["sha256"]
    partial = PythonApplication("m:f", functools.partial(str, "x"))
    assert partial.identity["name"] == "python:m:f"
    assert PythonApplication("m:f", len).identity == {"name": "python:m:f"}


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("selaras_test_app", "not of the form MODULE:FUNCTION"),
        ("selaras_test_app:a.b", "not of the form MODULE:FUNCTION"),
        ("../x:f", "not of the form MODULE:FUNCTION"),
        ("selaras_test_app:missing", "has no 'missing'"),
        ("selaras_test_app:number", "is a int, not a function"),
        ("selaras_test_nowhere:f", "cannot import"),
        ("selaras_test_broken:f", "importing 'selaras_test_broken' failed: OSError: at import"),
    ],
)
def test_a_function_that_is_not_there_is_an_input_error(place, argument, said):
    with pytest.raises(InputError, match=said):
        open_python(argument, place)


def test_http_posts_the_messages_and_takes_the_response(endpoint, place, reply, ask):
    endpoint.script(reply(body={"response": "hello \ud800", "more": 1}))
    model = open_model(f"http:{endpoint.root}/chat?key=secret", place)
    assert isinstance(model, Model)
    assert answers(model, ask("hi")) == [("hello \N{REPLACEMENT CHARACTER}", None)]
    path, _, sent = endpoint.requests[0]
    assert path == "/chat?key=secret"
    assert sent == {"messages": [{"role": "user", "content": "hi"}]}
    assert model.identity == {"name": f"http:{endpoint.root}/chat"}


def test_http_calls_are_bounded(endpoint, reply, ask):
    endpoint.script(reply(body={"response": "a"}, delay=0.02))
    model = HttpApplication(endpoint.root, concurrency=3)
    assert answers(model, ask(*map(str, range(12)))) == [("a", None)] * 12
    assert (endpoint.calls, endpoint.peak) == (12, 3)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, {"detail": "it broke"}, 'HTTP 500: {"detail": "it broke"}'),
        (404, b"", "HTTP 404"),
        (302, b"", "HTTP 302"),
        (200, b"<html>", "the body is not JSON: '<html>'"),
        (200, b"\xff", "the body is not JSON"),
        (200, {"response": 3}, 'the body is not {"response": "..."}'),
        (200, ["x"], 'the body is not {"response": "..."}'),
        (200, {"response": ""}, "the answer is empty"),
        (200, b" " * (LARGEST_RESPONSE + 1), "the answer is larger than 1 MB"),
    ],
)
def test_what_goes_wrong_over_http_is_that_rows_error(endpoint, reply, ask, status, body, said):
    endpoint.answer = lambda number, sent: (
        reply(status, body, {"Location": "/"}) if number == 0 else reply(body={"response": "a"})
    )
    model = HttpApplication(endpoint.root, concurrency=1)
    first, second = answers(model, ask("a", "b"))
    assert first[0] == ""
    assert first[1].startswith(said)
    assert second == ("a", None)


def test_http_time_outs_and_dead_hosts_are_row_errors(endpoint, reply, ask):
    endpoint.script(reply(hang=True))
    model = HttpApplication(endpoint.root, timeout=0.2)
    assert answers(model, ask("a")) == [("", "no answer within 0.2 s")]
    assert list(
        HttpApplication("http://me:secret@127.0.0.1:9/x").generate(ask("a"), Sampling())
    ) == [Generation(0, "", status="error", error="the connection failed (ConnectError)")]


def test_http_names_in_every_form(place):
    for name in ("http:https://me:pw@[::1]:8/a?b#c", "http:https://[::1]:8/a"):
        assert open_http(name).identity == {"name": "http:https://[::1]:8/a"}
    assert open_model("http://x.org/a", place).identity == {"name": "http:http://x.org/a"}
    assert open_model("https://x.org/a", place).identity == {"name": "http:https://x.org/a"}


@pytest.mark.parametrize(
    "url", ["", "x.org", "ftp://x.org", "http://", "http://x:99999/", "http://x\n.org"]
)
def test_other_urls_are_input_errors(url):
    with pytest.raises(InputError, match="http:// or https://"):
        HttpApplication(url)
