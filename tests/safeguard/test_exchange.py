"""One request behind the guard, whole and streamed: what passes, is blocked, is an error."""

import asyncio
import json
import logging
import threading
from dataclasses import dataclass
from typing import Any

import pytest
from serving import GUARD, PLANT, Server, ask, asked, asking, chunk, completion, events, said

from selaras.safeguard import Outcome
from selaras.safeguard.endpoint import Limits
from selaras.safeguard.middleware import GuardMiddleware

LONG = "It rained that night and nobody slept. " * 30
TOOLS = [{"type": "function", "function": {"name": "tell", "parameters": {"type": "object"}}}]


def call(arguments: str, name: str = "tell", **more: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments},
            **more}  # fmt: skip


def test_an_allowed_answer_passes_with_known_fields_only() -> None:
    body = completion("Nobody knows.", reasoning_content=PLANT, annotations=[PLANT])
    body["choices"][0]["logprobs"] = {"content": [{"token": PLANT}]}
    body["choices"].append({"index": 1, "message": {"role": "assistant", "content": PLANT}})
    got = ask(Server(body | {"system_fingerprint": PLANT, "prompt_logprobs": [PLANT]}), asking())
    assert (got.status, got.headers["x-selaras-action"]) == (200, "allow")
    assert got.message == {"role": "assistant", "content": "Nobody knows.", "refusal": None}
    assert PLANT not in got.raw.decode()
    assert got.value["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_a_blocked_query_never_reaches_the_model() -> None:
    server = Server()
    for stream in (False, True):
        got = ask(server, asking(f"So {PLANT}?", stream=stream))
        assert (got.status, got.finish) == (200, "content_filter")
        assert (got.text if stream else got.message["content"]) == "No spoilers."
        told = (got.events[-1] if stream else got.value)["selaras"]
        assert told == {"action": "block", "side": "query", "policy": "spoilers", "stage": "rules"}
        assert got.headers["x-selaras-policy"] == "spoilers"
    assert server.asked == []


def test_a_blocked_response_is_the_policys_message() -> None:
    got = ask(Server(completion(f"Well, {PLANT}.")), asking())
    assert (got.status, got.finish, got.message["content"]) == (
        200, "content_filter", "No spoilers.",
    )  # fmt: skip
    assert PLANT not in got.raw.decode()


def test_a_block_in_mid_answer_keeps_what_was_released() -> None:
    text = f"{LONG}But then: {PLANT}. {LONG}"
    server = Server(said(*(text[i : i + 7] for i in range(0, len(text), 7))))
    got = ask(server, asking(stream=True))
    assert got.finish == "content_filter"
    released, _, message = got.text.rpartition("\n\n")
    assert message == "No spoilers."
    assert len(released) > 700
    assert text.startswith(released)
    assert PLANT not in got.text
    assert server.cancelled  # the model is not kept writing
    assert got.events[-1]["selaras"]["policy"] == "spoilers"
    assert got.raw.endswith(b"data: [DONE]\n\n")


def test_a_stream_arrives_whole_and_in_pieces() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "secret": PLANT}
    parts = [chunk({"content": LONG[i : i + 5]}) for i in range(0, len(LONG), 5)]
    server = Server(events(*parts, chunk({}, "length"), {**chunk(usage=usage), "choices": []}))
    got = ask(server, asking(stream=True, stream_options={"include_usage": True}))
    assert got.text == LONG
    assert (got.finish, got.deltas[0]["role"]) == ("length", "assistant")
    assert len(got.deltas) > 10
    assert got.events[-1]["usage"] == {
        "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
    }  # fmt: skip
    assert server.asked[0]["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }


def test_tool_calls_are_held_whole_and_checked_with_their_escapes_resolved() -> None:
    hidden = "".join(f"\\u{ord(c):04x}" for c in PLANT)
    for arguments in (f'{{"a": "{PLANT}"}}', f'{{"a": "{hidden}"}}', f'{{"{PLANT}": 1', hidden,
                      json.dumps({"a": f'{{"b": "{hidden}"}}'})):  # fmt: skip
        got = ask(Server(completion(None, "tool_calls", tool_calls=[call(arguments)])),
                  asking(tools=TOOLS))  # fmt: skip
        assert (got.finish, "tool_calls" in got.message) == ("content_filter", False), arguments
        pieces = [chunk({"tool_calls": [call(arguments[i : i + 3], "tell" if not i else "",
                                             index=0)]})
                  for i in range(0, len(arguments), 3)]  # fmt: skip
        got = ask(
            Server(events(*pieces, chunk({}, "tool_calls"))), asking(tools=TOOLS, stream=True)
        )
        assert (got.finish, got.text) == ("content_filter", "No spoilers.")
        assert not any("tool_calls" in delta for delta in got.deltas)


def test_allowed_tool_calls_pass_both_ways() -> None:
    two = [call('{"a": "x"}', index=0), call('{"b": "y"}', index=1)]
    server = Server(events(chunk({"content": "So."}), chunk({"tool_calls": two}),
                           chunk({}, "tool_calls")))  # fmt: skip
    got = ask(server, asking(tools=TOOLS, stream=True, tool_choice="auto"))
    assert got.deltas[1]["tool_calls"] == two
    assert server.asked[0]["tools"] == TOOLS
    turns = [{"role": "user", "content": "Who?"},
             {"role": "assistant", "content": None, "refusal": None, "audio": None,
              "annotations": [], "tool_calls": [call('{"a": "x"}')]},
             {"role": "tool", "tool_call_id": "c1", "content": "nothing"}]  # fmt: skip
    server = Server()
    assert ask(server, {"model": "m", "messages": turns, "tools": TOOLS}).status == 200
    assert server.asked[0]["messages"][1] == {
        "role": "assistant", "content": None, "tool_calls": [call('{"a": "x"}')],
    }  # fmt: skip
    turns[2]["content"] = f"found: {PLANT}"
    assert ask(Server(), {"model": "m", "messages": turns}).finish == "content_filter"


def test_a_tool_that_was_not_offered_is_a_fault() -> None:
    body = completion(None, "tool_calls", tool_calls=[call("{}", "the_butler_did_it")])
    got = ask(Server(body), asking(tools=TOOLS))
    assert (got.status, got.error["type"]) == (502, "upstream_error")
    assert "butler" not in got.raw.decode()


@pytest.mark.parametrize(
    "answer",
    [
        said(LONG, f"so {PLANT}")[:-2],  # cut before its end
        [*said(LONG)[:1], b"data: {broken\n\n", *said(PLANT)],
        [*said(LONG)[:1], b"data: \xff\n\n"],
        [*said(LONG)[:1], b"data: [1]\n\n"],
        [*said(LONG)[:1], b'data: {"error": {"message": "the butler did it"}}\n\n'],
        events(chunk({"content": LONG}), chunk({"content": [PLANT]})),
        events(chunk({"content": LONG}), {**chunk(), "choices": [PLANT]}),
        events(chunk({"content": LONG}), chunk({"tool_calls": [{"index": -1}]})),
        [*said(LONG)[:1], b"data: " + b"x" * (1 << 20) + PLANT.encode()],
    ],
)
def test_a_stream_that_goes_wrong_ends_as_an_error_and_releases_nothing_more(answer: Any) -> None:
    got = ask(Server(answer), asking(stream=True))
    assert got.error["type"] == "upstream_error"
    assert got.finish is None
    assert b"[DONE]" not in got.raw
    assert LONG.startswith(got.text)
    assert PLANT not in got.raw.decode()


@pytest.mark.parametrize("server", [
    Server(b"no json"), Server([1]), Server({"choices": []}), Server({"choices": [[]]}),
    Server(completion(["x"])), Server({"choices": [{"message": PLANT}]}), Server(cut=True),
    Server(status=500), Server(completion(), status=302),
])  # fmt: skip
def test_an_upstream_that_goes_wrong_is_502(server: Server) -> None:
    for stream in (False, True):
        got = ask(server, asking(stream=stream))
        assert (got.status, got.error["type"]) == (502, "upstream_error")
        assert PLANT not in got.raw.decode()


def test_an_upstreams_own_error_passes_where_its_words_may() -> None:
    error = {"message": "max_tokens is too large", "type": "invalid_request_error",
             "param": "max_tokens", "code": None}  # fmt: skip
    got = ask(Server({"error": error}, 400), asking(stream=True))
    assert (got.status, got.error["param"]) == (400, "max_tokens")
    assert got.error["message"].endswith("HTTP 400: max_tokens is too large")
    got = ask(Server({"error": {**error, "message": PLANT, "code": PLANT}}, 429,
                     {"retry-after": "7"}), asking())  # fmt: skip
    assert (got.status, got.headers["retry-after"]) == (429, "7")
    assert PLANT not in got.raw.decode()


@dataclass(frozen=True)
class Faulty:
    """A guard whose checks wait or break; the real one's decisions otherwise."""

    broken: str = ""
    wait: threading.Event | None = None
    on_fault: Any = "closed"
    quick: bool = False
    hold: int = 20

    def releasable(self, text: str) -> int:
        return GUARD.releasable(text)

    def check_query(self, asked: Any) -> Outcome:
        return self._checked("query", lambda: GUARD.check_query(asked))

    def check_response(
        self, asked: Any, response: str, arguments: Any = (), final: bool = True
    ) -> Outcome:
        return self._checked(
            "response", lambda: GUARD.check_response(asked, response, arguments, final)
        )

    def _checked(self, side: str, real: Any) -> Outcome:
        if side != self.broken:
            return real()
        if self.wait is not None:
            self.wait.wait(20)
            return real()
        raise RuntimeError(PLANT)


@pytest.mark.parametrize("side", ["query", "response"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("slow", [False, True])
def test_a_guard_that_fails_or_is_late_is_an_error_and_never_an_answer(
    side: str, stream: bool, slow: bool
) -> None:
    wait = threading.Event() if slow else None
    server = Server(said(LONG, PLANT) if stream else completion(PLANT))
    got = ask(server, asking(stream=stream), Faulty(side, wait), patience=0.5 if slow else 20)
    if wait:
        wait.set()
    assert (got.status, got.error["type"]) == (503, "guard_error")
    assert got.headers["x-selaras-action"] == "error"
    assert PLANT not in got.raw.decode()
    assert bool(server.asked) == (side == "response")


def test_failing_open_is_asked_for_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    got = ask(Server(), asking(), Faulty("response", on_fault="open"))
    assert (got.status, got.message["content"]) == (200, "Yes.")
    assert "failed open" in caplog.text


def test_a_slow_check_holds_nobody_else_up() -> None:
    async def both() -> tuple[Any, Any]:
        wait = threading.Event()
        app = GuardMiddleware(Server(), Faulty("query", wait), patience=20)
        slow = asyncio.create_task(asked(app, asking()))
        quick = await asked(GuardMiddleware(Server(), GUARD), asking())
        late = not slow.done()
        wait.set()
        return quick.status == 200 and late, (await slow).status

    assert asyncio.run(both()) == (True, 200)


def test_a_client_that_goes_away_ends_the_upstreams_work() -> None:
    async def leaving() -> Server:
        never = asyncio.Event()
        server = Server([*said(LONG)[:1], never.wait])
        app, sent = GuardMiddleware(server, GUARD), []
        body = json.dumps(asking(stream=True)).encode()
        gone = asyncio.Event()
        waiting = [{"type": "http.request", "body": body}]

        async def receive() -> Any:
            if waiting:
                return waiting.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if message.get("body"):
                gone.set()

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
        await asyncio.wait_for(app(scope, receive, send), 10)
        return server

    assert asyncio.run(leaving()).cancelled


def test_too_many_at_once_are_told_to_come_back() -> None:
    async def crowd() -> list[Any]:
        never = asyncio.Event()
        app = GuardMiddleware(Server([never.wait, *said("ok")]), GUARD, at_once=1)
        app._admission.waiting = 1
        app._admission.patience = 0.01
        tasks = [asyncio.create_task(asked(app, asking(stream=True))) for _ in range(3)]
        done, _ = await asyncio.wait(tasks[1:])
        never.set()
        return [await tasks[0], *(task.result() for task in done)]

    first, *others = asyncio.run(crowd())
    assert first.text == "ok"
    for other in others:
        assert (other.status, other.error["code"]) == (503, "overloaded")
        assert other.headers["retry-after"] == "1"


def test_a_body_that_is_too_large_or_late() -> None:
    got = ask(Server(), asking("x" * 3000), limits=Limits(body=2000))
    assert (got.status, got.error["code"]) == (413, "too_large")

    async def late() -> int:
        app, sent = GuardMiddleware(Server(), GUARD, limits=Limits(sending=0.01)), []

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
        await app(scope, receive, send)
        return int(sent[0]["status"])

    assert asyncio.run(late()) == 408


def test_the_log_holds_decisions_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "selaras.guard.requests"):
        ask(Server(completion(f"Well, {PLANT}")), asking("Who was it?"))
    (row,) = [json.loads(record.message) for record in caplog.records if record.name.endswith("ts")]
    assert row["action"] == "block"
    assert (row["policy"], row["stage"], row["side"], row["status"]) == (
        "spoilers", "rules", "response", 200,
    )  # fmt: skip
    assert row["checks"] == 2
    assert PLANT not in caplog.text
    assert "Who was it" not in caplog.text


def test_the_rest_of_an_application_is_left_alone_but_not_the_guards_folder() -> None:
    app = GuardMiddleware(Server(), GUARD)
    assert asyncio.run(asked(app, {}, "/hello")).status == 200
    assert asyncio.run(asked(app, {}, "/v1/models")).status == 200
    for path in ("/v1/completions", "/v1/chat/completions/", "/v1/responses"):
        assert asyncio.run(asked(app, asking(), path)).status == 404
