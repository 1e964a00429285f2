"""RL for real on the tiny model: it learns, keeps to its budgets, survives a kill, says why."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import rl_world
from rl_world import LEARNS, run
from safetensors.torch import load_file

from selaras.core.errors import InputError
from selaras.core.files import read_json
from selaras.core.journal import Journal
from selaras.core.manifest import ledger
from selaras.core.project import open_project
from selaras.core.records import Message
from selaras.core.rl import CostBudgets
from selaras.core.system import Sampling
from selaras.models.local_adapter import COMPLETE
from selaras.models.names import open_model, place_of
from selaras.tune import rl, rl_train
from selaras.tune.live import PAGE
from selaras.tune.policy import open_policy
from selaras.tune.rl import plan_rl
from selaras.tune.rl_page import run_page
from tiny import make_tiny

pytestmark = pytest.mark.usefixtures("one_thread", "rl_rows")


def told(project, manifest):
    return read_json(project.runs / manifest.id / "rl.json")


def weights(project, manifest, step):
    folder = project.runs / manifest.id / "checkpoints" / f"checkpoint-{step}"
    return load_file(folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def trained(tiny_folder, tmp_path_factory):
    """Return a project with a finished run that learnt: read only."""
    project = rl_world.write_project(
        tmp_path_factory.mktemp("rl"), tiny_folder, **LEARNS, steps=15, watch_every=5,
        queries=6, learning_rate=0.05,
    )  # fmt: skip
    return project, run(project)


def test_rl_raises_the_reward_it_is_given(trained):
    project, manifest = trained
    steps = told(project, manifest)["steps"]
    early = sum(step["raw_reward"] for step in steps[:4]) / 4
    late = sum(step["raw_reward"] for step in steps[-4:]) / 4
    # How much depends on the rounding of the processor: a rise of .44 was seen where .5 was asked.
    assert late > early + 0.2
    assert steps[-1]["kl_per_response"] > steps[0]["kl_per_response"]


def test_every_step_says_reward_costs_weights_kl_and_refusals(trained):
    project, manifest = trained
    steps = told(project, manifest)["steps"]
    assert [step["step"] for step in steps] == list(range(1, 16))
    for step in steps:
        assert set(step["costs"]) == set(step["weights"]) == set(rl_train.COSTS)
        assert step["kl_per_token"] * step["tokens"] == pytest.approx(
            step["kl_per_response"] * 24, rel=1e-6
        )
        assert {"reward", "truncated", "refusal_adversarial", "refusal_other"} <= set(step)


def test_looks_compare_both_rewards_with_the_start_on_queries_kept_aside(trained):
    project, manifest = trained
    looks = told(project, manifest)["looks"]
    assert [look["step"] for look in looks] == [0, 5, 10, 15]
    for look in looks:
        for name in ("reward", "held_aside_reward"):
            assert look[name]["low"] <= look[name]["rise"] <= look[name]["high"]
            assert look[name]["n"] == 8
        assert look["refusal_adversarial"]["n"] == look["refusal_other"]["n"] == 4
    assert looks[0]["kl_per_response"] == pytest.approx(0, abs=0.05)


def test_the_run_is_a_model_and_its_checkpoints_are_adapters(trained):
    project, manifest = trained
    folder = project.runs / manifest.id / "checkpoints"
    assert {path.name for path in folder.glob("checkpoint-*")} == {
        f"checkpoint-{n}" for n in (5, 10, 15)
    }
    for path in folder.glob("checkpoint-*"):
        assert (path / COMPLETE).is_file()
        assert json.loads((path / "adapter_config.json").read_text())["peft_type"] == "LORA"
        assert not list(path.glob("*.bin"))
        assert not list(path.glob("*.pt"))
    assert [point["adapter"] for point in manifest.config["points"]] == [
        f"checkpoints/checkpoint-{n}" for n in (5, 10, 15)
    ]
    assert manifest.stamp == "development figures"
    model = open_model(f"run:{manifest.id}", place_of(project))
    talk = (Message(role="user", content="How long should bread rest?"),)
    assert next(iter(model.generate([talk], Sampling(max_tokens=4)))).tokens


def test_the_same_plan_is_read_and_not_trained_again(trained, monkeypatch):
    project, manifest = trained
    monkeypatch.setattr(rl, "train", None)
    assert run(project) == manifest


def test_no_query_is_in_the_files_of_a_run(trained):
    project, _ = trained
    for path in project.runs.rglob("*.json*"):
        text = path.read_text(encoding="utf-8")
        assert "kill person" not in text
        assert "bread number" not in text


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:4]
import rl_world
from selaras.core.project import open_project
from selaras.models.local_torch import torch
torch.set_num_threads(1)
from selaras.tune import rl, rl_train
rl.open_development = lambda *_: rl_world.development()
add = rl_train.Journal.add
def dies(self, key, value):
    if key == "step-5" and self.path.name == "curves.jsonl":
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, key, value)
rl_train.Journal.add = dies
project = open_project(Path(sys.argv[1]))
rl.tune_rl(project, rl.plan_rl(project), rewarders=rl_world.rewarders())
"""


def test_a_run_killed_hard_goes_on_with_the_same_next_step(tmp_path, tiny_folder):
    settings = {**LEARNS, "steps": 6, "watch_every": 6, "mask_truncated": False, "weight": 1.0,
                "weight_rate": 0.5, "weight_push": 5.0}  # fmt: skip
    whole = rl_world.write_project(tmp_path / "whole", tiny_folder, **settings)
    cut = rl_world.write_project(tmp_path / "cut", tiny_folder, **settings)
    expected = run(whole)
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(cut.root), str(here), str(here.parent)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(here.parents[1] / "src"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    (running,) = ledger(cut.runs)
    assert running.status == "running"
    (moments,) = (cut.runs / running.id).glob("checkpoints/checkpoint-*/optimizer.safetensors")
    kept = moments.read_bytes()
    moments.write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"weights cannot be read .*delete this checkpoint"):
        run(cut, resume=True)
    moments.write_bytes(kept)
    found = run(cut, resume=True)
    assert found.id == running.id
    first, second = told(whole, expected), told(cut, found)
    for one, other in zip(first["steps"], second["steps"], strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert first["looks"] == second["looks"]
    assert found.seconds >= round(sum(step["seconds"] for step in second["steps"]), 1)
    for step in first["steps"][:1]:  # a step's own excess counts in that very step
        for name, budget in CostBudgets().model_dump().items():
            over = max(0.0, (step["costs"][name] or 0.0) - budget)
            assert step["weights"][name] == pytest.approx(1 + 5 * over)
    assert any(weight > 1 for weight in first["steps"][0]["weights"].values())
    ours, theirs = weights(cut, found, 6), weights(whole, expected, 6)
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_a_kl_budget_stops_the_run_and_says_so(tmp_path, tiny_folder):
    project = rl_world.write_project(
        tmp_path, tiny_folder, **{**LEARNS, "learning_rate": 0.05}, steps=20, kl_budget=0.5,
        watch_every=20,
    )  # fmt: skip
    manifest = run(project)
    assert "the budget is 0.5" in manifest.config["stopped"]
    done = manifest.config["steps_done"]
    assert done < 20
    assert manifest.config["chosen"]["adapter"] == f"checkpoints/checkpoint-{done}"


def test_a_run_needs_a_reward_model_and_another_one_to_watch_by(tmp_path, tiny_folder):
    project = rl_world.write_project(tmp_path, tiny_folder, reward=None)
    with pytest.raises(InputError, match=r"no reward model is named.*selaras tune reward"):
        plan_rl(project)
    project = rl_world.write_project(tmp_path, tiny_folder, held_aside_reward="run:first")
    with pytest.raises(InputError, match="is the one that is trained against"):
        plan_rl(project)
    project = rl_world.write_project(tmp_path, tiny_folder)
    with pytest.raises(InputError, match="both reward models are the same one"):
        run(project, rewarders=rl_world.rewarders("e", "e"))


def test_grpo_learns_too_and_a_run_without_a_second_reward_model_is_whole(tmp_path, tiny_folder):
    project = rl_world.write_project(
        tmp_path, tiny_folder, **{**LEARNS, "learning_rate": 0.02}, algorithm="grpo", steps=12,
        queries=6, watch_every=12, held_aside_reward=None,
    )  # fmt: skip
    manifest = run(project)
    steps = told(project, manifest)["steps"]
    assert sum(s["raw_reward"] for s in steps[-4:]) > sum(s["raw_reward"] for s in steps[:4])
    assert "held_aside_reward" not in manifest.figures["rl"]
    assert manifest.id.startswith("tune-grpo-")


def test_a_journal_that_a_kill_cut_short_is_done_again(trained, tmp_path):
    project, manifest = trained
    path = shutil.copy(project.runs / manifest.id / "curves.jsonl", tmp_path / "curves.jsonl")
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[:-20])
    assert len(Journal(Path(path))) == 14


def test_a_run_names_its_queries_and_feeds_its_live_page(trained):
    project, manifest = trained
    plan = plan_rl(project)
    assert manifest.config["trained"] == [row.id for row in plan.queries.train]
    assert not {row.id for row in plan.queries.watched} & set(manifest.config["trained"])
    shown = (project.runs / manifest.id / "checkpoints" / PAGE).read_text()
    assert "15 of 15 steps; the training has ended" in shown
    for figure in ("reward", "KL", "norm of the gradient"):
        assert figure in shown


def test_the_page_speaks_of_the_checkpoint_that_was_chosen(trained):
    project, manifest = trained
    looks, steps = (told(project, manifest)[name] for name in ("looks", "steps"))
    for look in looks[1:]:
        taken = {"adapter": f"checkpoints/checkpoint-{look['step']}", "scale": 1.0}
        config = {**manifest.config, "chosen": taken}
        shown = run_page(manifest.model_copy(update={"config": config}), steps, looks)
        assert f"At the chosen step {look['step']}, " in shown
        assert f"has risen by {look['reward']['rise']:+.2f} sd" in shown


def test_an_adapter_that_is_gone_on_with_is_the_reference(trained, tmp_path, tiny_folder):
    other, first = trained
    adapter = other.runs / first.id / first.config["points"][-1]["adapter"]
    rl_world.write_project(tmp_path, tiny_folder, **LEARNS, steps=2, watch_every=2)
    shutil.copytree(adapter, tmp_path / "first")
    project = open_project(tmp_path, ["tune.adapter=first"])
    manifest = run(project)
    looks = told(project, manifest)["looks"]
    # The start is what KL is counted from, and it is far from the base.
    assert looks[0]["kl_per_response"] == pytest.approx(0, abs=0.05)
    assert told(other, first)["looks"][-1]["kl_per_response"] > 0.5
    before = load_file(adapter / "adapter_model.safetensors")
    after = weights(project, manifest, 2)
    assert before.keys() == after.keys()
    assert any((before[name] != after[name]).any() for name in after)
    (made,) = (project.runs / manifest.id / "checkpoints").glob("checkpoint-2")
    assert not (made / "reference").exists()
    policy = open_policy(tiny_folder, project.file.tune, 0, adapter=adapter)
    trained_now = set(policy.parameters)
    with policy.as_reference():
        pass
    assert set(policy.parameters) == trained_now


def test_responses_that_pass_the_context_are_refused_before_anything_is_loaded(
    tmp_path, tiny_folder
):
    project = rl_world.write_project(tmp_path, tiny_folder, max_tokens=4000)
    with pytest.raises(
        InputError, match=r"the model reads 256: no room for 4000 more.*max_tokens="
    ):
        plan_rl(project)


def test_a_forecast_says_time_and_leaves_no_run(tmp_path, tiny_folder):
    from selaras.tune.rl_forecast import forecast_rl

    project = rl_world.write_project(tmp_path, tiny_folder)
    found = forecast_rl(project, plan_rl(project), rewarders=rl_world.rewarders())
    assert found.looks == 3
    assert min(found.opening, found.step, found.look) > 0
    assert found.seconds == pytest.approx(found.opening + 6 * found.step + 3 * found.look)
    assert f"about {found.seconds:.0f} s at most" in found.text
    assert found.peak_mb > 100
    with pytest.raises(InputError, match="no run 'first'"):
        forecast_rl(project, plan_rl(project))
    assert ledger(project.runs) == []


def test_a_pre_trained_base_wants_a_chat_template_and_keeps_it(tmp_path, tiny_folder):
    rl_world.write_project(tmp_path, tiny_folder, **LEARNS, steps=1, watch_every=1)
    shutil.rmtree(tmp_path / "model")
    make_tiny(tmp_path / "model", template=None)
    with pytest.raises(InputError, match="without a chat template"):
        plan_rl(open_project(tmp_path))
    project = open_project(tmp_path, ["tune.chat_template=plain"])
    plan = plan_rl(project)
    assert "warning: hf:model is pre-trained (pt)" in plan.text
    done = run(project)
    opened = open_model(f"run:{done.id}", place_of(project))
    assert opened.chat.tokenizer.chat_template == plan.start.chat_template


def test_settings_that_rl_does_not_take_are_said(tmp_path, tiny_folder):
    project = rl_world.write_project(tmp_path, tiny_folder)
    assert plan_rl(project).notes == ()
    other = open_project(project.root, ("tune.precision=fp32", "tune.running.four_bit=true"))
    assert "warning: RL trains an adapter its own way and does not use tune.precision and" in (
        plan_rl(other).text
    )
