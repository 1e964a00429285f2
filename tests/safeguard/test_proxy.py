"""The proxy over real connections: routes, doors, keys, failing upstreams, the official client."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
import uvicorn
from serving import GUARD, PLANT, Reply, Server, asked, asking, chunk, completion, events, said

from selaras.core.errors import InputError
from selaras.core.loopback import bound_socket
from selaras.models.remote_address import Address
from selaras.safeguard import Wording
from selaras.safeguard.proxy import Doors, proxy
from selaras.safeguard.routes import RouteSpec, ServeSpec, open_paths
from selaras.safeguard.upstream import _proxy_of

KEY = "sk-secret-of-the-client"


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """Serve the application on a free port of the loopback while the block runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(64)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


class Recorder(Server):
    """A server that keeps the headers it was sent, and lists models."""

    seen: dict[str, str]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.seen = {k.decode(): v.decode() for k, v in scope["headers"]}
        if scope["method"] == "GET":
            self.answer, kept = {"data": [{"id": "a"}, {"id": PLANT}, {"id": "b"}]}, self.answer
            scope, empty = {**scope}, [{"type": "http.request", "body": b"{}"}]
            await super().__call__(scope, lambda: asyncio.sleep(0, empty.pop()), send)
            self.answer = kept
            return
        await super().__call__(scope, receive, send)


def made(*routes: RouteSpec, guard: Any = GUARD, **doors: Any) -> Any:
    """Return a proxy of routes."""
    spec = ServeSpec(routes=routes)
    return proxy(open_paths(spec, lambda _: guard, _Inline()), doors=Doors(**doors))


class _Inline:
    def submit(self, *_: Any) -> Any:
        raise AssertionError("a quick guard needs no thread")


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    """Start the application and shut it down again as a server does, which closes upstreams."""
    to_app: asyncio.Queue[Any] = asyncio.Queue()
    from_app: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    for event in ("startup", "shutdown"):
        await to_app.put({"type": f"lifespan.{event}"})
        assert (await from_app.get())["type"] == f"lifespan.{event}.complete"
        if event == "startup":
            yield
    await life


async def asked_once(app: Any, request: Any) -> Reply:
    """Return what a client gets of an application that runs for this one request."""
    async with running(app):
        return await asked(app, request)


def get(app: Any, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def got() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with (
            running(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            return await client.request(method, path, headers=headers)

    return asyncio.run(got())


HERE = RouteSpec(upstream="http://127.0.0.1:9/v1")


def test_what_is_not_served_is_404_in_the_apis_form() -> None:
    app = made(HERE)
    for path in ("/", "/v1", "/v1/completions", "/v1/responses", "/v1/embeddings", "/docs",
                 "/v1/chat/completions/", "/v1/models/x"):  # fmt: skip
        for method in ("GET", "POST"):
            got = get(app, path, method)
            assert (got.status_code, got.json()["error"]["code"]) == (404, "unknown_route")
    got = get(app, "/v1/chat/completions")
    assert (got.status_code, got.headers["allow"]) == (405, "POST")


def test_health_needs_no_token_and_the_rest_does() -> None:
    app = made(HERE, token="t0k3n")
    assert get(app, "/healthz").json()["status"] == "ok"
    assert get(app, "/v1/models").status_code == 401
    assert get(app, "/v1/models", authorization="Bearer wrong").status_code == 401
    assert get(app, "/v1/models", authorization="Bearer t0k3n").status_code == 502


def test_only_its_own_host_and_origin_are_answered() -> None:
    app = made(HERE, hosts=("guard.example",))
    assert get(app, "/healthz", host="guard.example").status_code == 200
    assert get(app, "/healthz", host="evil.example").status_code == 421
    assert get(app, "/healthz", origin="http://evil.example").status_code == 403


def test_an_upstream_that_is_not_there_is_502() -> None:
    got = asyncio.run(asked_once(made(HERE), asking()))
    assert (got.status, got.error["type"]) == (502, "upstream_error")


def test_models_choose_their_route_and_names_are_translated() -> None:
    one, two = Server(completion("one")), Server(completion("two"))
    with listening(one) as first, listening(two) as second:
        strict = replace(GUARD, wording=Wording(messages={"spoilers": "Strict."}))

        async def all_of_it() -> list[Any]:
            routes = (RouteSpec(upstream=f"{first}/v1", models={"small": "tiny-1"}, guard="a"),
                      RouteSpec(upstream=f"{second}/v1", models={"large": "x"}, guard="b"),
                      RouteSpec(upstream=f"{second}/v1", path="/kids/v1", guard="a"))  # fmt: skip
            guards = {"a": GUARD, "b": strict}
            app = proxy(open_paths(ServeSpec(routes=routes), guards.__getitem__, _Inline()))
            asks = [asking(model="small"), asking(model="large"), asking(PLANT, model="large"),
                    asking(model="other")]  # fmt: skip
            async with running(app):
                got = [await asked(app, each) for each in asks]
                return [*got, await asked(app, asking(), "/kids/v1/chat/completions")]

        small, large, blocked, other, kids = asyncio.run(all_of_it())
    assert [got.message["content"] for got in (small, large, blocked, kids)] == [
        "one", "two", "Strict.", "two",
    ]  # fmt: skip
    assert (other.status, other.error["code"]) == (404, "model_not_found")
    assert one.asked[0]["model"] == "tiny-1"


def test_keys_go_upstream_and_nowhere_else(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    server = Recorder(status=401)
    server.answer = {"error": {"message": f"Incorrect API key provided: {KEY[:5]}****ent"}}
    caplog.set_level(1)
    with listening(server) as url:
        monkeypatch.setenv("SELARAS_KEYS", str(tmp_path / "keys.yaml"))
        monkeypatch.setenv("OWN", "sk-own")
        (tmp_path / "keys.yaml").write_text(f"{url}/v1: OWN\n")
        for key, sent, status in (("client", KEY, 401), ("own", "sk-own", 502)):
            app = made(RouteSpec(upstream=f"{url}/v1", key=key))
            got = get(app, "/v1/models", authorization=f"Bearer {KEY}", cookie="a=b")
            assert got.status_code == status
            assert server.seen["authorization"] == f"Bearer {sent}"
            assert "cookie" not in server.seen
            assert KEY not in got.text
    assert KEY not in caplog.text
    assert "sk-own" not in caplog.text


def test_a_route_that_nothing_reaches_and_a_key_that_is_not_there() -> None:
    with pytest.raises(InputError, match="an earlier one of /v1"):
        made(HERE, RouteSpec(upstream="http://127.0.0.1:8/v1", models={"a": "b"}))
    with pytest.raises(InputError, match="no environment variable is bound to https://x"):
        made(RouteSpec(upstream="https://x.example/v1", key="own"))


def test_the_official_client_streamed_and_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import openai

    text = "It rained. " * 40
    server = Recorder()
    with listening(server) as upstream:
        app = made(RouteSpec(upstream=f"{upstream}/v1"))
        with (
            listening(app) as url,
            openai.OpenAI(api_key=KEY, base_url=f"{url}/v1", max_retries=0) as client,
        ):
            create = client.chat.completions.create
            talk: Any = asking()["messages"]
            assert create(model="m", messages=talk).choices[0].message.content == "Yes."
            assert [model.id for model in client.models.list()] == ["a", "b"]
            server.answer = said(text[:200], text[200:], PLANT, text)
            pieces = list(create(model="m", messages=talk, stream=True))
            shown = "".join(piece.choices[0].delta.content or "" for piece in pieces)
            # How much was out before the block is up to how the pieces arrived together.
            assert shown.endswith("No spoilers.")
            assert text.startswith(shown.removesuffix("No spoilers.").removesuffix("\n\n"))
            assert pieces[-1].choices[0].finish_reason == "content_filter"
            server.answer = [*said(text)[:1], b"data: {\n\n"]
            with pytest.raises(openai.APIError, match="not JSON"):
                list(create(model="m", messages=talk, stream=True))
            with pytest.raises(openai.BadRequestError, match="one answer"):
                create(model="m", messages=talk, n=3)
            server.answer = events(chunk({"content": "Fine."}), chunk({}, "stop"))
            with client.chat.completions.stream(model="m", messages=talk) as stream:
                assert stream.get_final_completion().choices[0].message.content == "Fine."


def test_answers_do_not_wait_for_acknowledgements() -> None:
    # asyncio sets TCP_NODELAY only where the socket names its protocol; without it every answer
    # of a proxy at rest took 40 ms more.
    async def accepted() -> int:
        found = asyncio.get_running_loop().create_future()

        def began(_: Any, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            found.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        bound = bound_socket("127.0.0.1", 0)
        async with await asyncio.start_server(began, sock=bound):
            _, writer = await asyncio.open_connection(*bound.getsockname())
            writer.close()
            return int(await found)

    assert asyncio.run(accepted())


def test_the_environment_names_a_proxy_for_other_machines_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    far, near = Address("https://api.example.org/v1"), Address("http://127.0.0.1:8088/v1")
    assert _proxy_of(far) is None
    monkeypatch.setenv("ALL_PROXY", "http://every.example.org:3128")
    assert _proxy_of(far) == "http://every.example.org:3128"
    monkeypatch.setenv("HTTPS_PROXY", "http://own.example.org:3128")
    assert _proxy_of(far) == "http://own.example.org:3128"
    assert _proxy_of(near) is None
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert _proxy_of(far) is None
