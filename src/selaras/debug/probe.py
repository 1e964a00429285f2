"""One prompt, its responses and a model: what the methods ask, and what it cost.

A probe answers masks with per-token log-probabilities. A local model runs them (`LocalProbe`); an
endpoint is asked over HTTP (`remote.RemoteProbe`). Gradients only a local model has. Everything is
computed in float32 whatever the weights were stored in: in half precision gradients underflow and
differences of a hundredth of a nat drown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError, MissingExtraError
from selaras.core.fingerprint import fingerprint
from selaras.core.progress import SILENT, Progress
from selaras.debug.segments import PromptView, Segment
from selaras.debug.store import AblationStore
from selaras.debug.target import Array, Target, value

Rows = NDArray[np.bool_]


@dataclass(slots=True)
class Cost:
    """What was run: prompts read, backward passes.

    `bounded` counts values that are only a bound: an endpoint did not tell the target's own.
    """

    forwards: int = 0
    backwards: int = 0
    bounded: int = 0


class Probe(Protocol):
    """What attribution needs of a prompt under a model."""

    view: PromptView
    target: Target
    cost: Cost

    def ask(self, segments: Sequence[Segment], rows: Rows) -> list[Array]:
        """Return per-token log-probabilities, (rows, tokens) a response; True in a row is kept."""
        ...


@dataclass(slots=True)
class LocalProbe:
    """A prompt under a model in this process. Raises InputError where it passes the context."""

    model: Any  # a LocalModel
    view: PromptView
    target: Target
    store: AblationStore
    progress: Progress = SILENT
    cost: Cost = field(default_factory=Cost)

    def __post_init__(self) -> None:
        config = self.model.model.config.get_text_config()
        most = int(getattr(config, "max_position_embeddings", 0) or 1 << 20)
        longest = max(len(response.ids) for response in self.target.responses)
        if len(self.view.tokens.ids) + longest > most:
            raise InputError(
                f"{len(self.view.tokens.ids)} prompt tokens and {longest} of the response pass the "
                f"model's context of {most}", fix="shorten the prompt, or take a model that reads "
                "more",
            )  # fmt: skip

    def ask(self, segments: Sequence[Segment], rows: Rows) -> list[Array]:
        """Return per-token log-probabilities; what the store holds is not run again."""
        from selaras.debug.forward import chunks_of, kept_ids, log_probabilities

        rows = np.atleast_2d(np.asarray(rows, dtype=bool))
        responses = [response.ids for response in self.target.responses]
        chunks = chunks_of(self.view.tokens.ids, [segment.tokens for segment in segments])
        keys = []
        for row in rows:
            kept = kept_ids(chunks, row)
            keys.append(tuple(self.store.key(kept, response) for response in responses))
        missing = {
            key: n for n, key in enumerate(keys)
            if any(self.store.get(each) is None for each in key)
        }  # fmt: skip
        todo = list(missing.values())
        if todo:
            with self.progress.task("ablations", len(todo)) as task:
                found = log_probabilities(
                    self.model.model, chunks, rows[todo], responses, task.advance
                )
                for part, values in found:
                    self.cost.forwards += len(part)
                    self.store.put({
                        each: values[r][i]
                        for i, n in enumerate(part)
                        for r, each in enumerate(keys[todo[n]])
                    })  # fmt: skip
        return [
            np.stack([np.asarray(self.store.get(key[r]), dtype=np.float64) for key in keys])
            for r in range(len(responses))
        ]


def values(probe: Probe, segments: Sequence[Segment], rows: Rows) -> Array:
    """Return the objective f (nats) of each row of masks."""
    return value(probe.target, probe.ask(segments, rows))


def full_value(probe: Probe, segments: Sequence[Segment]) -> float:
    """Return the objective of the whole prompt."""
    return float(values(probe, segments, np.ones((1, len(segments)), bool))[0])


def prepared(model: Any) -> Any:
    """Return a local model ready for debugging: float32, frozen; raises InputError for others."""
    try:
        from selaras.models.local import LocalModel
        from selaras.models.local_torch import torch
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "local") from error
    if not isinstance(model, LocalModel):
        raise InputError(
            "this model has no weights here, so it has no gradients and no ablations of tokens",
            fix="debug a local model, or name one as --proxy",
        )
    if model.model.dtype is not torch.float32:
        model.model = model.model.float()
    model.model.requires_grad_(False)
    return model


def identity_of(model: Any) -> str:
    """Return the key under which a local model's ablations are stored."""
    return fingerprint({**model.identity, "computed": "float32", "forward": 1}, 64)
