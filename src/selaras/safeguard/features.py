"""What a classifier reads of a text: its embedding, or what the guarded model holds inside.

A long text is read window by window, so that nothing hides behind a harmless beginning, and once
more in every other reading that the rules make of it (decoded, joined, digits as letters); the
strongest one counts. A probe reads the conversation as the model itself reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from selaras.core.errors import InputError
from selaras.core.fingerprint import fingerprint
from selaras.core.late import resolve
from selaras.core.records import Conversation, Message
from selaras.models.protocol import Embedder, Model
from selaras.safeguard.outcome import Material, Side
from selaras.safeguard.views import views

# Encoders by the name of their tier: an opener without arguments.
ENCODERS = {
    "minilm": "selaras.models.local_embed:open_embedder",
    "static": "selaras.models.static_embed:open_static",
}
WINDOW, OVERLAP = 1000, 200
REMEMBERED = 4096
Vectors = NDArray[np.float32]


class Features(Protocol):
    """Turns texts under check into vectors."""

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the vectors, as JSON values."""
        ...

    @property
    def quick(self) -> bool:
        """Whether reading a short text takes a millisecond or two."""
        ...

    def read(self, materials: Sequence[Material], side: Side) -> tuple[Vectors, list[int]]:
        """Return (vectors, owners): one vector a window, and the number of its material."""
        ...


@dataclass(frozen=True)
class Embedded:
    """Embeddings by an encoder: of all the user gave, or of it and of the response, side by side.

    `expected` is the encoder that a classifier was fitted on; another one is an InputError.
    """

    tier: str
    expected: Mapping[str, Any] | None = None
    encoder: Embedder | None = field(default=None, repr=False)

    @property
    def identity(self) -> dict[str, Any]:
        return {"tier": self.tier, "encoder": dict(self.expected or self._encoder.identity)}

    @property
    def quick(self) -> bool:
        return self.tier == "static"

    def read(self, materials: Sequence[Material], side: Side) -> tuple[Vectors, list[int]]:
        cut = [
            [window for text in readings(material.text) for window in windows(text)]
            for material in materials
        ]
        owners = [i for i, own in enumerate(cut) for _ in own]
        vectors = self._encoder.embed([window for own in cut for window in own])
        if side == "response":
            asked = self._encoder.embed([_asked(each.conversation) for each in materials])
            vectors = np.hstack([asked[owners], vectors])
        return vectors, owners

    @cached_property
    def _encoder(self) -> Embedder:
        found: Embedder = self.encoder or resolve(ENCODERS[self.tier])()
        same_encoder(self.expected, found.identity, f"the encoder {self.tier!r}")
        return found


@dataclass(frozen=True)
class Probed:
    """The states of a local model after a layer: at the prompt's end, and their mean.

    `opening` opens the model at the first check; `layer` counts from 1.
    """

    name: str
    layer: int
    opening: Callable[[], Model] = field(repr=False)
    expected: Mapping[str, Any] | None = None
    # The same questions come to several Systems behind one guard.
    seen: dict[str, Vectors] = field(default_factory=dict, init=False, repr=False, compare=False)
    quick: bool = field(default=False, init=False)

    @property
    def identity(self) -> dict[str, Any]:
        model = dict(self.expected or self._model.identity)
        return {"tier": "probe", "model": self.name, "encoder": model, "layer": self.layer}

    def read(self, materials: Sequence[Material], side: Side) -> tuple[Vectors, list[int]]:
        own = [
            replace(material, text=text, conversation=_said(material, text, side))
            for material in materials
            for text in readings(_last(material, side))
        ]
        owners = [i for i, each in enumerate(materials) for _ in readings(_last(each, side))]
        states: Vectors = self.states(own, side, [self.layer])[:, 0]
        return states, owners

    def states(self, materials: Sequence[Material], side: Side, layers: Sequence[int]) -> Vectors:
        """Return the states after several layers, shape (materials, layers, width)."""
        talks = [talk_of(material, side) for material in materials]
        keys = [fingerprint([list(layers), [[t.role, t.content] for t in talk]]) for talk in talks]
        new = [i for i, key in enumerate(keys) if key not in self.seen]
        if new:
            if len(self.seen) + len(new) > REMEMBERED:
                self.seen.clear()
                new = list(range(len(keys)))
            found = self._model.hidden_states([talks[i] for i in new], layers)
            self.seen.update(zip((keys[i] for i in new), found, strict=True))
        return np.stack([self.seen[key] for key in keys])

    @cached_property
    def _model(self) -> Any:
        found: Any = self.opening()
        if not hasattr(found, "hidden_states"):
            raise InputError(
                f"{self.name} shows nothing of its inside: a probe needs a local model",
                fix="fit over 'static' or 'minilm' instead",
            )
        same_encoder(self.expected, found.identity, f"the model {self.name!r}")
        return found


def talk_of(material: Material, side: Side) -> Conversation:
    """Return the conversation that a probe reads: what was asked, with the response on its side."""
    if side == "query":
        return material.conversation
    return (*material.conversation, Message(role="assistant", content=material.text))


def readings(text: str) -> list[str]:
    """Return the text as it stands, and whatever else it can be read as.

    >>> readings("Hello."), readings("h3ll0 th3r3")
    (['Hello.'], ['h3ll0 th3r3', 'hello there'])
    """
    _, *others = views(text)
    return [text, *others]


def windows(text: str) -> list[str]:
    """Return the text in overlapping windows; a short one is one window.

    >>> windows("short"), [len(window) for window in windows("a" * 1700)]
    (['short'], [1000, 900])
    """
    if len(text) <= WINDOW:
        return [text]
    step = WINDOW - OVERLAP
    return [text[start : start + WINDOW] for start in range(0, len(text) - OVERLAP, step)]


def same_encoder(expected: Mapping[str, Any] | None, found: Mapping[str, Any], what: str) -> None:
    """Raise InputError where vectors would come from another encoder than the fitted one."""
    if expected is not None and dict(expected) != dict(found):
        raise InputError(
            f"the classifier was fitted on other vectors than {what} gives here",
            fix="fit it again: selaras guard fit",
        )


def _last(material: Material, side: Side) -> str:
    """Return what a probe may read otherwise: the response, or the last turn that asks."""
    if side == "response" or not material.conversation:
        return material.text
    return material.conversation[-1].content


def _said(material: Material, text: str, side: Side) -> Conversation:
    """Return the conversation with its last turn read so, on the side of what is asked."""
    if side == "response" or not material.conversation:
        return material.conversation
    *before, last = material.conversation
    return (*before, last.model_copy(update={"content": text}))


def _asked(conversation: Conversation) -> str:
    turns = [turn.content for turn in conversation if turn.role == "user"]
    return turns[-1][-WINDOW:] if turns else ""
