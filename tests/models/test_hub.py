"""`hf:` names a folder or a model of the hub; what the cache holds needs no network."""

import shutil

import pytest

pytest.importorskip("huggingface_hub")

from huggingface_hub import constants

from selaras.core.errors import InputError
from selaras.models.hub import hf_folder
from selaras.models.local_open import open_hf
from selaras.models.names import Place

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def place(tmp_path, monkeypatch):
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "project" / "models" / "own").mkdir(parents=True)
    return Place(tmp_path / "project", tmp_path / "runs", tmp_path / "cache")


@pytest.fixture
def cached(place, tiny_folder, tmp_path):
    """Return the snapshot of acme/tiny as the hub's own cache lays it out."""
    home = tmp_path / "hub" / "models--acme--tiny"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(tiny_folder, home / "snapshots" / COMMIT)


@pytest.mark.parametrize("path", ["models/own", "./models/own", "models/none/at-all", "none"])
def test_a_path_is_a_path_also_where_it_is_missing(place, path):
    assert hf_folder(path, place) == place.root / path


def test_a_cached_model_of_the_hub_is_opened_without_the_network(place, cached):
    assert hf_folder("acme/tiny", place) == cached
    assert hf_folder(f"acme/tiny@{COMMIT}", place) == cached
    assert open_hf("acme/tiny", place).identity["name"] == "hf:acme/tiny"


def test_a_folder_of_that_name_comes_before_the_hub(place, cached, tiny_folder):
    own = shutil.copytree(tiny_folder, place.root / "acme" / "tiny")
    assert hf_folder("acme/tiny", place) == own
    assert open_hf("acme/tiny", place).identity["name"] == "hf:tiny"


def test_what_is_neither_is_one_line(place):
    with pytest.raises(InputError, match="cannot be had from the hub") as e:
        hf_folder("acme/other", place)
    assert len(str(e.value).splitlines()) == 1
