"""The static encoder: the mean of its token vectors, without torch and without its package."""

import functools
import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selaras.core.errors import InputError, MissingExtraError
from selaras.models.names import EMBEDDERS, open_embedder
from selaras.models.static_embed import BATCH, StaticEmbedder, open_static


@functools.cache
def encoder() -> StaticEmbedder:
    return open_static()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=6))
def test_vectors_are_unit_or_nothing_whatever_the_batch(texts: list[str]) -> None:
    together = encoder().embed(texts)
    assert together.shape == (len(texts), 256)
    assert together.dtype == np.float32
    lengths = np.linalg.norm(together, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal(encoder().embed([text])[0], vector)


def test_it_is_the_mean_of_its_token_vectors() -> None:
    text = "which setting do i iron silk on"
    ids = encoder()._tokenizer.encode(text, add_special_tokens=False).ids
    mean = encoder()._table[ids].astype(np.float64).mean(axis=0)
    found = encoder().embed([text.upper() + "?!"])[0]
    assert np.allclose(found, mean / np.linalg.norm(mean), atol=1e-6)


def test_meaning_orders_texts() -> None:
    asked, same, other = encoder().embed([
        "How do I get mould off the bathroom wall?",
        "What removes mildew from bathroom walls?",
        "Which bond fund has the lowest fees?",
    ])  # fmt: skip
    assert asked @ same > asked @ other + 0.3


def test_empty_huge_and_foreign_texts() -> None:
    texts = ["", "   ", "🙂🙂", "كيف حالك", "x" * 2_000_000, "word " * 300_000]
    lengths = np.linalg.norm(encoder().embed(texts * (BATCH // 4)), axis=1)[: len(texts)]
    assert lengths[:2].tolist() == [0, 0]
    assert np.allclose(lengths[2:], 1)


def test_names() -> None:
    assert set(EMBEDDERS) == {"minilm", "static"}
    assert isinstance(open_embedder("static"), StaticEmbedder)
    assert open_embedder("static").identity == encoder().identity
    assert len(encoder().identity["weights"]) == 64
    with pytest.raises(InputError, match="no encoder 'nope'"):
        open_embedder("nope")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", nothing)
    with pytest.raises(MissingExtraError, match=r"wordllama.*selaras\[static\]"):
        open_static()


def test_neither_torch_nor_its_package_is_imported() -> None:
    code = (
        "import sys; from selaras.models.static_embed import open_static\n"
        "open_static().embed(['a'])\n"
        "print({'torch', 'transformers', 'wordllama'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
