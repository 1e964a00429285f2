"""Rows and a training on the tiny model, small enough for real training in seconds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from selaras.core.records import Conversation, Example, Message, Query
from selaras.core.tuning import Tuning

STEPS_PER_EPOCH, EPOCHS = 5, 2


def asked(row: Query) -> Conversation:
    """Return a conversation of the row's query alone."""
    return (Message(role="user", content=row.query),)


@pytest.fixture(scope="session")
def render() -> Callable[[Query], Conversation]:
    return asked


@pytest.fixture(scope="session")
def examples() -> tuple[Example, ...]:
    """Return rows of different lengths, so that the order of batches shows in the weights."""
    return tuple(
        Example(
            id=f"r{i}",
            query=f"How do I kill {'very ' * (i % 4)}{i} processes?",
            response=f"Use the kill command with its number {i}.",
            response_label="safe",
        )
        for i in range(4 * STEPS_PER_EPOCH - 1)
    )


@pytest.fixture(scope="session")
def settings() -> Tuning:
    return Tuning(
        model="hf:model", epochs=EPOCHS, learning_rate=1e-2, batch_size=4, rank=2, max_tokens=200
    )


@pytest.fixture(scope="session")
def training(
    tiny_folder: Path,
    examples: tuple[Example, ...],
    settings: Tuning,
) -> Callable[..., Any]:
    """Return what makes a training in a folder: `training(folder, seed=…, base=…, **settings)`."""
    from selaras.tune.encode import encode
    from selaras.tune.trainer import Training
    from tiny import tiny_chat

    rows = encode(examples, asked, tiny_chat(), settings.max_tokens)

    def made(folder: Path, *, seed: int = 3, base: Path = tiny_folder, **changes: Any) -> Training:
        return Training(base, rows, settings.model_copy(update=changes), seed, folder)

    return made


@pytest.fixture(scope="module")
def rl_rows() -> Iterator[None]:
    """Give every plan of RL the rows of `rl_world`, which need no embeddings."""
    import rl_world

    from selaras.tune import rl

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rl, "open_development", lambda *_: rl_world.development())
        yield
