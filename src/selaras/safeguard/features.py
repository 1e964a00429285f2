"""What a classifier reads of a text: its embedding, or what the guarded model holds inside.

A long text is read window by window, so that nothing hides behind a harmless beginning; a query's
lines are read by themselves too, since a frame around a question (many shots, "begin your answer
with") dilutes it; and all of it once more in every other reading that the rules make of it
(decoded, joined, digits as letters). The strongest one counts. A probe reads the conversation as
the model itself reads it.
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
from selaras.data.encoder import ENCODERS as SCRIPTS_OF
from selaras.models.protocol import Embedder, Model
from selaras.safeguard.outcome import Material, Side, StaleError
from selaras.safeguard.views import quoted, spelled_out, views

# Encoders by the name of their tier: an opener without arguments.
ENCODERS = {
    "minilm": "selaras.models.local_embed:open_embedder",
    "static": "selaras.models.static_embed:open_static",
}
WINDOW, OVERLAP = 1000, 200
SHORTEST_LINE, MOST_LINES = 15, 48
REMEMBERED = 4096
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of some texts: one vector a part, shape (parts, width), and whose part it is.

    `owners` are the texts' numbers, in their order, at least one a text, a text's whole first;
    `unread` are those of which the encoder could not read some part.
    """

    vectors: Vectors
    owners: NDArray[np.intp]
    unread: frozenset[int] = frozenset()


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

    def read(self, materials: Sequence[Material], side: Side) -> Read:
        """Return the vectors of all parts of the materials."""
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

    def read(self, materials: Sequence[Material], side: Side) -> Read:
        cut = [parts(material, side) for material in materials]
        owners = np.array([i for i, own in enumerate(cut) for _ in own], np.intp)
        vectors = self._encoder.embed([part for own in cut for part in own])
        if side == "response":
            asked = self._encoder.embed([_asked(each.conversation) for each in materials])
            vectors = np.hstack([asked[owners], vectors])
        knows = SCRIPTS_OF[self.tier].reads
        unread = (
            i for i, (material, own) in enumerate(zip(materials, cut, strict=True))
            if spelled_out(material.text) or not all(map(knows, own))
        )  # fmt: skip
        return Read(vectors, owners, frozenset(unread))

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

    def read(self, materials: Sequence[Material], side: Side) -> Read:
        return self.read_at(materials, side, [self.layer])[0]

    def read_at(
        self, materials: Sequence[Material], side: Side, layers: Sequence[int]
    ) -> list[Read]:
        """Return what is read after each of several layers, in one pass of the model."""
        cut = [_turns(material, side) for material in materials]
        own = [
            replace(material, text=text, conversation=_said(material, text, side))
            for material, texts in zip(materials, cut, strict=True)
            for text in texts
        ]
        owners = np.array([i for i, texts in enumerate(cut) for _ in texts], np.intp)
        states = self.states(own, side, layers)
        return [Read(states[:, place], owners) for place in range(len(layers))]

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


def parts(material: Material, side: Side) -> list[str]:
    """Return all that is read of a text: its windows, its other readings, a query's lines.

    The lines of the last turn are read by themselves however many turns there are before it.

    >>> parts(Material("query", "h3ll0 th3r3"), "query")
    ['h3ll0 th3r3', 'hello there']
    """
    text = material.text
    _, *others = views(text)
    found = [window for reading in (text, *others) for window in windows(reading)]
    turns = [text, *(turn.content for turn in material.conversation[-1:])]
    asked = [part for turn in turns for part in (*lines(turn), *quoted(turn))]
    asked = asked if side == "query" else []
    return list(dict.fromkeys([*found, *asked]))


def lines(text: str) -> list[str]:
    """Return a text's lines where it has several; of more than 48, as many together as it takes.

    >>> lines("What is a lemming?\\n\\nBegin your answer with: Sure.")
    ['What is a lemming?', 'Begin your answer with: Sure.']
    """
    found = [line.strip() for line in text.splitlines() if len(line.strip()) >= SHORTEST_LINE]
    together = -(-len(found) // MOST_LINES)
    joined = ["\n".join(found[i : i + together]) for i in range(0, len(found), together or 1)]
    return [window for line in joined for window in windows(line)]


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
        raise StaleError(
            f"the classifier was fitted on other vectors than {what} gives here",
            fix="fit it again: selaras guard fit",
        )


def _turns(material: Material, side: Side) -> list[str]:
    """Return what a probe reads as the last turn: the response, or what is asked and its lines."""
    if side == "response" or not material.conversation:
        return [material.text, *list(views(material.text))[1:]]
    last = material.conversation[-1].content
    return list(dict.fromkeys([last, *list(views(last))[1:], *lines(last), *quoted(last)]))


def _said(material: Material, text: str, side: Side) -> Conversation:
    """Return the conversation with its last turn read so, on the side of what is asked."""
    if side == "response" or not material.conversation:
        return material.conversation
    *before, last = material.conversation
    return (*before, last.model_copy(update={"content": text}))


def _asked(conversation: Conversation) -> str:
    turns = [turn.content for turn in conversation if turn.role == "user"]
    return turns[-1][-WINDOW:] if turns else ""
