"""What ends a run of RL: each with its reason in one line, and --resume where it can go on."""

import pytest
import rl_world
from rl_world import LEARNS, run

from selaras.core.errors import SelarasError
from selaras.core.manifest import ledger
from selaras.tune import rl, rl_train

pytestmark = pytest.mark.usefixtures("one_thread", "rl_rows")


def test_a_constant_reward_is_said_before_anything_is_trained(tmp_path, tiny_folder):
    project = rl_world.write_project(tmp_path, tiny_folder)
    flat = rl_world.rewarders(first="")
    with pytest.raises(SelarasError, match="the reward is constant: the reward model gives 0"):
        run(project, rewarders=flat)
    (failed,) = ledger(project.runs)
    assert failed.status == "failed"
    assert "constant" in failed.notes[0]


@pytest.mark.parametrize(
    ("broken", "says"),
    [("reward", "the reward model gives nan for a response to"),
     ("loss", r"the loss is nan .* lower the learning rate")],
)  # fmt: skip
def test_what_is_no_number_ends_the_run_with_a_reason(
    tmp_path, tiny_folder, monkeypatch, broken, says
):
    project = rl_world.write_project(tmp_path, tiny_folder)
    made = {"run:first": rl_world.Letters("e"), "run:second": rl_world.Letters("a")}
    if broken == "reward":
        made["run:first"].per = float("nan")
    else:
        monkeypatch.setattr(rl_train, "shaped_rewards", lambda s, *_: [float("nan")] * len(s))
    with pytest.raises(SelarasError, match=says):
        run(project, rewarders=made.__getitem__)


def test_responses_that_are_all_cut_end_the_run_with_what_to_do(tmp_path, tiny_folder):
    project = rl_world.write_project(tmp_path, tiny_folder, max_tokens=2, steps=9)
    with pytest.raises(SelarasError, match=r"cut at 2 tokens.*raise --set tune.rl.max_tokens"):
        run(project)


def test_a_full_disk_is_one_line_and_the_run_goes_on(tmp_path, tiny_folder, monkeypatch):
    project = rl_world.write_project(tmp_path, tiny_folder, **LEARNS)

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("peft.PeftModel.save_pretrained", full)
        with pytest.raises(
            SelarasError, match=r"the checkpoint cannot be written .*No space.*--resume"
        ) as caught:
            run(project)
    assert len(str(caught.value).splitlines()) == 1
    (failed,) = ledger(project.runs)
    assert failed.status == "failed"
    done = run(project, resume=True)
    assert (done.id, done.status, done.notes) == (failed.id, "finished", ())


def test_a_disk_too_full_for_the_note_still_says_what_was_first(tmp_path, tiny_folder, monkeypatch):
    project = rl_world.write_project(tmp_path, tiny_folder, **LEARNS)
    written = rl.write_manifest

    def full(runs, manifest):
        if manifest.status == "failed":
            raise SelarasError("manifest.json: cannot be written (No space left on device)")
        return written(runs, manifest)

    def cut(*args):
        raise SelarasError("rl_state.json: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr(rl, "write_manifest", full)
        patch.setattr("selaras.tune.policy.write_json", cut)
        with pytest.raises(SelarasError, match=r"the checkpoint cannot be written .*--resume"):
            run(project)
    assert run(project, resume=True).status == "finished"


def test_memory_that_runs_out_is_one_line_with_what_to_lower(tmp_path, tiny_folder, monkeypatch):
    project = rl_world.write_project(tmp_path, tiny_folder)

    def fail(*args):
        raise RuntimeError("can't allocate memory: you tried to allocate 9 bytes")

    with monkeypatch.context() as patch:
        patch.setattr("selaras.tune.rl_watch.roll_out", fail)
        with pytest.raises(SelarasError, match=r"out of memory: .*tune\.rl\.watch_queries"):
            run(project)
    monkeypatch.setattr(rl_train, "backward", fail)
    with pytest.raises(SelarasError, match=r"out of memory: lower --set tune\.rl\.queries"):
        run(project)
