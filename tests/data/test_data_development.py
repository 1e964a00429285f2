"""Development: what remains when the sealed rows and their copies are taken out."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from fixtures.projects import WordEncoder, make_project, row, some_rows, twins, use_word_encoder
from selaras.core.project import Project
from selaras.data import open_development, read_rows, split_project
from selaras.data.embeddings import ENCODER, embed_cached
from selaras.data.opener import open_held_out, reveal

SRC = Path(__file__).parents[2] / "src" / "selaras"


@pytest.fixture(autouse=True)
def encoder(monkeypatch: pytest.MonkeyPatch) -> WordEncoder:
    return use_word_encoder(monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path, some_rows(4, 10))


def test_without_a_seal_all_rows_are_development(project: Project) -> None:
    development = open_development(project)
    assert (len(development.rows), development.seal, development.removed) == (18, None, ())
    assert development.groups["t1-m"] == development.groups["t1-l"] == "group:t1-m"


def test_groups_cover_the_rows(project: Project) -> None:
    split_project(project)
    development = open_development(project)
    assert set(development.groups) == {r.id for r in development.rows}
    assert development.seal == open_held_out(project).seal.id


def test_copies_that_come_later_are_left_out_with_reasons(project: Project) -> None:
    split_project(project)
    sealed = reveal(open_held_out(project))[0]
    path = project.root / "data" / "more.jsonl"
    make_project(project.root, [row("copy", sealed.query), *twins(99)], file="more")
    development = open_development(project)
    assert [(r.record, r.reason, r.matched) for r in development.removed] == [
        ("copy", "equals a sealed row", sealed.id)
    ]
    assert {"t99-m", "t99-l"} <= {r.id for r in development.rows}
    assert len(read_rows([path])[0]) == 3


def test_texts_are_embedded_once(project: Project, encoder: WordEncoder) -> None:
    open_development(project)
    assert len(encoder.texts) == 18
    split_project(project)
    open_development(project)
    split_project(project, renew=True)
    assert len(encoder.texts) == 18


def test_a_full_cache_needs_no_encoder(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = open_development(project)
    monkeypatch.setitem(sys.modules, "selaras.models.local_embed", None)
    assert open_development(project) == before


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00", b"text", None])
def test_a_damaged_cache_is_made_anew(
    project: Project, encoder: WordEncoder, damage: bytes | None
) -> None:
    open_development(project)
    path = project.cache / f"embeddings-{ENCODER}.npz"
    path.write_bytes(path.read_bytes()[:-30] if damage is None else damage)
    assert len(open_development(project).rows) == 18
    assert len(encoder.texts) == 36


def test_a_cache_of_another_shape_is_made_anew(tmp_path: Path) -> None:
    encoder, path = WordEncoder(), tmp_path / "cache.npz"
    texts = ["one two", "three", "one two"]
    expected = embed_cached(texts, path, lambda: encoder)
    assert expected.shape == (3, 64)
    assert np.array_equal(expected[0], expected[2])
    with np.load(path) as stored:
        keys = stored["keys"]
    for vectors in (np.zeros(2), np.zeros((5, 64))):
        np.savez(path, keys=keys, vectors=vectors)
        assert np.array_equal(embed_cached(texts, path, lambda: encoder), expected)


def test_no_texts_need_nothing(tmp_path: Path) -> None:
    def never() -> WordEncoder:
        raise AssertionError

    assert len(embed_cached([], tmp_path / "cache.npz", never)) == 0
    assert not list(tmp_path.iterdir())


def test_the_encoder_named_is_the_one_that_is_opened() -> None:
    tree = ast.parse((SRC / "models" / "local_embed.py").read_text())
    (name,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PACKAGE"
    ]
    assert ast.literal_eval(name) == ENCODER
