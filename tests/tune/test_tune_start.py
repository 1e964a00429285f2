"""What a tuning starts from: pt or it, a chat template, an adapter; and what does not fit."""

import dataclasses
import json
import shutil

import pytest

from selaras.core.errors import InputError, ModelError
from selaras.core.tuning import Tuning
from selaras.models.local import open_local
from selaras.models.local_adapter import COMPLETE, Adapter
from selaras.models.local_torch import torch
from selaras.models.local_weights import load_weights
from selaras.models.names import Place
from selaras.tune.start import starting_point
from selaras.tune.trainer import train
from tiny import CHATML, CONTEXT, make_tiny, make_tiny_reward

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def place(tmp_path):
    make_tiny(tmp_path / "it")
    make_tiny(tmp_path / "pt", template=None)
    return Place(tmp_path, tmp_path / "runs", tmp_path / "cache")


def test_a_pre_trained_model_needs_a_chat_template_and_warns(place):
    told = starting_point(Tuning(model="hf:it"), place)
    assert (told.variant, told.notes, told.chat_template) == ("it", (), None)
    with pytest.raises(InputError, match=r"is a pre-trained \(pt\) model without a chat template"):
        starting_point(Tuning(model="hf:pt"), place)
    for name in ("chatml", "plain", "gemma"):
        found = starting_point(Tuning(model="hf:pt", chat_template=name), place)
        assert found.variant == "pt"
        assert "start from an instruction-tuned (it) model" in found.notes[0]
        assert found.chat.tokenizer.chat_template == found.chat_template
    (place.root / "own.jinja").write_text(CHATML)
    own = starting_point(Tuning(model="hf:pt", chat_template="own.jinja"), place)
    assert own.chat_template == CHATML
    with pytest.raises(InputError, match=r"no chat template 'none'.*chatml, gemma, plain"):
        starting_point(Tuning(model="hf:pt", chat_template="none"), place)


def test_a_start_that_is_no_whole_model_is_one_line(place):
    with pytest.raises(InputError, match="not a model folder"):
        starting_point(Tuning(model="hf:nowhere"), place)
    (place.root / "it" / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded") as caught:
        starting_point(Tuning(model="hf:it"), place)
    assert len(str(caught.value).splitlines()) == 1
    index = {"weight_map": {"a": "model-1.safetensors"}}
    (place.root / "it" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="1 of 1 weight files are missing"):
        starting_point(Tuning(model="hf:it"), place)


def test_an_adapter_to_go_on_from_is_a_run_or_a_folder(place):
    with pytest.raises(InputError, match="no such folder"):
        starting_point(Tuning(model="hf:it", adapter="nowhere"), place)
    with pytest.raises(InputError, match="no run 'x'"):
        starting_point(Tuning(model="hf:it", adapter="run:x"), place)
    with pytest.raises(InputError, match="not gone on with when all weights are tuned"):
        starting_point(Tuning(model="hf:it", adapter="it", method="full"), place)


def test_training_goes_on_from_an_adapter(training, tmp_path):
    one = training(tmp_path / "first", epochs=1)
    (first,) = train(one)
    on = dataclasses.replace(one, folder=tmp_path / "on", start=first)
    quiet = dataclasses.replace(
        on, settings=one.settings.model_copy(update={"learning_rate": 1e-12})
    )
    (second,) = train(quiet)
    tuned = [open_local(one.base, adapter=Adapter(path)).model for path in (first, second)]
    for mine, theirs in zip(*(model.parameters() for model in tuned), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-3)


def test_an_adapter_of_another_model_is_bad_input(training, tmp_path):
    (adapter,) = train(training(tmp_path / "run", epochs=1))
    other = make_tiny(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["num_hidden_layers"] = 1
    (other / "config.json").write_text(json.dumps(config))
    note = json.loads((adapter / COMPLETE).read_text())
    for base, says in ((None, "for 7 modules that are not there"),
                       ("0" * 64, "was tuned on another model")):  # fmt: skip
        (adapter / COMPLETE).write_text(json.dumps({**note, "base": base}))
        with pytest.raises(InputError, match=says):
            open_local(other, adapter=Adapter(adapter))


def test_a_folder_with_a_missing_shard_is_bad_input(tmp_path, tiny_folder):
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (broken / "model.safetensors.index.json").write_text(json.dumps(index))
    (broken / "model-1.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 of 2 weight files are missing \(model-2"):
        load_weights(broken, torch.float32)


def test_all_weights_can_be_tuned_and_mixed_with_the_base(training, tmp_path, monkeypatch):
    monkeypatch.setattr("selaras.models.local.best_dtype", lambda: torch.float32)
    one = dataclasses.replace(training(tmp_path, epochs=1, learning_rate=1e-3), full=True)
    (path,) = train(one)
    assert not list(path.glob("adapter_*"))
    base, half, tuned = (
        dict(open_local(one.base, adapter=Adapter(path, scale)).model.named_parameters())
        for scale in (0.0, 0.5, 1.0)
    )
    moved = [name for name in base if not torch.equal(base[name], tuned[name])]
    assert moved
    assert all(".layers.1." in name for name in moved), "the lower half stays as it was"
    for name in base:
        assert torch.allclose(half[name], (base[name] + tuned[name]) / 2, atol=1e-6)


def test_the_modules_to_adapt_can_be_named(training, tmp_path):
    from safetensors import safe_open

    (path,) = train(training(tmp_path / "own", epochs=1, targets=("q_proj",), layers=1.0))
    with safe_open(path / "adapter_model.safetensors", "pt") as tensors:
        assert all("q_proj" in name for name in tensors.keys())  # noqa: SIM118
    with pytest.raises(InputError, match=r"no linear module is named 'qq'.*q_proj"):
        train(training(tmp_path / "none", epochs=1, targets=("qq",)))


def test_no_row_is_longer_than_what_the_model_reads(place):
    start = starting_point(Tuning(model="hf:it"), place)
    assert (start.room(100), start.room(4096)) == (100, CONTEXT)
    assert "raise --set tune.max_tokens" in str(start.none_fits("3 rows", 100, "tune.max_tokens"))
    told = str(start.none_fits("3 rows", 4096, "tune.max_tokens"))
    assert f"all 3 rows are longer than {CONTEXT} tokens, the model's context" in told


def test_an_adapter_that_cannot_be_gone_on_with_is_refused_before_any_work(place, training):
    make_tiny_reward(place.root / "it", place.root / "scores")
    with pytest.raises(InputError, match="this adapter is a reward model's"):
        starting_point(Tuning(model="hf:it", adapter="scores"), place)
    scoring = starting_point(Tuning(model="hf:it", adapter="scores"), place, answers=False)
    assert scoring.adapter == place.root / "scores"
    (made,) = train(training(place.root / "run", epochs=1))
    note = json.loads((made / COMPLETE).read_text())
    (made / COMPLETE).write_text(json.dumps({**note, "base": "0" * 64}))
    with pytest.raises(InputError, match="was tuned on another model"):
        starting_point(Tuning(model="hf:it", adapter=str(made.relative_to(place.root))), place)


def test_a_tokenizer_of_another_model_is_bad_input(tmp_path, tiny_folder):
    model, tokenizer = load_weights(tiny_folder, torch.float32)
    model.resize_token_embeddings(300)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"has \d+ tokens and the model 300: they do not belong"):
        load_weights(tmp_path, torch.float32)
