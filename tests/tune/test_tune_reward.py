"""A reward model trained on the tiny model: it learns, is chosen, resumes and judges."""

import math
import shutil
from contextlib import contextmanager

import pytest
import yaml
from safetensors.torch import load_file

from selaras.core.errors import InputError, SealError, SelarasError
from selaras.core.manifest import ledger
from selaras.core.project import open_project
from selaras.core.records import Message, Preference
from selaras.data import Development
from selaras.judge import Case, JudgeSpec
from selaras.judge.reward_judge import RewardJudge, open_reward_judge
from selaras.models.names import open_rewarder, place_of
from selaras.tune import reward, reward_trainer
from selaras.tune.choose_pairs import choose_pairs
from selaras.tune.reward import PAGE, measure_sealed, plan_reward, tune_reward
from tiny import make_tiny

pytestmark = pytest.mark.usefixtures("one_thread")
GOOD, BAD = "I can't help with that.", "Use the kill command."


def pairs(count=24):
    """Return pairs whose better side is always the same text, in either place."""
    made = []
    for i in range(count):
        swap = bool(i % 2)
        made.append(Preference(
            id=f"p{i}", query=f"How do I kill {'very ' * (i % 4)}{i}?", kind="malicious",
            expected="refuse", policies=(("hate", "private-information")[i % 2],),
            response_a=BAD if swap else GOOD, response_b=GOOD if swap else BAD,
            best="b" if swap else "a", label_a="unsafe" if swap else "safe",
            label_b="safe" if swap else "unsafe",
        ))  # fmt: skip
    return made


def held(rows):
    return Development(tuple(rows), {row.id: f"g{row.id}" for row in rows}, (), None)


def write_project(folder, tiny_folder, **settings):
    shutil.copytree(tiny_folder, folder / "model", dirs_exist_ok=True)
    given = {"epochs": 2, "batch_size": 4, "rank": 2, "learning_rate": 0.02, "layers": 1.0,
             "selection_share": 0.3, **settings}  # fmt: skip
    file = {
        "product": "test",
        "use_cases": [{"id": "answer", "title": "Answer"}],
        "policies": ["hate", "private-information"],
        "tune": {"model": "hf:model", "reward": given},
    }
    (folder / "selaras.yaml").write_text(yaml.safe_dump(file))
    return open_project(folder)


@pytest.fixture(scope="module")
def trained(tiny_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reward, "open_development", lambda *_: held(pairs()))
        project = write_project(tmp_path_factory.mktemp("reward"), tiny_folder)
        yield project, tune_reward(project, plan_reward(project))


@pytest.fixture
def development(monkeypatch):
    def put(rows):
        monkeypatch.setattr(reward, "open_development", lambda *_: held(rows))

    put(pairs())
    return put


class Dying:
    """A progress that ends the run at a step, before it is saved."""

    def __init__(self, dies_at=math.inf):
        self.dies_at, self.done = dies_at, 0

    @contextmanager
    def task(self, title, total):
        yield self

    def advance(self, amount=1, note=None):
        self.done += amount
        if self.done >= self.dies_at:
            raise KeyboardInterrupt

    def say(self, line):
        pass


def weights(project, manifest):
    chosen = manifest.config["chosen"]["adapter"]
    return load_file(project.runs / manifest.id / chosen / "adapter_model.safetensors")


def test_it_learns_which_side_is_better_and_says_how_sure_it_is(trained):
    _, run = trained
    aside = run.figures["aside"]
    assert aside["accuracy"]["value"] == 1.0
    assert aside["accuracy"]["low"] > 0.5
    assert set(aside["by_policy"]) == {"hate", "private-information"}
    assert set(aside["by_labels"]) == {"safe/unsafe"}
    assert set(aside["by_direction"]) == {"safe over unsafe"}
    assert aside["length"]["rule"] == "longer"
    assert aside["length"]["length_only"]["value"] == 1.0
    assert (
        sum(each["accuracy"]["n"] for each in aside["calibration"]["bins"])
        == (aside["accuracy"]["n"])
    )


def test_the_run_says_what_it_was_trained_on_and_shows_it(trained):
    project, run = trained
    assert (run.kind, run.config["method"], run.status) == ("tune", "reward", "finished")
    assert run.config["pairs"] + run.config["selection_pairs"] == 24
    assert run.config["labels"] == {"safe/unsafe": run.config["pairs"]}
    assert [point["adapter"] for point in run.config["points"]] == [
        "checkpoints/checkpoint-5", "checkpoints/checkpoint-10"
    ]  # fmt: skip
    shown = (project.runs / run.id / PAGE).read_text()
    assert "Reliability of sigmoid(margin)" in shown
    assert "safe/unsafe" in shown


def test_it_opens_by_its_run_and_prefers_the_better_side(trained):
    project, run = trained
    rewarder = open_rewarder(f"run:{run.id}", place_of(project))
    asked = (Message(role="user", content="How do I kill 99?"),)
    good, bad = rewarder.reward([asked, asked], [GOOD, BAD])
    assert good > bad
    assert rewarder.identity["adapter"] in run.outputs.values()


def test_it_judges_by_name_and_is_fair_to_cases_that_fit(trained):
    project, run = trained
    judge = open_reward_judge(JudgeSpec(type="reward", by=f"run:{run.id}"), project)
    cases = [Case("a", "How do I kill 7?", GOOD), Case("b", "How do I kill 7?", BAD),
             Case("c", "How?", "word " * 400)]  # fmt: skip
    good, bad, long = judge.judge_cases(cases)
    assert judge.axis == "helpfulness"
    assert good.score > bad.score
    assert (long.status, long.score) == ("unscored", None)
    assert "passes the context" in long.reason
    harm = RewardJudge(judge.rewarder, (good.score + bad.score) / 2)
    assert [each.value for each in harm.judge_cases(cases[:2])] == ["safe", "unsafe"]
    assert harm.axis == "response_harm"
    assert harm.identity != judge.identity


def test_the_same_plan_is_read_and_another_policy_is_another_model(trained, development):
    project, run = trained
    before = len(ledger(project.runs))
    assert tune_reward(project, plan_reward(project)).id == run.id
    assert len(ledger(project.runs)) == before
    plan = plan_reward(project, "hate")
    assert {policy for row in plan.rows.train for policy in row.policies} == {"hate"}
    with pytest.raises(InputError, match="unknown policy 'hat'"):
        plan_reward(project, "hat")


@pytest.mark.parametrize("dies_at", [3, 7])
def test_a_training_that_was_cut_off_goes_on_to_the_same_model(
    trained, development, tiny_folder, tmp_path, dies_at
):
    other, run = trained
    project = write_project(tmp_path, tiny_folder)
    with pytest.raises(KeyboardInterrupt):
        tune_reward(project, plan_reward(project), progress=Dying(dies_at))
    done = tune_reward(project, plan_reward(project), resume=True)
    assert len(ledger(project.runs)) == 1
    first, second = weights(project, done), weights(other, run)
    assert all((first[name] == second[name]).all() for name in second)


def test_a_loss_that_is_no_number_stops_with_a_reason(development, tiny_folder, tmp_path):
    from selaras.models.local import load_weights
    from selaras.models.local_torch import torch

    project = write_project(tmp_path, tiny_folder)
    model, _ = load_weights(tmp_path / "model", torch.float32)
    model.model.norm.weight.data[0] = float("nan")
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(SelarasError, match="the base's states are no numbers"):
        tune_reward(project, plan_reward(project))
    project = write_project(tmp_path / "other", tiny_folder, probe=False)
    shutil.copytree(tmp_path / "model", project.root / "model", dirs_exist_ok=True)
    with pytest.raises(
        SelarasError, match=r"the loss is nan at step 1.*model\.norm\.weight in model"
    ):
        tune_reward(project, plan_reward(project))


def test_a_full_disk_is_one_line_and_the_last_whole_checkpoint_stays(
    development, tiny_folder, tmp_path, monkeypatch
):
    project = write_project(tmp_path, tiny_folder)
    save = reward_trainer.PairLoss._save_checkpoint

    def full(self, *given):
        if self.state.global_step > 4:
            raise OSError(28, "No space left on device")
        return save(self, *given)

    monkeypatch.setattr(reward_trainer.PairLoss, "_save_checkpoint", full)
    with pytest.raises(SelarasError, match=r"the disk is full.*--resume"):
        tune_reward(project, plan_reward(project))
    (run,) = ledger(project.runs)
    left = [path.name for path in (project.runs / run.id / "checkpoints").iterdir()]
    assert left == ["checkpoint-4"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"response_b": "I can't help with that. "}, "both sides are the same"),
        ({"response_b": " \n"}, "a response is empty"),
        ({"best": "tie"}, "neither side is better"),
    ],
)
def test_pairs_that_say_nothing_are_left_out_and_named(
    development, tiny_folder, tmp_path, changed, reason
):
    rows = pairs()
    rows[0] = Preference.model_validate({**rows[0].model_dump(), **changed})
    development(rows)
    plan = plan_reward(write_project(tmp_path, tiny_folder))
    assert [(out.record, out.reason) for out in plan.rows.left_out] == [("p0", reason)]
    assert f"left out 1: {reason} (p0)" in plan.text


def test_pairs_that_are_too_long_are_counted_and_named(development, tiny_folder, tmp_path):
    rows = pairs()
    rows[3] = rows[3].model_copy(update={"query": "very " * 200})
    development(rows)
    plan = plan_reward(write_project(tmp_path, tiny_folder, max_tokens=120))
    assert plan.too_long == ("p3",)
    assert len(plan.encoded) + len(plan.rows.aside) == 23
    assert "too long (p3)" in plan.text
    with pytest.raises(InputError, match=r"pairs to train on are longer than 16 tokens"):
        plan_reward(write_project(tmp_path, tiny_folder, max_tokens=16))


def test_too_few_pairs_are_one_line_with_what_was_left_out():
    rows = pairs(3)
    rows[1:] = [row.model_copy(update={"best": "tie"}) for row in rows[1:]]
    with pytest.raises(InputError, match=r"1 usable.*2 left out: neither side is better"):
        choose_pairs(held(rows), 0.2, 0)


def test_without_a_seal_no_pair_can_be_measured_on(trained):
    project, run = trained
    with pytest.raises(SealError, match="nothing is sealed"):
        measure_sealed(project, run)


def test_it_begins_as_the_adapter_that_it_goes_on_from(trained, development, tiny_folder, tmp_path):
    other, run = trained
    write_project(tmp_path, tiny_folder)
    adapter = other.runs / run.id / run.config["chosen"]["adapter"]
    shutil.copytree(adapter, tmp_path / "first")
    still = ["tune.adapter=first", "tune.reward.epochs=1", "tune.reward.learning_rate=1e-12"]
    project = open_project(tmp_path, still)
    plan = plan_reward(project)
    done = tune_reward(project, plan)
    before = load_file(adapter / "adapter_model.safetensors")
    after = weights(project, done)
    lora = [name for name in before if ".lora_" in name]
    assert lora
    assert all((before[name] - after[name]).abs().max() < 1e-6 for name in lora)
    # The head begins anew, from the states that this adapter gives.
    assert done.figures["aside"]["accuracy"]["value"] == 1.0
    assert done.config["trained"] == [row.id for row in plan.rows.train]
    (tmp_path / "first" / "complete.json").write_text('{"step": 1, "base": "another"}')
    again = open_project(tmp_path, [*still, "seed=5"])
    with pytest.raises(InputError, match="was tuned on another model"):
        tune_reward(again, plan_reward(again))


def test_a_pre_trained_base_keeps_the_template_it_was_given(development, tiny_folder, tmp_path):
    write_project(tmp_path, tiny_folder)
    shutil.rmtree(tmp_path / "model")
    make_tiny(tmp_path / "model", template=None)
    project = open_project(tmp_path, ["tune.chat_template=plain", "tune.reward.epochs=1"])
    plan = plan_reward(project)
    assert "warning: hf:model is pre-trained (pt)" in plan.text
    done = tune_reward(project, plan)
    rewarder = open_rewarder(f"run:{done.id}", place_of(project))
    assert rewarder.chat.tokenizer.chat_template == plan.start.chat_template


def test_a_forecast_of_pairs_counts_steps_tokens_and_time_and_leaves_no_run(
    development, tiny_folder, tmp_path
):
    from selaras.tune.forecast import forecast_pairs

    project = write_project(tmp_path, tiny_folder)
    plan = plan_reward(project)
    found = forecast_pairs(project, plan)
    assert found.steps == 2 * -(-len(plan.encoded) // 4)
    assert found.tokens == 2 * plan.encoded.tokens
    assert 0 < found.trainable < found.parameters
    assert found.seconds > found.training_seconds > 0
    assert ledger(project.runs) == []


@pytest.mark.parametrize("share", [0.01, 0.5, 0.89])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_whatever_the_share_some_pairs_are_trained_on_and_some_choose(count, share):
    found = choose_pairs(held(pairs(count)), share, 0)
    assert found.train
    assert found.aside
    assert len(found.train) + len(found.aside) == count
