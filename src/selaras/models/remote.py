"""OpenAI-compatible endpoints: Gemini, vLLM, Ollama, llama.cpp and the public ones.

Through the official SDK, with our own retries, bound on calls in flight and cache. A call that
fails for good is its row's error; a wrong key or model ends the run at once (`remote_errors`).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from selaras.core.endpoint import Endpoint, Prices
from selaras.core.errors import InputError
from selaras.core.records import Conversation
from selaras.core.system import Sampling
from selaras.models.answer import collected, failed, storable
from selaras.models.call_loop import CallLoop
from selaras.models.keys import bound_variable
from selaras.models.names import Place
from selaras.models.protocol import Generation
from selaras.models.remote_address import PUBLIC, Address
from selaras.models.remote_answer import MOST_TOKENS, read_answer
from selaras.models.remote_backoff import wait_before
from selaras.models.remote_errors import Failure, call_errors, understood
from selaras.models.remote_pace import Pace
from selaras.models.response_cache import CachedResponse, ResponseCache, response_key

LARGEST_BODY = 16 << 20
_MOST_SERVED = 20
_SENT_ANYWHERE = frozenset({
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type",
    "host", "transfer-encoding", "user-agent", "x-stainless-raw-response",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked for beside the messages: sampling, first token's probabilities, a schema."""

    sampling: Sampling
    first: bool = False
    schema: Mapping[str, Any] | None = None

    def key(self, identity: dict[str, Any], conversation: Conversation) -> str:
        """Return the call's key in the cache of answers."""
        return response_key(identity, conversation, self.sampling, self.first, self.schema)


class RemoteModel:
    """A model behind an OpenAI-compatible endpoint.

    `key_env` names the environment variable that the user bound to this host (see
    `remote_address`). `limits` bounds calls at once, waiting, retries and requests a minute. With a
    folder as `cache`, an answered call is never made twice. `served_models` holds the names, other
    than `name`, under which the endpoint said it answered.
    """

    batch_size = 1

    def __init__(
        self,
        name: str,
        base_url: str = PUBLIC,
        key_env: str | None = None,
        limits: Endpoint | None = None,
        cache: Path | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not name:
            raise InputError("a remote model needs a name")
        self.name, self.address = name, Address(base_url, key_env)
        self.limits = limits or Endpoint()
        self.served_models: set[str] = set()
        self._cache = ResponseCache(cache) if cache is not None else None
        self._sleep = sleep
        self._calls = CallLoop()
        self._slots = asyncio.Semaphore(self.limits.concurrency)
        self._pace = Pace(self.limits.requests_per_minute, sleep)
        self._limit_field = "max_tokens"
        self._log_probabilities = True
        self._schemas = True
        self._answers = 0
        self._dead = False
        self.address.key()

    @property
    def identity(self) -> dict[str, Any]:
        """The model's name and endpoint; what is behind them only the endpoint knows."""
        return {"name": f"openai:{self.name}", "endpoint": self.address.base_url}

    @property
    def prices(self) -> Prices | None:
        """What a million tokens cost, where the project says so."""
        return self.limits.prices.get(self.name)

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield cached answers first, then the others as they finish.

        `limits.concurrency` bounds the calls in flight, over all batches of this model together.
        Closing the iterator cancels the rest. Raises InputError or ModelError where the rest is
        pointless.
        """
        yield from self._generations(conversations, _Ask(sampling))

    def first_tokens(self, conversations: Sequence[Conversation]) -> Iterator[Generation]:
        """Yield greedy replies of one token, with the likeliest first tokens where it gives them.

        An endpoint that refuses to give log-probabilities is asked without them from then on.
        """
        yield from self._generations(conversations, _Ask(Sampling(max_tokens=1), first=True))

    def generate_json(
        self,
        conversations: Sequence[Conversation],
        sampling: Sampling,
        schema: Mapping[str, Any],
    ) -> Iterator[Generation]:
        """Yield replies held to a JSON Schema, cached ones first.

        An endpoint that knows no schemas is asked without one from then on.
        """
        yield from self._generations(conversations, _Ask(sampling, schema=schema))

    def _generations(
        self, conversations: Sequence[Conversation], ask: _Ask
    ) -> Iterator[Generation]:
        waiting: list[tuple[int, Conversation]] = []
        for index, conversation in enumerate(conversations):
            if (hit := self._cached(index, conversation, ask)) is not None:
                yield hit
            else:
                waiting.append((index, conversation))
        if not waiting:
            return
        client = self._client()
        try:
            yield from self._calls.finished(
                partial(self._answer, client, ask), waiting, self.limits.concurrency
            )
        finally:
            self._calls.farewell(client.close())

    def _cached(self, index: int, conversation: Conversation, ask: _Ask) -> Generation | None:
        if self._cache is None:
            return None
        hit = self._cache.get(ask.key(self.identity, conversation))
        if hit is None:
            return None
        return Generation(
            index, hit.text, "ok", hit.finish, hit.prompt_tokens, hit.tokens,
            served=self._noted(hit.served), cached=True, first=hit.first,
        )  # fmt: skip

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
            timeout=self.limits.timeout,
            max_retries=0,
            http_client=transport,
        )

    async def _answer(self, client: Any, ask: _Ask, row: tuple[int, Conversation]) -> Generation:
        index, conversation = row
        async with self._slots:
            body = await self._body(client, ask, conversation)
        if isinstance(body, Failure):
            return failed(index, body.reason)
        self._answers += 1
        answer, served = read_answer(index, body)
        if answer.error is not None:
            return replace(answer, error=self.address.without_key(answer.error))
        if self._cache is not None:
            response = CachedResponse(
                key=ask.key(self.identity, conversation),
                text=answer.text,
                finish=answer.finish,
                prompt_tokens=answer.prompt_tokens,
                tokens=answer.tokens,
                served=served,
                first=answer.first,
            )
            await asyncio.to_thread(self._cache.put, response)
        return replace(answer, served=self._noted(served))

    async def _body(self, client: Any, ask: _Ask, conversation: Conversation) -> bytes | Failure:
        attempt = 0
        while True:
            attempt += 1
            tried = await self._tried(client, ask, conversation)
            if isinstance(tried, Failure) and self._learnt(tried, ask):
                tried = await self._tried(client, ask, conversation)
            if isinstance(tried, bytes) or not tried.again:
                return tried
            # Where nothing ever answered, the first row's patience is enough for all of them.
            if attempt > self.limits.retries or (self._dead and not self._answers):
                self._dead = not tried.reached
                times = "once" if attempt == 1 else f"{attempt} times"
                return replace(tried, reason=f"{tried.reason} (tried {times})")
            await self._sleep(wait_before(attempt, tried.retry_after))

    def _learnt(self, failure: Failure, ask: _Ask) -> bool:
        """Return whether the failure says how this endpoint wants to be asked instead."""
        if failure.renamed_limit:
            self._limit_field = "max_completion_tokens"
        elif ask.first and failure.no_log_probabilities:
            self._log_probabilities = False
        elif ask.schema is not None and failure.no_schema:
            self._schemas = False
        else:
            return False
        return True

    async def _tried(self, client: Any, ask: _Ask, conversation: Conversation) -> bytes | Failure:
        await self._pace.turn()
        try:
            async with asyncio.timeout(self.limits.timeout):
                completions = client.chat.completions.with_streaming_response
                async with completions.create(**self._request(ask, conversation)) as response:
                    return await collected(response.iter_bytes(), LARGEST_BODY)
        except call_errors() as error:
            return understood(error, self.address, self.name, self._answers)

    def _request(self, ask: _Ask, conversation: Conversation) -> dict[str, Any]:
        sampling = ask.sampling
        likely = {"logprobs": True, "top_logprobs": MOST_TOKENS}
        return {
            "model": self.name,
            "messages": [
                {"role": message.role, "content": storable(message.content)}
                for message in conversation
            ],
            self._limit_field: sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            **(likely if ask.first and self._log_probabilities else {}),
            **(_held_to(ask.schema) if ask.schema is not None and self._schemas else {}),
        }

    def _noted(self, served: str | None) -> str | None:
        """Return the model's name as served where it is another than was asked for."""
        if not served or served == self.name:
            return None
        if len(self.served_models) < _MOST_SERVED:
            self.served_models.add(served)
        return served


def _held_to(schema: Mapping[str, Any]) -> dict[str, Any]:
    form = {"name": "reply", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def open_remote(
    argument: str,
    place: Place | None = None,
    key_env: str | None = None,
    limits: Endpoint | None = None,
    cache: Path | None = None,
) -> RemoteModel:
    """Return the model of `openai:NAME@BASE_URL`; without a URL, OpenAI's public endpoint.

    `limits` are the place's own for that URL by default. Answers are kept in `cache`, or in the
    place's own cache; with neither, nowhere.

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
    if place is not None:
        cache = cache or place.cache / "responses"
        own = {address.rstrip("/"): found for address, found in place.endpoints.items()}
        limits = limits or own.get(base_url.rstrip("/"))
    if key_env is None:
        key_env = bound_variable(base_url)
    return RemoteModel(name, base_url, key_env, limits, cache)
