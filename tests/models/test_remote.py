"""A real SDK against a real server: what is asked, how many at once, what is kept."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from selaras.core.endpoint import Endpoint
from selaras.core.errors import InputError
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.names import Place
from selaras.models.protocol import Generation, Model
from selaras.models.remote import RemoteModel, open_remote

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def model(endpoint):
    return RemoteModel("tiny", endpoint.url)


def test_an_answer_carries_text_finish_and_tokens(endpoint, model, ask):
    assert list(model.generate(ask("hello"), Sampling())) == [
        Generation(0, "Yes.", finish="stop", prompt_tokens=5, tokens=2)
    ]
    assert isinstance(model, Model)
    assert model.batch_size == 1
    assert model.identity == {"name": "openai:tiny", "endpoint": endpoint.url}


def test_sampling_and_messages_go_out_as_they_are(endpoint, model):
    conversation = (Message(role="system", content="s"), Message(role="user", content="u \ud83d"))
    sampling = Sampling(max_tokens=7, temperature=0.5, top_p=0.9, seed=3)
    assert next(model.generate([conversation], sampling)).status == "ok"
    path, headers, sent = endpoint.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer none"
    assert sent == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u \N{REPLACEMENT CHARACTER}"},
        ],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
    }


def test_max_completion_tokens_where_the_endpoint_says_so_and_from_then_on(
    endpoint, model, ask, reply, body
):
    said = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."

    def answer(number, sent):
        if "max_tokens" in sent:
            return reply(400, {"error": {"message": said, "param": "max_tokens"}})
        return reply(body=body(str(sent["max_completion_tokens"])))

    endpoint.answer = answer
    for _ in range(2):
        assert next(model.generate(ask("a"), Sampling(max_tokens=9))).text == "9"
    assert endpoint.calls == 3


def test_calls_in_flight_are_bounded_and_every_row_answers_once(endpoint, ask, reply, body):
    endpoint.answer = lambda number, sent: reply(
        body=body(sent["messages"][0]["content"]), delay=0.02
    )
    model = RemoteModel("tiny", endpoint.url, limits=Endpoint(concurrency=3))
    names = [f"row {n}" for n in range(20)]
    answers = list(model.generate(ask(*names), Sampling()))
    assert {answer.index: answer.text for answer in answers} == dict(enumerate(names))
    assert len(answers) == endpoint.calls == 20
    assert endpoint.peak == 3


def test_two_batches_of_one_model_share_the_bound(endpoint, ask, reply, body):
    endpoint.script(reply(body=body(), delay=0.03))
    model = RemoteModel("tiny", endpoint.url, limits=Endpoint(concurrency=2))
    threads = [
        threading.Thread(target=lambda: list(model.generate(ask(*"abcd"), Sampling())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endpoint.calls == 8
    assert endpoint.peak == 2


def test_results_come_as_they_finish(endpoint, ask, reply, body):
    endpoint.answer = lambda number, sent: reply(
        body=body(), hang=sent["messages"][0]["content"] == "slow"
    )
    model = RemoteModel("tiny", endpoint.url, limits=Endpoint(concurrency=2))
    answers = model.generate(ask("slow", "a", "b"), Sampling())
    assert [next(answers).index, next(answers).index] == [1, 2]
    endpoint.ended.set()
    assert next(answers).index == 0


def test_a_slow_reader_holds_the_calls_back(endpoint, model, ask):
    model = RemoteModel("tiny", endpoint.url, limits=Endpoint(concurrency=2))
    answers = model.generate(ask(*map(str, range(50))), Sampling())
    next(answers)
    time.sleep(0.3)
    # 1 taken, 2 waiting to be taken and at most one more finished in each of the 2 workers
    assert endpoint.calls <= 1 + 2 + 2 + 1
    assert len(list(answers)) == 49


def test_closing_early_cancels_the_rest(endpoint, ask, reply, body):
    endpoint.answer = lambda number, sent: reply(body=body(), hang=number > 0)
    model = RemoteModel("tiny", endpoint.url, limits=Endpoint(concurrency=2))
    answers = model.generate(ask(*map(str, range(50))), Sampling())
    next(answers)
    begun = time.monotonic()
    answers.close()
    assert time.monotonic() - begun < 5  # the calls in flight would have hung for 20
    endpoint.ended.set()
    time.sleep(0.2)
    assert endpoint.calls <= 3  # the first answer and the two that it left in flight
    endpoint.script(reply(body=body("again")))
    assert next(model.generate(ask("a"), Sampling())).text == "again"


_PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.remote import RemoteModel
rows = [(Message(role="user", content="x"),)] * 8
answers = RemoteModel("tiny", sys.argv[1]).generate(rows, Sampling())
print(next(answers).text, flush=True)
if len(sys.argv) == 2:
    next(answers)
"""


def _started(endpoint, *more):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _PROGRAM, endpoint.url, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )


def test_ctrl_c_ends_a_program_that_waits_for_an_answer(endpoint, reply, body):
    endpoint.answer = lambda number, sent: reply(body=body(), hang=number > 0)
    program = _started(endpoint)
    assert program.stdout.readline() == "Yes.\n"
    time.sleep(0.2)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=15)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "Task was destroyed" not in said


def test_a_program_may_end_with_calls_in_flight(endpoint, reply, body):
    endpoint.answer = lambda number, sent: reply(body=body(), hang=number > 0)
    program = _started(endpoint, "stop")
    said = program.communicate(timeout=15)
    assert said == ("Yes.\n", "")
    assert program.returncode == 0


def test_an_answered_call_is_never_made_again(endpoint, tmp_path, ask):
    rows = ask("a", "b", "c")
    for again in (False, True):
        model = RemoteModel("tiny", endpoint.url, cache=tmp_path)
        answers = sorted(model.generate(rows, Sampling()), key=lambda answer: answer.index)
        expected = Generation(2, "Yes.", finish="stop", prompt_tokens=5, tokens=2)
        assert replace(answers[2], cached=False) == expected
        assert answers[2].cached is again
    assert endpoint.calls == 3
    files = sorted(tmp_path.rglob("*.json"))
    assert len(files) == 3
    assert all(path.parent.name == path.stem[:2] for path in files)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"temperature": 0.5},
        {"top_p": 0.5},
        {"max_tokens": 8},
        {"name": "other"},
        {"text": "b"},
        {"path": "/v2"},
    ],
)
def test_all_that_decides_an_answer_is_in_the_key(endpoint, tmp_path, ask, changes):
    def once(name="tiny", text="a", path="/v1", **sampling):
        model = RemoteModel(name, endpoint.root + path, cache=tmp_path)
        return list(model.generate(ask(text), Sampling(**sampling)))

    once()
    once()
    assert endpoint.calls == 1
    once(**changes)
    assert endpoint.calls == 2


def test_errors_and_empty_answers_are_never_cached(endpoint, tmp_path, ask, reply, body):
    endpoint.script(reply(400, {}), reply(body=body("  ")), reply(body=b"<html>"), reply(body={}))
    model = RemoteModel("tiny", endpoint.url, cache=tmp_path)
    for calls in (1, 2, 3, 4):
        assert next(model.generate(ask("a"), Sampling())).status == "error"
        assert endpoint.calls == calls
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b'{"key": "x"}', None])
def test_a_damaged_cache_file_is_ignored_and_written_anew(endpoint, tmp_path, ask, damage):
    model = RemoteModel("tiny", endpoint.url, cache=tmp_path)
    list(model.generate(ask("a", "b"), Sampling()))
    first, second = tmp_path.rglob("*.json")
    # An intact file in the wrong place is as wrong as a broken one.
    first.write_bytes(second.read_bytes() if damage is None else damage)
    assert len(list(model.generate(ask("a", "b"), Sampling()))) == 2
    assert endpoint.calls == 3
    assert json.loads(first.read_text())["key"] == first.stem
    list(model.generate(ask("a", "b"), Sampling()))
    assert endpoint.calls == 3


def test_neither_questions_nor_the_key_are_in_the_cache(endpoint, tmp_path, ask, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    model = RemoteModel("tiny", endpoint.url, key_env="MY_KEY", cache=tmp_path)
    list(model.generate(ask("a sealed question"), Sampling()))
    assert endpoint.requests[0][1]["Authorization"] == f"Bearer {KEY}"
    (path,) = tmp_path.rglob("*.json")
    assert "sealed" not in path.read_text()
    assert KEY not in path.read_text()


def test_another_models_name_in_the_answer_is_remembered(endpoint, tmp_path, ask, reply, body):
    endpoint.script(reply(body=body(model="tiny-2024\n01")))
    for _ in range(2):
        model = RemoteModel("tiny", endpoint.url, cache=tmp_path)
        list(model.generate(ask("a"), Sampling()))
        assert model.served_models == {"tiny-2024 01"}
    assert endpoint.calls == 1


def test_nothing_else_of_the_environment_reaches_another_host(endpoint, ask, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Mine: secret\nAuthorization: Bearer {KEY}")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert next(RemoteModel("tiny", endpoint.url).generate(ask("a"), Sampling())).text == "Yes."
    headers = endpoint.requests[0][1]
    assert headers["Authorization"] == "Bearer none"
    for word in ("org-mine", "proj-mine", "secret", KEY):
        assert word not in str(headers)


def test_opening_by_name(tmp_path, monkeypatch):
    place = Place(tmp_path, tmp_path / "runs", tmp_path / "cache")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert open_remote("gpt@x", place).identity["endpoint"] == "https://api.openai.com/v1"
    model = open_remote("@cf/meta/llama@http://localhost:1/v1/", place)
    assert model.identity == {
        "name": "openai:@cf/meta/llama",
        "endpoint": "http://localhost:1/v1",
    }
    assert KEY not in str(vars(model))


@pytest.mark.parametrize(
    "argument", ["", "@https://x.org/v1", "a b", "m@localhost:80", "m@ftp://x"]
)
def test_a_name_that_cannot_be_read_is_an_input_error(argument):
    with pytest.raises(InputError, match="To mend it: write openai:NAME@https"):
        open_remote(argument)


def test_a_model_without_a_name_is_an_input_error():
    with pytest.raises(InputError, match="needs a name"):
        RemoteModel("", "http://localhost:1/v1")


def test_an_endpoints_limits_and_prices_come_from_the_place(tmp_path):
    limits = Endpoint(concurrency=2, prices={"tiny": {"input": 1, "output": 3}})
    place = Place(tmp_path, tmp_path, tmp_path, endpoints={"http://localhost:1/v1/": limits})
    model = open_remote("tiny@http://localhost:1/v1", place)
    assert model.limits is limits
    assert model.prices.cost(500_000, 500_000) == 2.0
    assert open_remote("other@http://localhost:1/v1", place).prices is None
    assert open_remote("tiny@http://localhost:2/v1", place).limits == Endpoint()


def test_requests_a_minute_space_the_calls_retries_included(endpoint, ask, reply, body):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    endpoint.script(reply(500, {}), reply(body=body()))
    limits = Endpoint(requests_per_minute=60, concurrency=1)
    model = RemoteModel("tiny", endpoint.url, limits=limits, sleep=sleep)
    assert len(list(model.generate(ask("a", "b"), Sampling()))) == 2
    assert endpoint.calls == 3
    paced = [seconds for seconds in slept if seconds > 0.5]
    assert len(paced) == 2  # the third pause is the backoff before the retry, half a second
    assert paced[0] <= 1 < paced[1] <= 2


def likely(*pairs):
    top = [{"token": token, "logprob": value} for token, value in pairs]
    return {"content": [{"token": pairs[0][0], "logprob": pairs[0][1], "top_logprobs": top}]}


def test_the_likeliest_first_tokens_are_asked_for_and_kept(endpoint, tmp_path, ask, reply, body):
    choice = {**body("\n")["choices"][0], "logprobs": likely((" No", -0.5), ("Yes", -0.25))}
    endpoint.script(reply(body=body(choices=[choice])))
    for _ in range(2):
        model = RemoteModel("tiny", endpoint.url, cache=tmp_path)
        found = next(model.first_tokens(ask("a")))
        assert (found.status, found.first) == ("ok", (("Yes", -0.25), (" No", -0.5)))
    assert endpoint.calls == 1
    sent = endpoint.requests[0][2]
    assert (sent["logprobs"], sent["top_logprobs"], sent["max_tokens"]) == (True, 20, 1)
    next(model.generate(ask("a"), Sampling(max_tokens=1)))
    assert endpoint.calls == 2  # the same question without probabilities is another call
    assert "logprobs" not in endpoint.requests[1][2]


def test_an_endpoint_without_log_probabilities_is_asked_without_them(endpoint, ask, reply, body):
    def answer(number, sent):
        if "logprobs" in sent:
            return reply(400, {"error": {"message": "logprobs is not supported"}})
        return reply(body=body("Yes"))

    endpoint.answer = answer
    model = RemoteModel("tiny", endpoint.url, limits=Endpoint(concurrency=1))
    found = list(model.first_tokens(ask("a", "b")))
    assert [(each.text, each.first) for each in found] == [("Yes", ()), ("Yes", ())]
    assert endpoint.calls == 3


@pytest.mark.parametrize(
    "wrong",
    [None, [], {"content": None}, {"content": [7]}, {"content": [{"top_logprobs": [{}, 1]}]},
     {"content": [{"top_logprobs": [{"token": "a", "logprob": "x"}, {"token": 1}]}]}],
)  # fmt: skip
def test_log_probabilities_of_another_shape_are_none(endpoint, ask, reply, body, wrong):
    endpoint.script(reply(body=body(choices=[{**body("Yes")["choices"][0], "logprobs": wrong}])))
    assert next(RemoteModel("tiny", endpoint.url).first_tokens(ask("a"))).first == ()


SCHEMA = {"type": "object", "properties": {"op": {"type": "string"}}, "required": ["op"]}


def test_a_schema_is_sent_and_is_part_of_the_call(endpoint, reply, body, ask, tmp_path) -> None:
    endpoint.script(reply(body=body('{"op": "add"}')))
    model = RemoteModel("tiny", endpoint.url, cache=tmp_path)
    (first,) = model.generate_json(ask("Edit?"), Sampling(), SCHEMA)
    assert first.text == '{"op": "add"}'
    form = endpoint.requests[0][2]["response_format"]
    assert (form["type"], form["json_schema"]["schema"]) == ("json_schema", SCHEMA)
    (again,) = model.generate_json(ask("Edit?"), Sampling(), SCHEMA)
    (plain,) = model.generate(ask("Edit?"), Sampling())
    assert (again.cached, plain.cached, endpoint.calls) == (True, False, 2)


def test_an_endpoint_without_schemas_is_asked_without_one_from_then_on(
    endpoint, reply, body, ask
) -> None:
    def answer(_number, request):
        if "response_format" in request:
            return reply(400, {"error": {"message": "response_format is not supported"}})
        return reply(body=body("Well."))

    endpoint.answer = answer
    model = RemoteModel("tiny", endpoint.url)
    for _ in range(2):
        (found,) = model.generate_json(ask("Edit?"), Sampling(), SCHEMA)
        assert found.text == "Well."
    assert ["response_format" in sent for _, _, sent in endpoint.requests] == [True, False, False]
