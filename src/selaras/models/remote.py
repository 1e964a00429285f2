"""OpenAI-compatible endpoints: Gemini, vLLM, Ollama, llama.cpp and the public ones.

Through the official SDK, with our own retries, bound on calls in flight and cache. A call that
fails for good is its row's error; a wrong key or model ends the run at once (`remote_errors`).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from selaras.core.errors import InputError
from selaras.core.records import Conversation
from selaras.core.system import Sampling
from selaras.models.answer import collected, failed, storable
from selaras.models.call_loop import CallLoop
from selaras.models.keys import bound_variable
from selaras.models.names import Place
from selaras.models.protocol import Generation
from selaras.models.remote_address import PUBLIC, Address
from selaras.models.remote_answer import read_answer
from selaras.models.remote_backoff import wait_before
from selaras.models.remote_errors import Failure, call_errors, understood
from selaras.models.response_cache import CachedResponse, ResponseCache, response_key

LARGEST_BODY = 16 << 20
_MOST_SERVED = 20
_SENT_ANYWHERE = frozenset({
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type",
    "host", "transfer-encoding", "user-agent", "x-stainless-raw-response",
})  # fmt: skip


class RemoteModel:
    """A model behind an OpenAI-compatible endpoint.

    `key_env` names the environment variable that the user bound to this host (see
    `remote_address`). `timeout` is the seconds one whole answer may take, `retries` how often a
    call is tried again. With a folder as `cache`, an answered call is never made twice.
    `served_models` holds the names, other than `name`, under which the endpoint said it answered.
    """

    batch_size = 1

    def __init__(
        self,
        name: str,
        base_url: str = PUBLIC,
        key_env: str | None = None,
        concurrency: int = 8,
        timeout: float = 60.0,
        retries: int = 5,
        cache: Path | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not name or concurrency < 1 or timeout <= 0 or retries < 0:
            raise InputError(
                "a remote model needs a name, concurrency over 0, timeout over 0 and retries from 0"
            )
        self.name, self.address = name, Address(base_url, key_env)
        self.concurrency, self.timeout, self.retries = concurrency, timeout, retries
        self.served_models: set[str] = set()
        self._cache = ResponseCache(cache) if cache is not None else None
        self._sleep = sleep
        self._calls = CallLoop()
        self._slots = asyncio.Semaphore(concurrency)
        self._limit_field = "max_tokens"
        self._answers = 0
        self._dead = False
        self.address.key()

    @property
    def identity(self) -> dict[str, Any]:
        """The model's name and endpoint; what is behind them only the endpoint knows."""
        return {"name": f"openai:{self.name}", "endpoint": self.address.base_url}

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield cached answers first, then the others as they finish.

        `concurrency` bounds the calls in flight, over all batches of this model together. Closing
        the iterator cancels the rest. Raises InputError or ModelError where the rest is pointless.
        """
        waiting: list[tuple[int, Conversation]] = []
        for index, conversation in enumerate(conversations):
            if (hit := self._cached(index, conversation, sampling)) is not None:
                yield hit
            else:
                waiting.append((index, conversation))
        if not waiting:
            return
        client = self._client()
        try:
            yield from self._calls.finished(
                partial(self._answer, client, sampling), waiting, self.concurrency
            )
        finally:
            self._calls.farewell(client.close())

    def _cached(
        self, index: int, conversation: Conversation, sampling: Sampling
    ) -> Generation | None:
        if self._cache is None:
            return None
        hit = self._cache.get(response_key(self.identity, conversation, sampling))
        if hit is None:
            return None
        self._note(hit.served)
        return Generation(index, hit.text, "ok", hit.finish, hit.prompt_tokens, hit.tokens)

    def _client(self) -> Any:
        import openai

        key = self.address.key()
        public = self.address.host == "api.openai.com"

        async def only_ours(request: Any) -> None:
            # The SDK adds the organisation, project and OPENAI_CUSTOM_HEADERS of the environment.
            for name in list(request.headers) if not public else []:
                if name.lower() not in _SENT_ANYWHERE:
                    del request.headers[name]
            request.headers["Authorization"] = f"Bearer {key}"

        transport = openai.DefaultAsyncHttpxClient(
            follow_redirects=False,
            trust_env=not self.address.loopback,
            event_hooks={"request": [only_ours]},
        )
        return openai.AsyncOpenAI(
            api_key=key,
            base_url=self.address.base_url,
            timeout=self.timeout,
            max_retries=0,
            http_client=transport,
        )

    async def _answer(
        self, client: Any, sampling: Sampling, row: tuple[int, Conversation]
    ) -> Generation:
        index, conversation = row
        async with self._slots:
            body = await self._body(client, sampling, conversation)
        if isinstance(body, Failure):
            return failed(index, body.reason)
        self._answers += 1
        answer, served = read_answer(index, body)
        if answer.error is not None:
            return replace(answer, error=self.address.without_key(answer.error))
        self._note(served)
        if self._cache is not None:
            response = CachedResponse(
                key=response_key(self.identity, conversation, sampling),
                text=answer.text,
                finish=answer.finish,
                prompt_tokens=answer.prompt_tokens,
                tokens=answer.tokens,
                served=served,
            )
            await asyncio.to_thread(self._cache.put, response)
        return answer

    async def _body(
        self, client: Any, sampling: Sampling, conversation: Conversation
    ) -> bytes | Failure:
        attempt = 0
        while True:
            attempt += 1
            field = self._limit_field
            tried = await self._tried(client, self._request(sampling, conversation, field))
            if isinstance(tried, Failure) and tried.renamed_limit and field == "max_tokens":
                self._limit_field = field = "max_completion_tokens"
                tried = await self._tried(client, self._request(sampling, conversation, field))
            if isinstance(tried, bytes) or not tried.again:
                return tried
            # Where nothing ever answered, the first row's patience is enough for all of them.
            if attempt > self.retries or (self._dead and not self._answers):
                self._dead = not tried.reached
                times = "once" if attempt == 1 else f"{attempt} times"
                return replace(tried, reason=f"{tried.reason} (tried {times})")
            await self._sleep(wait_before(attempt, tried.retry_after))

    async def _tried(self, client: Any, request: dict[str, Any]) -> bytes | Failure:
        try:
            async with asyncio.timeout(self.timeout):
                completions = client.chat.completions.with_streaming_response
                async with completions.create(**request) as response:
                    return await collected(response.iter_bytes(), LARGEST_BODY)
        except call_errors() as error:
            return understood(error, self.address, self.name, self._answers)

    def _request(
        self, sampling: Sampling, conversation: Conversation, limit_field: str
    ) -> dict[str, Any]:
        return {
            "model": self.name,
            "messages": [
                {"role": message.role, "content": storable(message.content)}
                for message in conversation
            ],
            limit_field: sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }

    def _note(self, served: str | None) -> None:
        if served and served != self.name and len(self.served_models) < _MOST_SERVED:
            self.served_models.add(served)


def open_remote(
    argument: str,
    place: Place | None = None,
    key_env: str | None = None,
    concurrency: int = 8,
    timeout: float = 60.0,
    retries: int = 5,
    cache: Path | None = None,
) -> RemoteModel:
    """Return the model of `openai:NAME@BASE_URL`; without a URL, OpenAI's public endpoint.

    Answers are kept in `cache`, or in the place's own cache; with neither, nowhere.

    >>> open_remote("llama3@http://localhost:11434/v1").identity
    {'name': 'openai:llama3', 'endpoint': 'http://localhost:11434/v1'}
    """
    name, at, url = argument.strip().partition("@http")
    if not at and re.search(r"@.*[:/.]", name):
        raise InputError(
            f"{argument!r} has no http:// or https:// after the '@'",
            fix="write openai:NAME@https://HOST/v1",
        )
    if not name or any(character.isspace() for character in name):
        raise InputError(f"{argument!r} names no model", fix="write openai:NAME@https://HOST/v1")
    base_url = f"http{url}" if at else PUBLIC
    if cache is None and place is not None:
        cache = place.cache / "responses"
    if key_env is None:
        key_env = bound_variable(base_url)
    return RemoteModel(name, base_url, key_env, concurrency, timeout, retries, cache)
