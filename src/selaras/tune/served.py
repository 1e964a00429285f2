"""Rollouts by a vLLM server: prompts as token ids in, reply ids out, the adapter loaded each step.

The weights are synchronised as files: before a step's rollouts the adapter is written in PEFT
format and the server is told to load it under a new name (`/v1/load_lora_adapter`), the old one is
unloaded. So the server must see the same folder (one machine, or a shared disk) and has to be
started with

    VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve BASE --enable-lora --max-lora-rank RANK

with the very base that is tuned. Ids go both ways (`return_token_ids`), so that nothing is
tokenised twice and a user's control words stay text. Tested against a small server of ours that
answers as vLLM documents it, and not against vLLM itself. Other OpenAI-compatible servers cannot
take new weights, so they cannot answer for a policy that changes.
"""

import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from selaras.core.errors import ModelError, one_line
from selaras.core.fingerprint import seed_from
from selaras.core.rl import RLSettings
from selaras.core.system import Sampling
from selaras.models.keys import bound_variable
from selaras.models.remote_address import Address
from selaras.tune.policy import Policy

TIMEOUT = 600.0
HELP = (
    "start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True vllm serve BASE --enable-lora, on a disk "
    "that it shares with this process"
)


def served_sampler(settings: RLSettings, folder: Path) -> Callable[[Policy], Any]:
    """Return what makes a sampler of a policy that the server of `settings.server` answers for."""
    url = str(settings.server)
    address = Address(url, bound_variable(url))
    headers = {"authorization": f"Bearer {address.key()}"}
    client = httpx.Client(base_url=address.base_url, headers=headers, timeout=TIMEOUT)

    def made(policy: Policy) -> "ServedSampler":
        return ServedSampler(policy, client, folder)

    return made


class ServedSampler:
    """Answers prompts through the server, with the policy's adapter as it is at the call."""

    def __init__(self, policy: Policy, client: httpx.Client, folder: Path) -> None:
        self.policy, self.client, self.folder = policy, client, folder
        # A server keeps the last adapter of a run that has ended, and takes no name twice.
        self._name = f"selaras-{uuid.uuid4().hex[:12]}"
        self._loaded: str | None = None
        self._calls = 0

    def __call__(self, prompts: Sequence[list[int]], sampling: Sampling) -> list[list[int]]:
        """Return one reply a prompt, ended by a stop id where one came."""
        name = self._load()
        # Equal prompts with an equal seed would get equal replies: each round has its own seed.
        rounds: list[list[int]] = []
        seen: Counter[tuple[int, ...]] = Counter()
        for i, prompt in enumerate(prompts):
            number = seen[tuple(prompt)]
            seen[tuple(prompt)] += 1
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(i)
        replies: dict[int, list[int]] = {}
        for number, own in enumerate(rounds):
            asked = [list(prompts[i]) for i in own]
            seed = seed_from(sampling.seed, number)
            replies.update(zip(own, self._complete(name, asked, sampling, seed), strict=True))
        return [replies[i] for i in range(len(prompts))]

    def _complete(
        self, name: str, prompts: list[list[int]], sampling: Sampling, seed: int
    ) -> list[list[int]]:
        found = self._post(
            "/completions",
            {
                "model": name,
                "prompt": prompts,
                "max_tokens": sampling.max_tokens,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "seed": seed,
                "stop_token_ids": sorted(self.policy.local.stop_ids),
                "return_token_ids": True,
            },
        )
        return self._replies(found, len(prompts), sampling.max_tokens)

    def _load(self) -> str:
        """Write the adapter, have the server load it, drop the one before it, return its name."""
        self._calls += 1
        name = f"{self._name}-{self._calls}"
        path = (self.folder / name).resolve()
        self.policy.model.save_pretrained(str(path), safe_serialization=True)
        self._post("/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
        if self._loaded is not None:
            self._post("/unload_lora_adapter", {"lora_name": self._loaded})
            shutil.rmtree(self.folder / self._loaded, ignore_errors=True)
        self._loaded = name
        return name

    def _replies(self, found: Any, number: int, most: int) -> list[list[int]]:
        try:
            choices = sorted(found["choices"], key=lambda choice: int(choice["index"]))
            replies = [[int(token) for token in choice["token_ids"]] for choice in choices]
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self.client.base_url}: the answer holds no token ids ({error}); a vLLM that "
                "knows return_token_ids is needed"
            ) from error
        if len(replies) != number or any(len(reply) > most or not reply for reply in replies):
            raise ModelError(f"{self.client.base_url}: {len(replies)} replies to {number} prompts, "
                             "or replies of another length than asked for")  # fmt: skip
        return replies

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            answer = self.client.post(path.removeprefix("/"), json=body)
        except httpx.HTTPError as error:
            said = one_line(str(error), 200)
            raise ModelError(f"{self.client.base_url}: no answer ({said}); {HELP}") from error
        if answer.is_error:
            said = one_line(answer.text, 200)
            raise ModelError(
                f"{self.client.base_url}{path.removeprefix('/')}: {answer.status_code} "
                f"({said}); {HELP}"
            )
        if "json" not in answer.headers.get("content-type", ""):
            return answer.text
        try:
            return answer.json()
        except ValueError as error:
            raise ModelError(
                f"{self.client.base_url}{path.removeprefix('/')}: the answer is no JSON "
                f"({one_line(answer.text, 200)}); {HELP}"
            ) from error
