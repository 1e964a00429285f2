"""Variety: measures that rise with unlike texts, whatever the size of the set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fixtures.projects import WordEncoder, unlike
from selaras.data.topics import find_topics
from selaras.data.variety import compression_ratio, distinct, evenness, vendi

VARIED = [unlike(f"varied-{i}") for i in range(200)]
TEMPLATED = [f"How do I quickly clean the kitchen oven in my flat number {i}?" for i in range(200)]


def test_templates_compress_and_repeat() -> None:
    templated, varied = compression_ratio(TEMPLATED), compression_ratio(VARIED)
    assert templated is not None
    assert varied is not None
    assert templated > 3 * varied
    for n in (1, 2, 3):
        less, more = distinct(TEMPLATED, n), distinct(VARIED, n)
        assert less is not None
        assert more is not None
        assert 0 < less < more <= 1


def test_the_size_of_the_set_is_no_matter() -> None:
    half, whole = compression_ratio(VARIED[:100]), compression_ratio(VARIED)
    assert half == pytest.approx(whole, rel=0.05)


def test_too_little_text_is_not_measured() -> None:
    assert compression_ratio(["short"]) is None
    assert distinct(["short"], 1) is None
    assert vendi(np.zeros((0, 3), np.float32)) is None
    assert evenness([]) is None


@given(st.integers(1, 30), st.integers(1, 30))
def test_vendi_counts_groups_of_equal_texts(groups: int, each: int) -> None:
    vectors = np.repeat(np.eye(30, dtype=np.float32)[:groups], each, axis=0)
    assert vendi(vectors) == pytest.approx(groups, rel=1e-5)


@given(arrays(np.float32, (12, 5), elements=st.floats(-1, 1, width=32)))
def test_vendi_lies_between_one_and_the_number_of_texts(raw: np.ndarray) -> None:
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    unit = np.where(lengths > 1e-3, raw / np.maximum(lengths, 1e-3), np.eye(12, 5)[:1])
    score = vendi(unit.astype(np.float32))
    assert score is not None
    assert 1 - 1e-3 <= score <= 5 + 1e-3
    # The definition: the eigenvalues of the kernel itself.
    kernel = np.linalg.eigvalsh(unit @ unit.T / 12)
    kernel = kernel[kernel > 1e-12]
    assert score == pytest.approx(float(np.exp(-(kernel * np.log(kernel)).sum())), rel=1e-2)


def test_topics_are_found_and_named() -> None:
    pools = {
        "oven": ["oven", "rack", "grease", "soda", "foil", "crumbs"],
        "garden": ["slug", "rose", "hose", "compost", "mulch", "seeds"],
        "letter": ["tenant", "rent", "deposit", "lease", "notice", "clause"],
    }
    generator = np.random.default_rng(0)
    texts, truth = [], []
    for name, pool in pools.items():
        for _ in range(20):
            texts.append(" ".join(["please", "about", *generator.choice(pool, 4)]))
            truth.append(name)
    found = find_topics(texts, WordEncoder().embed(texts))
    assert found is not None
    assert found.sizes() == sorted(found.sizes(), reverse=True)
    assert sum(found.sizes()) == len(texts)
    assert found.places.shape == (60, 2)
    for number, name in enumerate(found.names):
        own = {truth[i] for i, of in enumerate(found.of) if of == number}
        assert "please" not in name
        assert any(word in pools[each] for each in own for word in name.split(", "))
    pure = sum(
        max(sum(truth[i] == name for i, of in enumerate(found.of) if of == number)
            for name in pools)
        for number in range(len(found.names))
    )  # fmt: skip
    assert pure >= 57


def test_few_or_equal_texts_have_no_topics_of_their_own() -> None:
    assert find_topics(["a"] * 5, np.ones((5, 2), np.float32)) is None
    same = find_topics(["same words"] * 20, np.ones((20, 2), np.float32) / np.sqrt(2))
    assert same is not None
    assert same.sizes() == [20]
