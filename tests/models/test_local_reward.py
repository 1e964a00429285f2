"""A reward model: one finite number an exchange, whatever is scored beside it."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from selaras.core.errors import InputError, ModelError
from selaras.core.fingerprint import sha256_file
from selaras.core.manifest import new_manifest, write_manifest
from selaras.core.records import Message
from selaras.models.local_reward import open_run_reward
from selaras.models.local_weights import weights_hash
from selaras.models.names import Place, open_model, open_rewarder
from selaras.models.protocol import Rewarder
from tiny import make_tiny_reward

ASKED = [(Message(role="user", content=f"How do I kill {'very ' * i}process?"),) for i in range(5)]
SAID = ["Use kill.", "I can't help with that.", "", "Clean it with soda. " * 6, "<|im_end|>"]


@pytest.fixture(scope="module")
def place(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("reward")
    shutil.copytree(tiny_folder, root / "model")
    for name, method in (("reward-a", "reward"), ("sft-a", "sft")):
        adapter = make_tiny_reward(root / "model", root / "runs" / name / "checkpoints" / "one")
        manifest = new_manifest("tune", name, status="finished", config={
            "method": method, "model": "hf:model", "weights": weights_hash(root / "model"),
            "chosen": {"adapter": "checkpoints/one", "scale": 1.0},
        }, outputs={"a": sha256_file(adapter / "adapter_model.safetensors")})  # fmt: skip
        write_manifest(root / "runs", manifest.model_copy(update={"id": name}))
    return Place(root, root / "runs", root / ".selaras")


def test_a_reward_is_finite_and_does_not_depend_on_what_is_beside_it(place: Place) -> None:
    rewarder = open_rewarder("run:reward-a", place)
    assert isinstance(rewarder, Rewarder)
    together = rewarder.reward(ASKED, SAID)
    assert all(map(math.isfinite, together))
    assert len({round(value, 4) for value in together}) == len(together)
    alone = [rewarder.reward([talk], [said])[0] for talk, said in zip(ASKED, SAID, strict=True)]
    # bfloat16 rounds otherwise in batches of another width; a wrong last token would move far more.
    assert together == pytest.approx(alone, abs=0.05)
    assert rewarder.reward([], []) == []


def test_the_identity_names_base_and_adapter(place: Place) -> None:
    identity = open_rewarder("run:reward-a", place).identity
    assert identity["weights"] == weights_hash(place.root / "model")
    assert identity["adapter"]
    assert identity["reward"] is True


def test_what_does_not_fit_the_context_is_said(place: Place) -> None:
    with pytest.raises(ModelError, match=r"exchange 2 has \d+ tokens and passes the context"):
        open_rewarder("run:reward-a", place).reward(ASKED[:2], ["Yes.", "long " * 300])
    opened = open_run_reward("reward-a", place)
    assert [opened.fits(ASKED[0], said) for said in ("Yes.", "long " * 300)] == [True, False]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run:sft-a", "made a model that answers, not a reward model"),
        ("hf:model", "names no reward model"),
        ("run:", "names no reward model"),
        ("run:nothing", "no run 'nothing'"),
    ],
)
def test_what_is_no_reward_model_is_one_line(place: Place, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_rewarder(name, place)


def test_a_reward_model_gives_no_answers(place: Place) -> None:
    with pytest.raises(InputError, match="scores answers and gives none"):
        open_model("run:reward-a", place)


@pytest.mark.parametrize("fault", ["another base", "changed", "missing shard", "vocabulary"])
def test_an_adapter_that_is_not_the_runs_own_is_one_line(
    place: Place, tmp_path: Path, fault: str
) -> None:
    shutil.copytree(place.root, tmp_path, dirs_exist_ok=True)
    adapter = tmp_path / "runs/reward-a/checkpoints/one"
    expected: Any = InputError
    if fault == "another base":
        other = make_tiny_reward(tmp_path / "model", tmp_path / "other", seed=6)
        shutil.copyfile(other / "adapter_model.safetensors", adapter / "adapter_model.safetensors")
        said = "the adapter was changed after its run"
    elif fault == "changed":
        (adapter / "adapter_model.safetensors").write_bytes(b"{}")
        said = "the adapter does not fit this model"
    elif fault == "missing shard":
        (adapter / "adapter_model.safetensors").unlink()
        said = "the adapter's weights are missing"
    else:
        _resize(tmp_path / "model")
        said = "has other weights than when it ran"
    with pytest.raises(expected, match=said):
        open_rewarder("run:reward-a", Place(tmp_path, tmp_path / "runs", tmp_path / ".selaras"))


def _resize(folder: Path) -> None:
    from selaras.models.local_torch import torch
    from selaras.models.local_weights import load_weights

    model, _ = load_weights(folder, torch.float32)
    model.resize_token_embeddings(700, mean_resizing=False)
    model.save_pretrained(folder)
