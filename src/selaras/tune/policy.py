"""The policy of on-policy RL: a base with a LoRA adapter, its reference what it started from.

One copy of the weights serves as policy, reference and sampler: with the adapter off it is the
reference, so a reference costs no memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selaras.core.errors import MissingExtraError, SelarasError, one_line
from selaras.core.files import read_json, replacing, write_json
from selaras.core.tuning import Tuning
from selaras.models.local import LocalModel, best_device, best_dtype
from selaras.models.local_adapter import ADAPTER, COMPLETE, tensors_of
from selaras.models.local_chat import ChatTokenizer
from selaras.models.local_torch import torch
from selaras.models.local_weights import load_weights
from selaras.tune.replies import reply_log_probabilities
from selaras.tune.response_loss import parts_of_alike_length
from selaras.tune.trainable import lora, with_adapter

try:
    import peft
    from safetensors.torch import save
except ImportError as error:
    raise MissingExtraError(error.name or "peft", "tune") from error

STATE, OPTIMIZER = "rl_state.json", "optimizer.safetensors"
# The frozen copy of an adapter that training goes on from.
REFERENCE = "reference"
# Rows without gradients at once: their activations are not kept.
SCORED_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and a reply as token ids; `finished` says that the reply ends by itself."""

    prompt: tuple[int, ...]
    reply: tuple[int, ...]
    finished: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A model with a trainable adapter; `local` samples from it, `causal` is its plain forward."""

    model: Any
    causal: Any
    local: LocalModel

    @property
    def parameters(self) -> dict[str, Any]:
        """The weights that are trained, by name."""
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        """Be what training started from while the block runs; no gradients pass through it."""
        if REFERENCE not in self.model.peft_config:
            with self.model.disable_adapter():
                yield
            return
        self.model.set_adapter(REFERENCE)
        try:
            yield
        finally:
            self.model.set_adapter("default")

    def log_probabilities(self, exchanges: Sequence[Exchange], temperature: float) -> list[Any]:
        """Return the log-probability of every token of each reply, one tensor an exchange.

        A prompt that several replies share is read once. Gradients pass where they are enabled.
        """
        return reply_log_probabilities(
            self.causal, [e.prompt for e in exchanges], [e.reply for e in exchanges], temperature
        )

    def reference_log_probabilities(
        self, exchanges: Sequence[Exchange], temperature: float = 1.0
    ) -> list[Any]:
        """Return what `log_probabilities` returns for the reference, without gradients."""
        with self.as_reference():
            return self.own_log_probabilities(exchanges, temperature)

    def own_log_probabilities(
        self, exchanges: Sequence[Exchange], temperature: float = 1.0
    ) -> list[Any]:
        """Return what `log_probabilities` returns, without gradients and in small parts."""
        found: dict[int, Any] = {}
        lengths = [len(e.prompt) + len(e.reply) for e in exchanges]
        with torch.no_grad():
            for part in parts_of_alike_length(lengths, SCORED_TOKENS):
                told = self.log_probabilities([exchanges[i] for i in part], temperature)
                found.update(zip(part, told, strict=True))
        return [found[i] for i in range(len(exchanges))]


def open_policy(
    base: Path, settings: Tuning, seed: int, checkpoint: Path | None = None, *,
    adapter: Path | None = None, chat_template: str | None = None,
) -> Policy:  # fmt: skip
    """Return a policy that starts as its base, or as it was at a checkpoint.

    With `adapter` it goes on from that one, and what it starts as is the reference: the base with
    a second, frozen copy of the adapter.
    """
    model, tokenizer = load_weights(base, best_dtype())
    if chat_template is not None:
        tokenizer.chat_template = chat_template
    local = LocalModel(model.to(best_device()), ChatTokenizer(tokenizer), {"policy": base.name})
    # The adapter's first weights are drawn from torch's generator.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if adapter is None:
            wrapped = peft.get_peft_model(model, lora(model, settings, "CAUSAL_LM"))
        else:
            wrapped = with_adapter(model, adapter, base)
            wrapped.load_adapter(str(adapter), adapter_name=REFERENCE, local_files_only=True)
    wrapped.eval()
    if checkpoint is not None:
        weights = tensors_of(checkpoint / ADAPTER)
        peft.set_peft_model_state_dict(wrapped, weights)
    return Policy(wrapped, wrapped.get_base_model(), local)


def save_policy(policy: Policy, optimizer: Any, folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint that PEFT opens and that training goes on from; marked whole at the end.

    Optimiser state is safetensors like the weights: nothing here is a pickle.
    """
    moments = {
        f"{name}/{key}": value.detach().clone().contiguous().cpu()
        for name, weight in policy.parameters.items()
        for key, value in optimizer.state.get(weight, {}).items()
    }
    try:
        policy.model.save_pretrained(
            str(folder), safe_serialization=True, selected_adapters=["default"]
        )
        with replacing(folder / OPTIMIZER, "wb") as sink:
            sink.write(save(moments))
        write_json(folder / STATE, state)
        write_json(folder / COMPLETE, {"step": state["step"]})
    except Exception as error:  # safetensors raises a class of its own where the disk is full
        raise SelarasError(
            f"{folder}: the checkpoint cannot be written ({one_line(str(error), 200)}): make room, "
            "and go on from the last whole one with --resume"
        ) from error


def restore_optimizer(policy: Policy, optimizer: Any, folder: Path) -> dict[str, Any]:
    """Put a checkpoint's moments into the optimiser and return the state beside them."""
    moments = tensors_of(folder / OPTIMIZER)
    for name, weight in policy.parameters.items():
        own = {
            key.rpartition("/")[2]: value
            for key, value in moments.items()
            if key.rpartition("/")[0] == name
        }
        optimizer.state[weight] = {
            # AdamW keeps its count of steps on the CPU.
            key: value if key == "step" else value.to(weight.device)
            for key, value in own.items()
        }
    state: dict[str, Any] = read_json(folder / STATE)
    return state
