"""A scripted world whose best edits are known, and an editor that says what a test wants."""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from selaras.core.journal import Journal
from selaras.core.project import UseCase
from selaras.core.records import Conversation
from selaras.core.system import Sampling
from selaras.models.protocol import Generation
from selaras.prompt.asking import Editor

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
CASE = UseCase(id="plain", title="plain")


class Saying:
    """A model that says these things in turn, the last one again and again; keeps the talks."""

    batch_size = 1

    def __init__(self, *said: str) -> None:
        self.said, self.talks = said, list[Conversation]()
        self.samplings = list[Sampling]()
        self.identity = {"name": "saying", "said": list(said)}

    def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> Iterator[Generation]:
        for index, talk in enumerate(conversations):
            text = self.said[min(len(self.talks), len(self.said) - 1)]
            self.talks.append(talk)
            self.samplings.append(sampling)
            yield Generation(index, text, "ok", "stop", 10, 5)


@pytest.fixture
def saying() -> type[Saying]:
    return Saying


@pytest.fixture
def editor(tmp_path: Path) -> Callable[..., Editor]:
    """Return a function that makes an editor which says these things in turn."""

    def made(*said: str) -> Editor:
        return Editor(Saying(*said), Journal(tmp_path / "editor.jsonl"))

    return made


@pytest.fixture(scope="session")
def world() -> ModuleType:
    name = "prompt_search_world"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        module: Any = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
