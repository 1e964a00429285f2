"""Reward models that run here: a base with a LoRA adapter and a head of one number.

The reward is read off the last token of the exchange, the one that ends the response. The folder is
PEFT's own for sequence classification, so that other tools open it too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError, MissingExtraError, ModelError, one_line
from selaras.core.fingerprint import sha256_file
from selaras.core.records import Conversation
from selaras.models.catalogue import bundled
from selaras.models.local import best_device, best_dtype, pad_id, pad_right
from selaras.models.local_adapter import weights_file
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_open import REWARD, base_folder, finished_tuning, refuse_changed
from selaras.models.local_states import by_length
from selaras.models.local_torch import give_back_memory, torch, transformers
from selaras.models.local_weights import context_of, weights_hash
from selaras.models.names import Place

BATCH = 16


class LocalRewarder:
    """A reward model in this process; weights are its own, nothing is fetched."""

    def __init__(self, model: Any, chat: ChatTokenizer, identity: dict[str, Any]) -> None:
        self.model = model.eval()
        self.chat = chat
        self.identity = identity
        self._pad = pad_id(chat.tokenizer)
        self._context = context_of(model.config)

    def fits(self, conversation: Conversation, response: str) -> bool:
        """Return whether an exchange fits the context."""
        return len(exchange_ids(self.chat, conversation, response)) <= self._context

    def reward(
        self, conversations: Sequence[Conversation], responses: Sequence[str]
    ) -> list[float]:
        """Return the reward of each exchange; raises ModelError where one passes the context."""
        rows = [
            exchange_ids(self.chat, conversation, response)
            for conversation, response in zip(conversations, responses, strict=True)
        ]
        for i, row in enumerate(rows):
            if len(row) > self._context:
                raise ModelError(
                    f"exchange {i + 1} has {len(row)} tokens and passes the context of "
                    f"{self._context}"
                )
        states = last_states(self.model, rows, self._pad)
        with torch.inference_mode():
            found: list[float] = self.model.score(torch.from_numpy(states).to(self.model.device))[
                :, 0
            ].tolist()
        return found


def last_states(model: Any, rows: Sequence[Sequence[int]], pad: int) -> NDArray[np.float32]:
    """Return what the model holds at the last token of each row, shape (rows, width)."""
    found = np.zeros((len(rows), int(model.config.hidden_size)), dtype=np.float32)
    for batch in by_length([len(row) for row in rows], BATCH):
        ids, mask = pad_right([rows[i] for i in batch], pad, model.device)
        with torch.inference_mode():
            states = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
            last = states[torch.arange(len(batch)), mask.sum(-1) - 1]
        found[list(batch)] = last.float().cpu().numpy()
    return found


def exchange_ids(chat: ChatTokenizer, conversation: Conversation, response: str) -> list[int]:
    """Return the ids that a reward is read off: the prompt, the response, the end of its turn."""
    return [*chat.prompt_ids(conversation), *chat.reply_ids(response)]


def open_run_reward(argument: str, place: Place) -> LocalRewarder:
    """Return the reward model that the run of that id made; raises InputError for another run."""
    manifest = finished_tuning(argument, place)
    if manifest.config.get("method") != REWARD:
        raise InputError(
            f"run {argument!r} made a model that answers, not a reward model",
            fix="train one with: selaras tune reward",
        )
    adapter = place.runs / argument / manifest.config["chosen"]["adapter"]
    base = str(manifest.config["model"])
    scheme, _, name = base.partition(":")
    shown = bundled(name).identity if scheme == "bundled" else base
    template = manifest.config.get("chat_template")
    found = open_reward(base_folder(base, place), adapter, shown, template)
    refuse_changed(manifest, found.identity, adapter)
    return found


def open_reward(
    base: Path, adapter: Path, name: str, chat_template: str | None = None
) -> LocalRewarder:
    """Return the reward model of a base and an adapter's folder, merged in float32.

    `chat_template` is one that was attached to a base without.
    Raises InputError where the adapter does not fit, ModelError where the base cannot be loaded.
    """
    give_back_memory()
    weights = weights_file(adapter)
    model, tokenizer = load_scalar(base, torch.float32)
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    dtype = best_dtype()
    model = _merged(model, adapter)
    for weight in model.base_model.parameters():
        weight.data = weight.data.to(dtype)
    identity = {
        "name": name,
        "weights": weights_hash(base),
        "adapter": sha256_file(weights),
        "dtype": str(dtype).removeprefix("torch."),
        "reward": True,
    }
    return LocalRewarder(model.to(best_device()), ChatTokenizer(tokenizer), identity)


def load_scalar(folder: Path, dtype: Any) -> tuple[Any, Any]:
    """Return (model with a head of one number, tokenizer) from a base in HF layout.

    The head is new, drawn from torch's generator, and in float32 whatever `dtype` is.
    """
    if not (folder / "config.json").is_file():
        raise InputError("not a model folder (no config.json)", path=folder)
    given = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = tokenizer_of(folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=1, dtype=dtype, use_safetensors=True, **given
        )
    except Exception as error:  # safetensors and tokenizers raise classes of their own
        raise ModelError(f"{folder}: cannot be loaded ({one_line(str(error), 200)})") from error
    if not hasattr(model, "score"):
        raise ModelError(f"{folder}: the architecture has no head for rewards in transformers")
    model.config.pad_token_id = pad_id(tokenizer)
    model.score = model.score.float()
    return model, tokenizer


def tokenizer_of(folder: Path) -> Any:
    """Return the tokenizer of a base in HF layout, without opening its weights."""
    return transformers.AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )


def _merged(model: Any, adapter: Path) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise MissingExtraError("peft", "local") from error
    try:
        wrapped = PeftModel.from_pretrained(model, str(adapter), local_files_only=True)
    except Exception as error:
        reason = one_line(str(error), 200)
        raise InputError(f"the adapter does not fit this model ({reason})", path=adapter) from error
    return wrapped.merge_and_unload().requires_grad_(False)
