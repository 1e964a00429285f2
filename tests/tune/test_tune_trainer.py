"""Training for real on the tiny model: it learns, it repeats, and a kill costs a few steps only."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from selaras.core.errors import InputError, SelarasError
from selaras.models.local import open_local
from selaras.models.local_adapter import Adapter
from selaras.models.local_torch import torch
from selaras.models.local_weights import load_weights
from selaras.tune import trainer
from selaras.tune.encode import IGNORED
from selaras.tune.trainable import upper_linears
from selaras.tune.trainer import (
    COMPLETE,
    SAVE_EVERY,
    epoch_checkpoints,
    last_checkpoint,
    loss_curve,
    train,
)

pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = 10  # two epochs of five


class Watching:
    """A progress that counts steps and, at `dies_at`, ends the run before the step is saved."""

    def __init__(self, dies_at=math.inf):
        self.dies_at, self.done, self.notes = dies_at, 0, []

    @contextmanager
    def task(self, title, total):
        self.total = total
        yield self

    def advance(self, amount=1, note=None):
        self.done += amount
        self.notes.append(note)
        if self.done >= self.dies_at:
            raise KeyboardInterrupt

    def say(self, line):
        pass


@pytest.fixture(scope="module")
def trained(training, tmp_path_factory):
    """Return a finished training and its checkpoints: read only."""
    watching = Watching()
    done = training(tmp_path_factory.mktemp("trained"))
    checkpoints = train(done, watching)
    assert (watching.done, watching.total) == (STEPS, STEPS)
    return done, checkpoints


def weights(checkpoint):
    return load_file(checkpoint / "adapter_model.safetensors")


def same(ours, theirs):
    assert [path.name for path in ours] == [path.name for path in theirs]
    for one, other in zip(ours, theirs, strict=True):
        first, second = weights(one), weights(other)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def logits(model):
    with torch.inference_mode():
        return model(input_ids=torch.arange(40).reshape(2, 20)).logits.float()


def test_training_lowers_the_loss(trained):
    done, _ = trained
    curve = loss_curve(done.folder)
    assert [entry["step"] for entry in curve] == list(range(1, STEPS + 1))
    assert curve[-1]["loss"] < curve[0]["loss"] - 0.5


def test_what_is_left_is_one_whole_adapter_an_epoch_in_peft_format(trained):
    done, checkpoints = trained
    assert [path.name for path in checkpoints] == ["checkpoint-5", "checkpoint-10"]
    assert sorted(done.folder.glob("checkpoint-*")) == sorted(checkpoints)
    for path in checkpoints:
        assert (path / COMPLETE).is_file()
        config = json.loads((path / "adapter_config.json").read_text())
        assert (config["peft_type"], config["r"]) == ("LORA", 2)
        assert not list(path.glob("model*.safetensors"))
    first, last = weights(checkpoints[0]), weights(checkpoints[1])
    assert any(not torch.equal(first[name], last[name]) for name in first)


def test_the_loss_is_the_mean_over_the_response_tokens_of_the_base(training, tiny_folder, tmp_path):
    one = training(tmp_path, batch_size=64, epochs=1, precision="fp32")
    train(one)
    model, _ = load_weights(tiny_folder, torch.float32)
    total, count = 0.0, 0
    for ids, labels in zip(one.rows.input_ids, one.rows.labels, strict=True):
        with torch.inference_mode():
            told = model(input_ids=torch.tensor([ids])).logits[0].float().log_softmax(-1)
        for place, label in enumerate(labels):
            if label != IGNORED:
                total -= told[place - 1, label].item()
                count += 1
    assert [entry["loss"] for entry in loss_curve(tmp_path)] == pytest.approx([total / count], 1e-4)


@pytest.mark.parametrize(("share", "layers"), [(1.0, {0, 1}), (0.5, {1}), (0.01, {1})])
def test_only_the_linear_modules_of_the_upper_layers_are_adapted(tiny_folder, share, layers):
    model, _ = load_weights(tiny_folder, torch.float32)
    names = upper_linears(model, share)
    assert {int(name.split(".layers.")[1].split(".")[0]) for name in names} == layers
    assert len(names) == 7 * len(layers)
    assert "lm_head" not in names


def test_an_adapter_of_all_layers_has_its_weights_in_all(training, tmp_path):
    for share, layers in ((1.0, {"0", "1"}), (0.5, {"1"})):
        (made,) = train(training(tmp_path / str(share), layers=share, epochs=1, batch_size=64))
        assert {name.split(".layers.")[1].split(".")[0] for name in weights(made)} == layers


def test_the_same_seed_gives_the_same_adapter_and_another_one_does_not(trained, training, tmp_path):
    _, checkpoints = trained
    torch.rand(7)
    same(train(training(tmp_path / "same")), checkpoints)
    other = train(training(tmp_path / "other", seed=4))
    first, second = weights(other[-1]), weights(checkpoints[-1])
    assert any(not torch.equal(first[name], second[name]) for name in first)


# Within the first epoch, at its end, right after it, within the second, and before the last save.
@pytest.mark.parametrize("dies_at", [2, 5, 6, 8, STEPS])
def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(
    trained, training, tmp_path, dies_at
):
    _, checkpoints = trained
    with pytest.raises(KeyboardInterrupt):
        train(training(tmp_path), Watching(dies_at))
    watching = Watching()
    torch.manual_seed(99)
    same(train(training(tmp_path), watching), checkpoints)
    assert watching.done == STEPS
    repeated = sum(note is not None for note in watching.notes) - (STEPS - dies_at)
    assert 0 < repeated <= SAVE_EVERY


KILLED = """
import json, os, signal, sys
from pathlib import Path
from contextlib import contextmanager
from selaras.models.local_torch import torch
torch.set_num_threads(1)
from selaras.core.tuning import Tuning
from selaras.tune.encode import Encoded
from selaras.tune.trainer import Training, train

class Killing:
    done = 0
    @contextmanager
    def task(self, title, total):
        yield self
    def advance(self, amount=1, note=None):
        self.done += amount
        if self.done == 8:
            os.kill(os.getpid(), signal.SIGKILL)
    def say(self, line): pass

base, folder = map(Path, sys.argv[1:3])
ids, labels, settings, seed = json.loads(sys.stdin.read())
rows = Encoded(tuple(map(tuple, ids)), tuple(map(tuple, labels)), ())
train(Training(base, rows, Tuning.model_validate(settings), seed, folder), Killing())
"""


def test_a_training_killed_hard_goes_on_with_the_same_adapter(trained, training, tmp_path):
    _, checkpoints = trained
    cut = training(tmp_path)
    given = [cut.rows.input_ids, cut.rows.labels, cut.settings.model_dump(mode="json"), cut.seed]
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(cut.base), str(tmp_path)],
        input=json.dumps(given), capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (done.stdout, done.stderr) == ("", ""), "the libraries' own noise is no user's business"
    watching = Watching()
    same(train(cut, watching), checkpoints)
    assert watching.notes[0] is None
    assert len(watching.notes) - 1 <= STEPS - 8 + SAVE_EVERY


def test_a_checkpoint_that_a_kill_cut_short_is_no_checkpoint(trained, tmp_path):
    _, checkpoints = trained
    for path in checkpoints:
        shutil.copytree(path, tmp_path / path.name)
    (tmp_path / "checkpoint-10" / COMPLETE).unlink()
    (tmp_path / "checkpoint-15").mkdir()
    assert [path.name for path in epoch_checkpoints(tmp_path, 5)] == ["checkpoint-5"]
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-5"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]
    assert last_checkpoint(tmp_path / "none") is None
    assert loss_curve(tmp_path / "none") == []


def test_a_finished_training_trains_nothing_more(trained, tmp_path):
    done, checkpoints = trained
    shutil.copytree(done.folder, tmp_path / "again")
    watching = Watching()
    again = type(done)(done.base, done.rows, done.settings, done.seed, tmp_path / "again")
    same(train(again, watching), checkpoints)
    assert [note for note in watching.notes if note] == []


def test_a_step_that_is_too_large_ends_the_run_with_what_to_do(training, tmp_path):
    large = training(tmp_path / "run", learning_rate=1e30)
    with pytest.raises(SelarasError, match=r"the loss is nan at step \d+: lower the learning rate"):
        train(large)


def test_weights_that_are_no_numbers_end_the_run_and_are_named(training, tiny_folder, tmp_path):
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    next(t for name, t in tensors.items() if "down_proj" in name)[0, 0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"the loss is nan at step 1.*own weights.*down_proj"):
        train(training(tmp_path / "run", base=broken))
    assert last_checkpoint(tmp_path / "run") is None


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
         "out of memory: lower --set tune.batch_size, tune.max_tokens or tune.layers"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."), "out of memory"),
        (MemoryError(), "out of memory"),
        (RuntimeError("shapes\n  do not fit"), "training stopped: shapes do not fit"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0"),
         "the disk is full"),
        (RuntimeError("basic_ios::clear: iostream error"), r"the disk is full.*--resume"),
    ],
)  # fmt: skip
def test_what_the_library_says_becomes_one_line(training, tmp_path, monkeypatch, error, says):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(trainer.ResponseLoss, "compute_loss", fail)
    with pytest.raises(SelarasError, match=says) as caught:
        train(training(tmp_path))
    assert len(str(caught.value).splitlines()) == 1


def test_an_adapter_that_has_hardly_moved_changes_nothing(
    training, tiny_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("selaras.models.local.best_dtype", lambda: torch.float32)
    (start,) = train(training(tmp_path, epochs=1, batch_size=64, learning_rate=1e-12))
    found = weights(start)
    assert all(tensor.abs().max() < 1e-11 for name, tensor in found.items() if "lora_B" in name)
    assert all(tensor.abs().max() > 1e-3 for name, tensor in found.items() if "lora_A" in name)
    base = logits(open_local(tiny_folder).model)
    tuned = logits(open_local(tiny_folder, adapter=Adapter(start)).model)
    assert torch.allclose(base, tuned, atol=1e-5)


def test_the_scale_leads_from_the_base_to_pefts_own_adapter(trained, tiny_folder, monkeypatch):
    from peft import PeftModel
    from peft.helpers import rescale_adapter_scale

    monkeypatch.setattr("selaras.models.local.best_dtype", lambda: torch.float32)
    last = trained[1][-1]
    base = logits(open_local(tiny_folder).model)
    peft_model = PeftModel.from_pretrained(load_weights(tiny_folder, torch.float32)[0], str(last))
    assert torch.equal(logits(open_local(tiny_folder, adapter=Adapter(last, 0.0)).model), base)
    whole = logits(open_local(tiny_folder, adapter=Adapter(last)).model)
    assert torch.allclose(whole, logits(peft_model), atol=1e-4)
    assert not torch.allclose(whole, base, atol=1e-2)
    half = logits(open_local(tiny_folder, adapter=Adapter(last, 0.5)).model)
    with rescale_adapter_scale(peft_model, 0.5):
        assert torch.allclose(half, logits(peft_model), atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_at_scale_0_the_model_is_the_base_in_every_weight_and_buffer(
    trained, tiny_folder, monkeypatch, dtype
):
    monkeypatch.setattr("selaras.models.local.best_dtype", lambda: dtype)
    base = open_local(tiny_folder).model
    none = open_local(tiny_folder, adapter=Adapter(trained[1][-1], 0.0)).model
    for kind in ("named_parameters", "named_buffers"):
        ours, theirs = dict(getattr(none, kind)()), dict(getattr(base, kind)())
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert tensor.dtype is theirs[name].dtype, name
            assert torch.equal(tensor, theirs[name]), name


def test_an_adapter_and_its_scale_are_in_the_identity(trained, tiny_folder):
    first, last = trained[1]
    found = [
        open_local(tiny_folder, adapter=adapter).identity
        for adapter in (Adapter(first), Adapter(last), Adapter(last, 0.5))
    ]
    assert len({json.dumps(identity) for identity in found}) == 3
    assert all(identity["weights"] == found[0]["weights"] for identity in found)


def test_an_adapter_that_does_not_fit_is_bad_input(trained, tiny_folder, tmp_path):
    with pytest.raises(InputError, match=r"weights are missing.*put the file back, or tune again"):
        open_local(tiny_folder, adapter=Adapter(tmp_path))
    broken = shutil.copytree(trained[1][0], tmp_path / "broken")
    (broken / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"weights cannot be read .*put the file back"):
        open_local(tiny_folder, adapter=Adapter(broken))


def test_training_says_nothing_on_the_terminal(training, tmp_path, capfd):
    train(training(tmp_path, epochs=1))
    told = capfd.readouterr()
    assert (told.out, told.err) == ("", "")
