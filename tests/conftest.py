"""What several stages' tests share: the tiny model, made once a session and only where it is used.

This file also puts `tests/` on the path, so that a test can say `from tiny import …`; a module that
does so imports torch, which the tests of the light stages must not.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# They are loaded, and hold no doctests: several of one name cannot be collected as modules as well.
collect_ignore_glob = ["*conftest.py"]

# How long one example takes says nothing on a machine that does other work as well.
settings.register_profile("selaras", deadline=None)
# What lands is decided on the same examples each time; chance looks for new ones everywhere else.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "selaras"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny model's folder in Hugging Face layout; copy it before changing it."""
    from tiny import make_tiny

    return make_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Run torch in one thread: on so small a model a second one only waits for the first."""
    from selaras.models.local_torch import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
