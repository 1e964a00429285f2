"""How a training runs: its page, its options, what it reads of TRL, what it will take."""

import importlib.util
import re
from contextlib import contextmanager

import pytest

from selaras.core.errors import InputError
from selaras.core.project import open_project
from selaras.core.running import Running
from selaras.models.local_torch import torch
from selaras.tune import live
from selaras.tune.live import PAGE
from selaras.tune.running import base_weights, running_arguments
from selaras.tune.trainer import loss_curve, train
from selaras.tune.trl_config import read_trl_config

pytestmark = pytest.mark.usefixtures("one_thread")
TRL = """
model_name_or_path: HuggingFaceTB/SmolLM2-135M-Instruct
learning_rate: 1.0e-4
num_train_epochs: 3
per_device_train_batch_size: 4
gradient_accumulation_steps: 8
max_length: 256
use_peft: true
lora_r: 4
lora_alpha: 16
lora_target_modules: all-linear
gradient_checkpointing: true
report_to: none
packing: true
neftune_noise_alpha: 5
seed: 7
"""


class Noting:
    def __init__(self):
        self.notes = []

    @contextmanager
    def task(self, title, total):
        yield self

    def advance(self, amount=1, note=None):
        self.notes.append(note)

    def say(self, line):
        pass


def test_the_page_of_a_training_is_read_again_until_it_ends(training, tmp_path, monkeypatch):
    monkeypatch.setattr(live, "EVERY", 0.0)
    seen = []
    whole = live.write_text
    monkeypatch.setattr(
        live, "write_text", lambda path, text: (seen.append(text), whole(path, text))
    )
    noting = Noting()
    train(training(tmp_path / "run", epochs=1), noting)
    page = (tmp_path / "run" / PAGE).read_text()
    assert all('http-equiv="refresh"' in text for text in seen[:-1])
    assert 'http-equiv="refresh"' not in page
    assert "5 of 5 steps" in page
    assert "about" in seen[1]
    for chart in ("loss by step", "tokens a second by step"):
        assert f"<title>{chart}</title>" in page
    assert re.fullmatch(r"loss \d+\.\d+, \d+ tokens/s", noting.notes[-1])


def test_gradient_checkpointing_changes_what_is_kept_and_not_what_is_learned(training, tmp_path):
    plain = training(tmp_path / "plain", epochs=1)
    spared = training(tmp_path / "spared", epochs=1, running=Running(gradient_checkpointing=True))
    curves = []
    for one in (plain, spared):
        train(one)
        curves.append([entry["loss"] for entry in loss_curve(one.folder)])
    assert curves[1] == pytest.approx(curves[0], abs=0.05)


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_logger_runs_only_when_asked_for_and_is_named_where_it_is_missing(
    name, tmp_path, monkeypatch
):
    assert running_arguments(Running(), tmp_path)["report_to"] == "none"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=f"needs the package '{name}'"):
        running_arguments(Running(report_to=(name,)), tmp_path)


def test_four_bits_without_bitsandbytes_are_one_line(tiny_folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install bitsandbytes"):
        base_weights(tiny_folder, Running(four_bit=True))


def test_every_field_of_a_trl_file_is_carried_over_or_named(tmp_path):
    (tmp_path / "sft.yaml").write_text(TRL)
    read = read_trl_config(tmp_path / "sft.yaml")
    (tmp_path / "selaras.yaml").write_text(
        "product: t\nuse_cases: [{id: a, title: A}]\npolicies: [hate]\n"
    )
    tune = open_project(tmp_path, read.overrides).file.tune
    assert (tune.model, tune.epochs, tune.learning_rate) == (
        "hf:HuggingFaceTB/SmolLM2-135M-Instruct", 3, 1e-4,
    )  # fmt: skip
    assert (tune.batch_size, tune.max_tokens, tune.rank) == (32, 256, 4)
    assert tune.running == Running(gradient_checkpointing=True)
    assert [line.split("=")[0] for line in read.left_out] == [
        "lora_alpha", "packing", "neftune_noise_alpha",
    ]  # fmt: skip
    named = [line for line in TRL.split("\n") if line]
    assert all(line.split(":")[0] in read.text for line in named)


@pytest.mark.parametrize(
    ("text", "said"),
    [("- a\n", "mapping of fields"), ("per_device_train_batch_size: 0\n", "whole number"),
     ("a: [", "broken YAML")],
)  # fmt: skip
def test_a_file_that_is_no_trl_configuration_is_said(text, said, tmp_path):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        read_trl_config(tmp_path / "bad.yaml")


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("learning_rate: 1e-5\nmax_length: null\nmodel_name_or_path:\nseed: ~\n",
         ("tune.learning_rate=1e-5",), "max_length=null: TRL's own default"),
        ("lora_r: null\nlora_alpha: 32\n", (), "lora_r=null: TRL's own default"),
        ("lora_r: '8'\nlora_alpha: '16'\n", ("tune.rank=8",), ""),
        ("lora_r: wide\nlora_alpha: 16\n", ("tune.rank=wide",), "lora_alpha=16: it is 2 times"),
        ("run_name: 2026-01-31\n", (), 'run_name="2026-01-31": there is no such field'),
        ("tags: !!set {a, b}\n", (), "tags="),
        ("notes: |\n  one\n  two\n", (), "notes="),
        ("max_length: 256\nmax_seq_length: 512\n", ("tune.max_tokens=256",),
         "max_seq_length=512: tune.max_tokens is 256 already"),
        ("per_device_train_batch_size: null\n", ("tune.batch_size=8",), ""),
    ],
)  # fmt: skip
def test_odd_values_that_yaml_allows_are_taken_or_named(text, overrides, said, tmp_path):
    (tmp_path / "sft.yaml").write_text(text)
    read = read_trl_config(tmp_path / "sft.yaml")
    assert read.overrides == overrides
    assert any(line.startswith(said) for line in read.left_out) == bool(said)
    assert not any("\n" in line for line in read.left_out)


def test_a_name_that_yaml_would_cut_reaches_the_project_whole(tmp_path):
    (tmp_path / "sft.yaml").write_text("model_name_or_path: 'models/mine #2'\n")
    (tmp_path / "selaras.yaml").write_text(
        "product: t\nuse_cases: [{id: a, title: A}]\npolicies: [hate]\n"
    )
    overrides = read_trl_config(tmp_path / "sft.yaml").overrides
    assert open_project(tmp_path, overrides).file.tune.model == "hf:models/mine #2"


def test_no_memory_says_what_to_change(training, tmp_path, monkeypatch):
    from selaras.core.errors import SelarasError
    from selaras.tune.response_loss import ResponseLoss

    def full(*_, **__):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(ResponseLoss, "compute_loss", full)
    with pytest.raises(SelarasError, match=r"gradient_checkpointing=true"):
        train(training(tmp_path, epochs=1))


def test_shared_work_alone_is_the_work_itself():
    from selaras.tune.shared import mean_total, through, width

    assert width() == 1
    assert mean_total(None, torch.tensor(3.0)) == 3.0
    assert through(None, None, None, lambda: 7) == 7
