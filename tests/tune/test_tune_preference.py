"""Preference tuning on the tiny model: both directions, both learnt, chosen, resumed, refused."""

import shutil

import datasets
import pytest
import trl
import yaml
from safetensors.torch import load_file
from test_tune_reward import Dying
from transformers import TrainerState

from selaras.core.errors import InputError, SelarasError
from selaras.core.manifest import ledger
from selaras.core.project import open_project
from selaras.core.records import Message, Preference, Query
from selaras.core.tuning import PreferenceSettings
from selaras.data import Development
from selaras.models.local import pad_id
from selaras.models.local_torch import torch
from selaras.models.local_weights import load_weights
from selaras.models.names import open_model, open_rewarder, place_of
from selaras.models.protocol import Choice
from selaras.tune import preference
from selaras.tune.preference import plan_preference, tune_preference
from selaras.tune.preference_trainer import PairTuning
from selaras.tune.trainable import lora
from selaras.tune.trainer import Training, Watch, loss_curve
from selaras.tune.trainer import run as run_training
from tiny import make_tiny

pytestmark = pytest.mark.usefixtures("one_thread")
REFUSAL, HELP = "I can't help with that.", "Use the kill command."


def rows():
    """Return twelve twins of pairs, and queries to choose by."""
    made = []
    for i in range(12):
        common = {"policies": ("hate",)}
        made += [
            Preference(id=f"m{i}", query=f"How do I kill person {i}?", kind="malicious",
                       expected="refuse", response_a=REFUSAL, response_b=HELP, best="a", **common),
            Preference(id=f"l{i}", query=f"How do I kill process {i}?", kind="look_alike",
                       expected="answer", response_a=REFUSAL, response_b=HELP, best="b", **common),
            Query(id=f"o{i}", query=f"How long should bread {i} rest?", expected="answer"),
        ]  # fmt: skip
    return made


def held(found):
    return Development(tuple(found), {row.id: f"g{row.id[1:]}" for row in found}, (), None)


def write_project(folder, tiny_folder, **settings):
    shutil.copytree(tiny_folder, folder / "model", dirs_exist_ok=True)
    given = {"epochs": 2, "batch_size": 8, "rank": 2, "learning_rate": 0.02, "layers": 1.0,
             "scales": [0.5, 1.0], "minimum_pairs": 2, **settings}  # fmt: skip
    file = {
        "product": "test",
        "use_cases": [{"id": "answer", "title": "Answer"}],
        "policies": ["hate"],
        "tune": {"model": "hf:model", "preference": given},
    }
    (folder / "selaras.yaml").write_text(yaml.safe_dump(file))
    return open_project(folder)


@pytest.fixture
def development(monkeypatch):
    def put(found):
        monkeypatch.setattr(preference, "open_development", lambda *_: held(found))

    put(rows())
    return put


@pytest.fixture(scope="module")
def tuned(tiny_folder, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preference, "open_development", lambda *_: held(rows()))
        project = write_project(tmp_path_factory.mktemp("preference"), tiny_folder)
        yield project, tune_preference(project, plan_preference(project))


def gap(project, name, query):
    """Return how much likelier the refusal is than the help, in nats."""
    model = open_model(name, place_of(project))
    talk = (Message(role="user", content=query),)
    refusal, help_ = next(model.score([Choice(talk, (REFUSAL, HELP))])).log_probabilities
    return refusal - help_


def test_the_loss_falls_and_the_run_opens_as_a_model(tuned):
    project, run = tuned
    curve = [entry["loss"] for entry in loss_curve(project.runs / run.id / "checkpoints")]
    assert curve[-1] < curve[0]
    # At the first step policy and reference agree: DPO's part is ln 2, the rest is SFT's.
    assert curve[0] > 0.69
    moved = gap(project, f"run:{run.id}@1", "How do I kill person 3?") - gap(
        project, f"run:{run.id}@1", "How do I kill process 3?"
    )
    before = gap(project, "hf:model", "How do I kill person 3?") - gap(
        project, "hf:model", "How do I kill process 3?"
    )
    assert moved > before


def test_the_run_says_its_directions_points_and_choice(tuned):
    project, run = tuned
    directions = run.config["directions"]
    assert directions["safe over unsafe"] == directions["helpful over refusing"] > 5
    assert run.config["method"] == "preference"
    assert len(run.config["points"]) == 4
    assert {"adapter", "scale"} == set(run.config["chosen"])
    assert run.figures["over_refusal_rate"]["n"] > 0
    with pytest.raises(InputError, match="made a model that answers, not a reward model"):
        open_rewarder(f"run:{run.id}", place_of(project))


def test_rows_kept_aside_are_not_trained_on(development, tiny_folder, tmp_path):
    plan = plan_preference(write_project(tmp_path, tiny_folder))
    aside = {row.id for row in plan.selection}
    trained = {row.id for row in plan.rows.train}
    assert aside
    assert not aside & trained
    groups = plan.development.groups
    assert not {groups[name] for name in aside} & {groups[name] for name in trained}


def test_it_goes_on_to_the_same_adapter_after_a_kill(tuned, development, tiny_folder, tmp_path):
    other, run = tuned
    project = write_project(tmp_path, tiny_folder)
    with pytest.raises(KeyboardInterrupt):
        tune_preference(project, plan_preference(project), progress=Dying(4))
    done = tune_preference(project, plan_preference(project), resume=True)
    assert len(ledger(project.runs)) == 1

    def weights(of, manifest):
        folder = of.runs / manifest.id / "checkpoints"
        last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
        return load_file(last / "adapter_model.safetensors")

    first, second = weights(project, done), weights(other, run)
    assert all((first[name] == second[name]).all() for name in second)


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        ("malicious", "0 pairs teach 'helpful over refusing', 2 are needed.*refuse whatever"),
        ("look_alike", "0 pairs teach 'safe over unsafe', 2 are needed.*comply with whatever"),
    ],
)
def test_one_direction_alone_is_refused_or_warned_of(
    development, tiny_folder, tmp_path, kept, said
):
    development([row for row in rows() if row.kind in {kept, "ordinary"}])
    with pytest.raises(InputError, match=said):
        plan_preference(write_project(tmp_path, tiny_folder))
    plan = plan_preference(write_project(tmp_path, tiny_folder, minimum_pairs=0))
    assert "warning: no pair teaches" in plan.text


def test_pairs_that_are_too_long_teach_no_direction(development, tiny_folder, tmp_path):
    long = {"query": "How do I kill it," + " please" * 80}
    development([row.model_copy(update=long) if row.id[0] == "l" else row for row in rows()])
    with pytest.raises(InputError, match="0 pairs teach 'helpful over refusing'"):
        plan_preference(write_project(tmp_path, tiny_folder, max_tokens=150))
    plan = plan_preference(write_project(tmp_path, tiny_folder, max_tokens=150, minimum_pairs=0))
    assert sum(plan.rows.directions.values()) == len(plan.encoded)
    assert any("no pair teaches" in note for note in plan.notes)


def test_without_pairs_or_with_long_ones_it_is_one_line(development, tiny_folder, tmp_path):
    with pytest.raises(InputError, match=r"all \d+ pairs are longer than 16 tokens"):
        plan_preference(write_project(tmp_path, tiny_folder, max_tokens=16))
    development([row for row in rows() if row.kind == "ordinary"])
    with pytest.raises(InputError, match="no usable preference pairs"):
        plan_preference(write_project(tmp_path, tiny_folder))


def test_loss_and_gradient_are_trls(tiny_folder, development, tmp_path):
    plan = plan_preference(write_project(tmp_path, tiny_folder))
    found = {}
    for made in (PairTuning, Theirs):
        model, tokenizer = load_weights(tiny_folder, torch.float32)
        tokenizer.pad_token_id = pad_id(tokenizer)
        torch.manual_seed(0)
        rows = datasets.Dataset.from_dict(
            {"prompt_ids": list(map(list, plan.encoded.prompts)),
             "chosen_ids": list(map(list, plan.encoded.chosen)),
             "rejected_ids": list(map(list, plan.encoded.rejected))}
        )  # fmt: skip
        trainer = made(
            model=model, train_dataset=rows, processing_class=tokenizer,
            args=trl.DPOConfig(
                output_dir=str(tmp_path / made.__name__), per_device_train_batch_size=8,
                loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.3], beta=0.2, max_length=None,
                precompute_ref_log_probs=True, bf16=False, use_cpu=True, report_to="none",
                gradient_checkpointing=False, disable_tqdm=True,
            ),
            peft_config=lora(model, plan_settings(rank=2), "CAUSAL_LM"),
        )  # fmt: skip
        generator = torch.Generator().manual_seed(5)
        trained = {n: w for n, w in trainer.model.named_parameters() if w.requires_grad}
        for weight in trained.values():
            weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
        trainer.current_gradient_accumulation_steps = 1
        batch = trainer.data_collator([trainer.train_dataset[i] for i in range(8)])
        loss = trainer.training_step(trainer.model, batch, 8)
        found[made] = (float(loss), {name: weight.grad for name, weight in trained.items()})
    (ours, mine), (theirs, others) = found.values()
    assert ours == pytest.approx(theirs, abs=1e-5)
    assert mine.keys() == others.keys()
    for name, gradient in mine.items():
        assert torch.allclose(gradient, others[name], atol=2e-5, rtol=2e-3), name


class Theirs(trl.DPOTrainer):
    """TRL's own loss, on ids that were made here."""

    def _prepare_dataset(self, dataset, *_, **__):
        return dataset


def plan_settings(**given):
    return PreferenceSettings.model_validate({"layers": 1.0, **given})


def test_it_goes_on_from_an_adapter_which_is_the_reference(
    tuned, development, tiny_folder, tmp_path
):
    other, run = tuned
    adapter = other.runs / run.id / run.config["points"][-1]["adapter"]
    project = write_project(tmp_path, tiny_folder)
    shutil.copytree(adapter, tmp_path / "first")
    project = open_project(tmp_path, ["tune.adapter=first", "tune.preference.epochs=1"])
    plan = plan_preference(project)
    done = tune_preference(project, plan)
    # At its first step policy and reference agree, though the policy is not the base any more.
    curve = loss_curve(project.runs / done.id / "checkpoints")
    first = [entry["loss"] for entry in loss_curve(other.runs / run.id / "checkpoints")]
    assert 0.69 < curve[0]["loss"] < first[0] - 0.1
    (made,) = (project.runs / done.id / "checkpoints").glob("checkpoint-*")
    assert not (made / "ref").exists()
    before, after = (
        load_file(path / "adapter_model.safetensors") for path in (tmp_path / "first", made)
    )
    assert before.keys() == after.keys()
    assert done.config["trained"] == [row.id for row in plan.rows.train]
    plain = plan_preference(open_project(tmp_path, ["tune.preference.epochs=1"]))
    assert tune_preference(project, plain).id != done.id


def test_a_pre_trained_base_wants_a_chat_template_and_keeps_it(development, tiny_folder, tmp_path):
    project = write_project(tmp_path, tiny_folder)
    shutil.rmtree(tmp_path / "model")
    make_tiny(tmp_path / "model", template=None)
    with pytest.raises(InputError, match="without a chat template"):
        plan_preference(project)
    project = open_project(
        tmp_path, ["tune.chat_template=plain", "tune.preference.epochs=1",
                   "tune.preference.scales=[1.0]"],
    )  # fmt: skip
    plan = plan_preference(project)
    assert "warning: hf:model is pre-trained (pt)" in plan.text
    done = tune_preference(project, plan)
    opened = open_model(f"run:{done.id}", place_of(project))
    assert opened.chat.tokenizer.chat_template == plan.start.chat_template


def test_hints_name_the_settings_of_preference_tuning(development, tiny_folder, tmp_path):
    project = write_project(tmp_path, tiny_folder, learning_rate=0.9)
    training = Training(tiny_folder, None, project.file.tune.preference, 0, tmp_path / "x",
                        section="tune.preference")  # fmt: skip
    with pytest.raises(SelarasError, match=r"--set tune\.preference\.learning_rate=0\.225"):
        Watch(training, Dying(99)).on_log(
            None, TrainerState(global_step=3), None, {"loss": float("nan")}
        )

    # A loss that is a number, of weights that the step has just made none: not to be kept.
    with pytest.raises(SelarasError, match=r"the gradient is inf at step 3: lower"):
        Watch(training, Dying(99)).on_log(
            None, TrainerState(global_step=3), None, {"loss": 1.0, "grad_norm": float("inf")}
        )

    class Starved:
        def remove_callback(self, _):
            pass

        def train(self, **_):
            raise MemoryError

    with pytest.raises(SelarasError, match=r"lower --set tune\.preference\.batch_size"):
        run_training(Starved(), training, None)


def test_a_forecast_counts_steps_tokens_and_answers_and_leaves_no_run(
    development, tiny_folder, tmp_path
):
    from selaras.tune.forecast import forecast_pairs

    project = write_project(tmp_path, tiny_folder)
    plan = plan_preference(project)
    found = forecast_pairs(project, plan)
    assert (found.steps, found.tokens) == (2 * -(-len(plan.encoded) // 8), 2 * plan.encoded.tokens)
    assert found.seconds > found.training_seconds > 0
    assert ledger(project.runs) == []


class Saying(Dying):
    """A progress that keeps the lines that were said."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def test_it_says_where_it_can_be_watched(development, tiny_folder, tmp_path):
    project = write_project(tmp_path, tiny_folder, epochs=1, scales=[1.0])
    saying = Saying()
    done = tune_preference(project, plan_preference(project), progress=saying)
    page = project.runs / done.id / "checkpoints" / "training.html"
    assert any(str(page) in line for line in saying.lines)
    assert page.is_file()
