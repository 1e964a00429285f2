"""Models that run here through transformers: generation, scoring, adapters.

Batches come planned from the caller, because in bf16 the size of a batch changes greedy outputs; a
batch is padded on the left and run as it is given. Weights are safetensors only, no remote code.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import ModelError
from selaras.core.files import read_json
from selaras.core.fingerprint import fingerprint, seed_from, sha256_file
from selaras.core.records import Conversation, Message
from selaras.core.system import Sampling
from selaras.models.answer import failed
from selaras.models.local_adapter import Adapter, merged, weights_file
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_prefix import read_prefix, shared_prefix, with_prefix
from selaras.models.local_states import by_length, states_after
from selaras.models.local_torch import give_back_memory, torch, transformers
from selaras.models.local_weights import context_of, load_weights, weights_hash
from selaras.models.protocol import CandidateScores, Choice, Finish, Generation

BATCH, SCORED, STATES = 128, 32, 32
FIRST_TOKENS = 20


class LocalModel:
    """A causal language model in this process."""

    def __init__(self, model: Any, chat: ChatTokenizer, identity: dict[str, Any]) -> None:
        self.model = model.eval()
        self.chat = chat
        self._identity = identity
        self._pad = pad_id(chat.tokenizer)
        self._stop = sorted(stop_ids(model, chat.tokenizer))
        # Its author's defaults (a repetition penalty, say) would change what Sampling promises.
        model.generation_config = transformers.GenerationConfig()
        self._preambles: dict[Conversation, int] = {}
        self._context = context_of(model.config)

    @property
    def identity(self) -> dict[str, Any]:
        return self._identity

    @property
    def batch_size(self) -> int:
        return BATCH

    @property
    def depth(self) -> int:
        """How many layers it has."""
        return int(self.model.config.num_hidden_layers)

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        """Yield one Generation a conversation; consecutive `batch_size` rows run together."""
        for start in range(0, len(conversations), BATCH):
            prompts: dict[int, list[int]] = {}
            for i, conversation in enumerate(conversations[start : start + BATCH], start):
                try:
                    prompts[i] = self._prompt(conversation, sampling.max_tokens)
                except ModelError as error:
                    yield failed(i, str(error))
            if prompts:
                replies = self._batch(list(prompts.values()), sampling)
                for (i, ids), reply in zip(prompts.items(), replies, strict=True):
                    yield self._generation(i, len(ids), reply)

    def sample(self, prompts: Sequence[list[int]], sampling: Sampling) -> list[list[int]]:
        """Return the ids of a reply to each prompt, with the id that ends it where one does.

        Consecutive `batch_size` prompts run together, and draw from the sampling's seed alone.
        """
        found: list[list[int]] = []
        for start in range(0, len(prompts), BATCH):
            for reply in self._batch(list(prompts[start : start + BATCH]), sampling):
                end = next((i + 1 for i, token in enumerate(reply) if token in self._stop), None)
                found.append(reply[:end])
        return found

    @property
    def stop_ids(self) -> frozenset[int]:
        """The ids that end a reply."""
        return frozenset(self._stop)

    def score(self, choices: Sequence[Choice]) -> Iterator[CandidateScores]:
        """Yield the summed log-probability of each candidate as the model's whole reply.

        The prompt is run once and its keys and values are shared by its candidates. A choice that
        does not fit the context is an error of its own.
        """
        for start in range(0, len(choices), SCORED):
            fitting: dict[int, Choice] = {}
            for i, choice in enumerate(choices[start : start + SCORED], start):
                try:
                    longest = max(len(self.chat.reply_ids(text)) for text in choice.candidates)
                    self._prompt(choice.conversation, longest)
                    fitting[i] = choice
                except ModelError as error:
                    yield CandidateScores(i, (), (), str(error))
            if fitting:
                scores = self._score_batch(list(fitting.values()))
                for i, (log_probabilities, tokens) in zip(fitting, scores, strict=True):
                    yield CandidateScores(i, log_probabilities, tokens)

    def first_tokens(self, conversations: Sequence[Conversation]) -> Iterator[Generation]:
        """Yield greedy replies of one token with the likeliest first tokens, by batches."""
        for start in range(0, len(conversations), BATCH):
            prompts: dict[int, list[int]] = {}
            for i, conversation in enumerate(conversations[start : start + BATCH], start):
                try:
                    prompts[i] = self._prompt(conversation, 1)
                except ModelError as error:
                    yield failed(i, str(error))
            if prompts:
                found = self._likeliest(list(prompts.values()))
                for (i, ids), first in zip(prompts.items(), found, strict=True):
                    text = first[0][0] if first[0][0].strip() else "(blank)"
                    yield Generation(i, text, "ok", "length", len(ids), 1, first=first)

    def hidden_states(
        self, conversations: Sequence[Conversation], layers: Sequence[int]
    ) -> NDArray[np.float32]:
        """Return what the model holds at a prompt's end and on average, after some layers.

        Shape (conversations, layers, 2 x width): the last position's state, then the mean over the
        positions after the system prompt. Layer 1 is the first block's output; the blocks above the
        last wanted one are not run. A prompt that does not fit the context raises ModelError.
        """
        prompts = [self._prompt(conversation, 0) for conversation in conversations]
        lengths = [len(prompt) for prompt in prompts]
        starts = [self._begins(conversation) for conversation in conversations]
        width = int(self.model.config.hidden_size)
        found = np.zeros((len(prompts), len(layers), 2 * width), dtype=np.float32)
        for batch in by_length(lengths, STATES):
            with torch.inference_mode():
                own = [starts[i] for i in batch]
                read = self._read([prompts[i] for i in batch], most=min(own))
                found[list(batch)] = states_after(self.model, read, own, layers)
        return found

    def _begins(self, conversation: Conversation) -> int:
        """Return how many ids stand before the first turn that is not the system's."""
        system = tuple(itertools.takewhile(lambda turn: turn.role == "system", conversation))
        if system not in self._preambles:
            two = [self._prompt((*system, Message(role="user", content=c)), 0) for c in "ax"]
            self._preambles[system] = len(shared_prefix(two))
        return self._preambles[system]

    def _prompt(self, conversation: Conversation, new: int) -> list[int]:
        ids = self.chat.prompt_ids(conversation)
        if len(ids) + new > self._context:
            raise ModelError(
                f"{len(ids)} prompt tokens and {new} new ones pass the context of {self._context}"
            )
        return ids

    def _read(self, prompts: list[list[int]], most: int | None = None) -> tuple[Any, Any, int, Any]:
        """Return (ids, mask, length of the shared prefix, its cache), rows padded after it."""
        prefix, cache = read_prefix(self.model, prompts, most)
        ids, mask = pad_left([row[prefix:] for row in prompts], self._pad, self.model.device)
        return *with_prefix(prefix, prompts, ids, mask), prefix, cache

    def _batch(self, prompts: list[list[int]], sampling: Sampling) -> list[list[int]]:
        greedy = sampling.temperature == 0.0
        config = transformers.GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=not greedy,
            temperature=None if greedy else sampling.temperature,
            top_p=None if greedy else sampling.top_p,
            top_k=None if greedy else 0,
            pad_token_id=self._pad,
            eos_token_id=self._stop,
        )
        device = self.model.device
        devices = [device] if device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            # The stream depends on the batch's content, so that a resumed run draws the same.
            torch.manual_seed(seed_from(sampling.seed, prompts))
            ids, mask, _, cache = self._read(prompts)
            output = self.model.generate(
                input_ids=ids, attention_mask=mask, generation_config=config, past_key_values=cache
            )
        return [row[ids.shape[1] :].tolist() for row in output]

    def _likeliest(self, prompts: list[list[int]]) -> list[tuple[tuple[str, float], ...]]:
        ids, mask = pad_left(prompts, self._pad, self.model.device)
        with torch.inference_mode():
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            output = self.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1
            )
            top = output.logits[:, -1].float().log_softmax(-1).topk(FIRST_TOKENS)
        decode = self.chat.tokenizer.decode
        return [
            tuple((decode([token]), value) for token, value in zip(tokens, values, strict=True))
            for tokens, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)
        ]

    def _generation(self, index: int, prompt_tokens: int, reply: list[int]) -> Generation:
        length = next((i for i, token in enumerate(reply) if token in self._stop), len(reply))
        text = self.chat.tokenizer.decode(reply[:length], skip_special_tokens=True)
        finish: Finish = "stop" if length < len(reply) else "length"
        if not text.strip():
            return Generation(
                index, "", "error", finish, prompt_tokens, length, "the response is empty"
            )
        return Generation(index, text, "ok", finish, prompt_tokens, length)

    def _score_batch(
        self, choices: Sequence[Choice]
    ) -> list[tuple[tuple[float, ...], tuple[int, ...]]]:
        prompts = [self.chat.prompt_ids(choice.conversation) for choice in choices]
        replies = [[self.chat.reply_ids(text) for text in choice.candidates] for choice in choices]
        owner = torch.tensor([i for i, own in enumerate(replies) for _ in own])
        flat = [reply for own in replies for reply in own]
        tail, tail_mask = pad_right(flat, self._pad, self.model.device)
        with torch.inference_mode():
            ids, mask, prefix, cache = self._read(prompts)
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            first = self.model(
                input_ids=ids[:, prefix:], attention_mask=mask, position_ids=positions[:, prefix:],
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            cache = first.past_key_values
            cache.batch_select_indices(owner)
            wide = torch.cat([mask[owner], tail_mask], dim=1)
            after = torch.arange(1, tail.shape[1] + 1, device=tail.device)
            rest = self.model(
                input_ids=tail, attention_mask=wide, past_key_values=cache,
                position_ids=positions[owner, -1:] + after,
            )  # fmt: skip
            logits = torch.cat([first.logits[owner], rest.logits[:, :-1]], dim=1).float()
            picked = logits.gather(-1, tail[..., None])[..., 0] - logits.logsumexp(-1)
            sums = (picked * tail_mask).sum(-1).tolist()
        counts = tail_mask.sum(-1).tolist()
        bounds = [0, *itertools.accumulate(len(own) for own in replies)]
        return [
            (tuple(sums[start:end]), tuple(counts[start:end]))
            for start, end in itertools.pairwise(bounds)
        ]


def open_local(
    folder: Path, *, name: str | None = None, adapter: Adapter | None = None,
    chat_template: str | None = None,
) -> LocalModel:  # fmt: skip
    """Return the model in a folder (HF layout), with an adapter merged in where one is given.

    `chat_template` stands in for the model's own (Jinja).

    Raises InputError where the folder is not a model, ModelError where it cannot be loaded.
    """
    give_back_memory()
    dtype = best_dtype()
    model, tokenizer = load_weights(folder, torch.float32 if adapter else dtype)
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    identity: dict[str, Any] = {
        "name": name or f"hf:{folder.name}",
        "weights": weights_hash(folder),
        "config": _config_hash(folder),
        "dtype": str(dtype).removeprefix("torch."),
        "chat": fingerprint(str(getattr(tokenizer, "chat_template", None))),
    }
    if adapter:
        # Merged in float32: rounding the small product first would lose part of the tuning.
        model = merged(model, adapter, folder)
        # Weights only: model.to(dtype) would round the positions' frequencies too, as loading does
        # not, and a tuned model would then differ from its base in more than the tuning.
        for weight in model.parameters():
            weight.data = weight.data.to(dtype)
        identity |= {
            "adapter": sha256_file(weights_file(adapter.folder)),
            "adapter_scale": adapter.scale,
        }
    return LocalModel(model.to(best_device()), ChatTokenizer(tokenizer), identity)


def best_device() -> str:
    """Return cuda where there is a GPU, else cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def best_dtype() -> Any:
    """Return bfloat16 where the processor multiplies it in hardware, else float32."""
    if torch.cuda.is_available():
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return torch.float32
    return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32


def _config_hash(folder: Path) -> str:
    """Return the identity of what turns weights into outputs: architecture, stop tokens."""
    found = []
    for name in ("config.json", "generation_config.json"):
        value = read_json(folder / name) if (folder / name).is_file() else {}
        found.append({key: item for key, item in value.items() if key != "transformers_version"})
    return fingerprint(found)


def pad_id(tokenizer: Any) -> int:
    """Return an id to pad with that does not end a turn, where the vocabulary has one."""
    for candidate in (tokenizer.pad_token_id, tokenizer.unk_token_id):
        if candidate is not None and candidate != tokenizer.eos_token_id:
            return int(candidate)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    return int(end if isinstance(end, int) else tokenizer.eos_token_id)


def stop_ids(model: Any, tokenizer: Any) -> set[int]:
    """Return every id that ends a reply: the tokenizer's and the generation config's."""
    found = {tokenizer.eos_token_id}
    configured = getattr(model.generation_config, "eos_token_id", None)
    found.update(configured if isinstance(configured, list) else [configured])
    return {int(token) for token in found if token is not None}


def pad_left(rows: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Any, Any]:
    """Return (ids, mask) of shape (rows, longest), text at the right end."""
    longest = max(len(row) for row in rows)
    ids = [[pad] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def pad_right(rows: Sequence[Sequence[int]], pad: int, device: Any) -> tuple[Any, Any]:
    """Return (ids, mask) of shape (rows, longest), text at the left end."""
    longest = max(len(row) for row in rows)
    ids = [list(row) + [pad] * (longest - len(row)) for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
