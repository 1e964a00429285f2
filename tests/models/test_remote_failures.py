"""What goes wrong at an endpoint: the row's error, another try, or the end of the run."""

import datetime
import email.utils

import pytest

from selaras.core.endpoint import Endpoint
from selaras.core.errors import InputError, ModelError
from selaras.core.system import Sampling
from selaras.models.remote import RemoteModel
from selaras.models.remote_backoff import LONGEST

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def slept():
    return []


@pytest.fixture
def make(endpoint, slept, monkeypatch):
    """Return a maker of models whose waits are recorded instead of waited."""
    monkeypatch.setenv("MY_KEY", KEY)

    async def sleep(seconds):
        slept.append(seconds)

    def made(url=None, **options):
        limits = Endpoint(**{"concurrency": 1, "timeout": 5.0, "retries": 2, **options})
        return RemoteModel("tiny", url or endpoint.url, "MY_KEY", limits, sleep=sleep)

    return made


@pytest.fixture
def asked(make, ask):
    """Return the answer to one question."""
    return lambda **options: next(make(**options).generate(ask("a"), Sampling()))


def test_429_is_tried_again_after_the_seconds_that_the_endpoint_asks_for(
    endpoint, asked, slept, reply, body
):
    endpoint.script(reply(429, {}, {"Retry-After": "7"}), reply(body=body("at last")))
    assert asked().text == "at last"
    assert endpoint.calls == 2
    assert len(slept) == 1
    assert 7 <= slept[0] <= 8


def test_retry_after_may_be_a_date_and_is_capped(endpoint, asked, slept, reply, body):
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=30)
    endpoint.script(
        reply(503, {}, {"Retry-After": email.utils.format_datetime(soon, usegmt=True)}),
        reply(429, {}, {"Retry-After": "86400"}),
        reply(body=body()),
    )
    assert asked().status == "ok"
    assert 28 <= slept[0] <= 31
    assert LONGEST <= slept[1] <= LONGEST + 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_after_the_last_retry_the_row_is_an_error(endpoint, asked, slept, reply, status):
    endpoint.script(reply(status, {"error": {"message": "busy\nnow"}}))
    answer = asked()
    assert (answer.status, answer.text) == ("error", "")
    assert answer.error == f"HTTP {status}: busy now (tried 3 times)"
    assert endpoint.calls == 3
    assert 0.25 <= slept[0] <= 0.5 <= slept[1] <= 1.0


def test_a_hanging_endpoint_is_a_time_out(endpoint, asked, reply):
    endpoint.script(reply(hang=True))
    assert asked(timeout=0.2, retries=1).error == "no answer in time (tried 2 times)"
    assert endpoint.calls == 2


def test_an_endpoint_that_was_slow_once_is_asked_again(endpoint, asked, reply, body):
    endpoint.script(reply(hang=True), reply(body=body()))
    assert asked(timeout=0.3).text == "Yes."


def test_a_body_cut_short_is_tried_again(endpoint, asked, reply, body):
    endpoint.script(reply(body=body(), cut=True), reply(body=body("whole")))
    assert asked().text == "whole"
    endpoint.script(reply(body=body(), cut=True))
    assert asked().error == "the connection failed (RemoteProtocolError) (tried 3 times)"


def test_where_nothing_ever_answered_only_the_first_row_is_patient(make, ask, slept):
    model = make("http://127.0.0.1:9/v1", retries=4)
    answers = list(model.generate(ask("a", "b", "c"), Sampling()))
    assert [answer.error for answer in answers] == [
        "the connection failed (ConnectError) (tried 5 times)",
        "the connection failed (ConnectError) (tried once)",
        "the connection failed (ConnectError) (tried once)",
    ]
    assert len(slept) == 4


@pytest.mark.parametrize("answers_first", [0, 1])
def test_401_ends_the_run_and_names_variable_and_host_but_not_the_key(
    endpoint, make, ask, reply, body, answers_first
):
    refusal = reply(401, {"error": {"message": f"Incorrect API key: {KEY}", "code": KEY}})
    endpoint.script(*[reply(body=body())] * answers_first, refusal)
    answers = make().generate(ask("a", "b", "c"), Sampling())
    for _ in range(answers_first):
        assert next(answers).status == "ok"
    with pytest.raises(InputError) as caught:
        next(answers)
    assert "127.0.0.1 does not accept the environment variable MY_KEY" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert endpoint.calls == answers_first + 1


def test_a_fatal_answer_stops_the_calls_that_wait(endpoint, make, ask, reply):
    endpoint.script(reply(401, {}))
    with pytest.raises(InputError):
        list(make(concurrency=4).generate(ask(*map(str, range(100))), Sampling()))
    assert endpoint.calls <= 8


def test_403_ends_the_run_unless_it_is_about_one_prompt(endpoint, make, ask, reply, body):
    endpoint.script(reply(403, {"error": "no"}))
    with pytest.raises(InputError, match=r"environment variable MY_KEY .*HTTP 403"):
        list(make().generate(ask("a"), Sampling()))
    endpoint.script(reply(403, {"error": {"message": "Your input was flagged"}}))
    assert next(make().generate(ask("a"), Sampling())).error == "HTTP 403: Your input was flagged"
    endpoint.answer = lambda number, sent: reply(
        *([403, b"<html>blocked"] if sent["messages"][0]["content"] == "b" else [200, body()])
    )
    answers = list(make().generate(ask("a", "b", "c"), Sampling()))
    assert [answer.error for answer in answers] == [None, "HTTP 403: <html>blocked", None]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, {"message": "no such route"}),
        (404, {"message": "unknown", "code": "model_not_found"}),
        (400, {"message": "unknown", "code": "model_not_found"}),
        (400, {"message": "unknown", "param": "model"}),
        (405, None),
    ],
)
def test_an_unknown_model_or_url_ends_the_run(endpoint, make, ask, reply, status, error):
    endpoint.script(reply(status, {"error": error}))
    with pytest.raises(InputError) as caught:
        list(make().generate(ask("a"), Sampling()))
    assert "'tiny'" in str(caught.value)
    assert endpoint.url in str(caught.value)
    assert endpoint.calls == 1


@pytest.mark.parametrize(
    ("status", "error"), [(402, {}), (429, {"code": "insufficient_quota", "message": f"{KEY}!"})]
)
def test_no_credit_ends_the_run_without_retries(endpoint, make, ask, reply, status, error):
    endpoint.script(reply(status, {"error": error}))
    with pytest.raises(ModelError, match="no credit left") as caught:
        list(make().generate(ask("a"), Sampling()))
    assert KEY not in str(caught.value)
    assert endpoint.calls == 1


def test_a_redirect_is_not_followed(endpoint, make, ask, reply):
    endpoint.script(reply(307, {}, {"Location": f"{endpoint.root}/other?k={KEY}"}))
    with pytest.raises(InputError, match=r"redirects to http://127.*\[key\]"):
        list(make().generate(ask("a"), Sampling()))
    assert endpoint.calls == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"error": {"message": "context\ntoo long"}}, "HTTP 400: context too long"),
        ([{"error": {"message": "as Gemini says it"}}], "HTTP 400: as Gemini says it"),
        ({"detail": "as FastAPI says it"}, "HTTP 400: as FastAPI says it"),
        ({"error": "plain"}, "HTTP 400: plain"),
        (b"x" * 5000, "HTTP 400: " + "x" * 199 + "…"),
        (b"", "HTTP 400"),
        ({"error": {"message": f"for {KEY} or sk-1***89."}}, "HTTP 400: for [key] or [key]"),
    ],
)
def test_a_400_is_that_rows_error_in_the_endpoints_words(endpoint, asked, reply, said, reason):
    endpoint.script(reply(400, said))
    assert asked().error == reason
    assert endpoint.calls == 1


def test_an_error_body_that_holds_anything_at_all_is_survived(endpoint, asked, reply):
    for said in ([], [1], {"error": [1]}, {"error": {"message": {"a": 1}}}, 3, "x", None, b"\xff"):
        endpoint.script(reply(422, said))
        assert asked().error.startswith("HTTP 422")


def test_garbage_is_the_rows_error_and_is_not_tried_again(endpoint, asked, reply):
    endpoint.script(reply(body=f"<html>\n{KEY}</html>".encode()))
    assert asked().error == "the body is not JSON: '<html> [key]</html>'"
    assert endpoint.calls == 1


def test_a_body_without_end_is_cut_off(endpoint, asked, reply, monkeypatch):
    monkeypatch.setattr("selaras.models.remote.LARGEST_BODY", 1 << 20)
    endpoint.script(reply(body=b" " * (1 << 21)))
    assert asked().error == "the answer is larger than 1 MB"
