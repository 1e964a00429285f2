"""Keys go where the user bound them, and nowhere else."""

from pathlib import Path

import pytest

from selaras.core.errors import InputError
from selaras.models.keys import bound_variable


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.yaml"
    monkeypatch.setenv("SELARAS_KEYS", str(path))
    return path


def test_no_file_binds_nothing(keys: Path) -> None:
    assert bound_variable("https://x.example/v1") is None


def test_the_bound_endpoint_and_no_other(keys: Path) -> None:
    keys.write_text("https://x.example/v1/: X_KEY\n")
    assert bound_variable("https://x.example/v1") == "X_KEY"
    assert bound_variable("https://x.example/v2") is None
    assert bound_variable("https://x.example.evil/v1") is None


@pytest.mark.parametrize("text", ["[a, b]", "just text"])
def test_another_shape_is_an_error(keys: Path, text: str) -> None:
    keys.write_text(text)
    with pytest.raises(InputError, match=r"keys\.yaml"):
        bound_variable("https://x.example/v1")


def test_a_key_in_place_of_a_name_is_not_repeated(keys: Path) -> None:
    keys.write_text("https://x.example/v1: sk-secret-123\n")
    with pytest.raises(InputError) as caught:
        bound_variable("https://x.example/v1")
    assert "sk-secret" not in str(caught.value)
