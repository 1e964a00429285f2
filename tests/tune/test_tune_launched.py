"""A training in two processes is that in one: the same batches, the same loss, the same adapter."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from selaras.core.errors import InputError, SelarasError
from selaras.models.local_torch import torch
from selaras.tune import launched
from selaras.tune.launched import (
    MODULE,
    Launch,
    _command,
    checked_launch,
    train_launched,
)
from selaras.tune.trainer import loss_curve, train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("config", "processes", "said"),
    [("deep", 2, "cpu, ddp, fsdp2"), ("cpu", 3, "tune.batch_size=3"), ("cpu", None, "among 2")],
)
def test_a_launch_that_cannot_be_is_said_before_anything_is_trained(config, processes, said):
    with pytest.raises(InputError, match=said):
        checked_launch(config, processes, 5)


def test_a_preset_for_gpus_wants_one():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match="--accelerate cpu"):
        checked_launch("fsdp2", None, 16)


@pytest.mark.real
@pytest.mark.enable_socket
def test_two_processes_train_the_adapter_that_one_trains(training, tmp_path, monkeypatch):
    source = Path(__file__).parents[2] / "src"
    monkeypatch.setenv("PYTHONPATH", str(source))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = training(tmp_path / "one")
    whole = type(one.rows)(one.rows.input_ids[:16], one.rows.labels[:16], ())
    alone, shared = (
        type(one)(one.base, whole, one.settings, one.seed, tmp_path / name)
        for name in ("alone", "shared")
    )
    first = train(alone)
    second = train_launched(shared, checked_launch("cpu", 2, one.settings.batch_size))
    curves = [[entry["loss"] for entry in loss_curve(t.folder)] for t in (alone, shared)]
    assert len(curves[0]) == 8
    assert curves[1] == pytest.approx(curves[0], abs=2e-2)
    assert [path.name for path in second] == [path.name for path in first]
    ours, theirs = (load_file(c[-1] / "adapter_model.safetensors") for c in (first, second))
    moved = max(weight.abs().max() for weight in ours.values())
    assert max((ours[name] - theirs[name]).abs().max() for name in ours) < 0.1 * moved


@pytest.mark.real
@pytest.mark.enable_socket
def test_what_a_process_failed_at_is_one_line(training, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))
    wrong = training(tmp_path / "run", base=tmp_path / "no-model")
    with pytest.raises(SelarasError, match=r"no config\.json"):
        train_launched(wrong, Launch("cpu", 2))


@pytest.mark.parametrize(("name", "kind"), [("ddp", "MULTI_GPU"), ("fsdp2", "FSDP")])
def test_presets_are_configurations_that_accelerate_reads(name, kind, tmp_path):
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    command = _command(Launch(name, 4), tmp_path, tmp_path / "training.json")
    read = load_config_from_file(str(tmp_path / "accelerate.yaml"))
    assert read.distributed_type.value == kind
    assert name == "ddp" or read.fsdp_config["fsdp_version"] == 2
    asked = launch_command_parser().parse_args(command[3:])
    assert (asked.num_processes, asked.training_script) == (4, MODULE)
    assert asked.training_script_args == [str(tmp_path / "training.json")]


def test_what_a_kill_cut_short_is_gone_before_several_processes_look(
    training, tmp_path, monkeypatch
):
    one = training(tmp_path / "run")
    cut = one.folder / "checkpoint-4"
    cut.mkdir(parents=True)

    def started(*_, **__):
        raise SelarasError("gone" if not cut.exists() else "each process would remove it")

    monkeypatch.setattr("subprocess.Popen", started)
    with pytest.raises(SelarasError, match="gone"):
        train_launched(one, Launch("cpu", 2))


def test_a_width_that_a_file_says_must_divide_the_batch(training, tmp_path, monkeypatch, capsys):
    one = training(tmp_path / "run", batch_size=4)
    given = tmp_path / "training.json"
    given.write_bytes(launched._GIVEN.dump_json(one))
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr("sys.argv", ["launched", str(given)])
    monkeypatch.setattr(launched, "train", lambda *_: None)
    assert launched.main() == 2
    assert "a batch of 4 cannot be divided among 3 processes" in capsys.readouterr().out
