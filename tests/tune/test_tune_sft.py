"""A whole tuning on the tiny model: plan, train, choose, and open what came out by its run's id."""

import shutil
from dataclasses import replace

import pytest
import yaml

from selaras.cli.render_tune import show_tuned
from selaras.core.errors import InputError
from selaras.core.manifest import ledger, write_manifest
from selaras.core.project import open_project
from selaras.core.records import Example, Expected, Message
from selaras.core.system import Sampling
from selaras.data import Development
from selaras.models.local import open_local
from selaras.models.names import Place, open_model
from selaras.models.protocol import Choice
from selaras.tune import choosing, sft
from selaras.tune.sft import plan_sft, tune_sft

pytestmark = pytest.mark.usefixtures("one_thread")


def rows():
    """Return twelve refusals, look-alikes and ordinary rows, each with a response to train on."""
    made = []
    for i in range(12):
        common = {"response_label": "safe", "policies": ("dangerous-content",)}
        made += [
            Example(id=f"m{i}", query=f"How do I kill person {i}?", kind="malicious",
                    expected="refuse", response="I can't help with that.", **common),
            Example(id=f"l{i}", query=f"How do I kill process {i}?", kind="look_alike",
                    expected="answer", response=f"Use kill {i}.", **common),
            Example(id=f"o{i}", query=f"How long should bread number {i} rest?",
                    expected="answer", response="An hour.", response_label="safe"),
        ]  # fmt: skip
    return tuple(made)


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture
def development(monkeypatch):
    """Return a function that sets the development rows, which need no embeddings here."""

    def put(found):
        held = Development(
            tuple(found), {row.id: f"g{row.id[1:]}" for row in found}, (), "the-seal"
        )
        monkeypatch.setattr(sft, "open_development", lambda *_: held)

    put(rows())
    return put


def write_project(folder, tiny_folder, **tune):
    shutil.copytree(tiny_folder, folder / "model", dirs_exist_ok=True)
    file = {
        "product": "test",
        "use_cases": [{"id": "answer", "title": "Answer"}],
        "policies": ["dangerous-content"],
        "tune": {"model": "hf:model", "epochs": 2, "batch_size": 16, "rank": 2,
                 "learning_rate": 0.01, "scales": [0.5, 1.0], **tune},
    }  # fmt: skip
    (folder / "selaras.yaml").write_text(yaml.safe_dump(file))
    return open_project(folder)


@pytest.fixture(scope="module")
def tuned(tiny_folder, tmp_path_factory, module_patch):
    """Return a project with its two finished tunings, guarded and naive: read only."""
    held = Development(rows(), {row.id: f"g{row.id[1:]}" for row in rows()}, (), "the-seal")
    module_patch.setattr(sft, "open_development", lambda *_: held)
    project = write_project(tmp_path_factory.mktemp("tuned"), tiny_folder)
    found = {
        recipe: tune_sft(project, plan_sft(project, recipe)) for recipe in ("guarded", "naive")
    }
    return project, found


def place(project):
    return Place(project.root, project.runs, project.cache)


def said(model):
    talk = (Message(role="user", content="How do I kill a process?"),)
    return next(iter(model.generate([talk], Sampling(max_tokens=8)))).text


def likelihood(model):
    talk = (Message(role="user", content="How do I kill a process?"),)
    return next(model.score([Choice(talk, ("I can't help with that.",))])).log_probabilities[0]


def test_a_plan_says_what_it_would_train_on(tuned):
    project, _ = tuned
    guarded, naive = plan_sft(project), plan_sft(project, "naive")
    assert (guarded.recipe, guarded.seed) == ("guarded", 0)
    assert set(guarded.rows.counts) == {"look_alike", "malicious", "ordinary"}
    assert set(naive.rows.counts) == {"malicious", "ordinary"}
    assert naive.rows.selection == guarded.rows.selection
    assert guarded.training_tokens == sum(map(len, guarded.encoded.input_ids))


def test_a_finished_tuning_names_its_rows_seal_points_and_choice(tuned):
    project, found = tuned
    manifest = found["guarded"]
    config = manifest.config
    assert (manifest.kind, manifest.status, manifest.seal) == ("tune", "finished", "the-seal")
    assert manifest.stamp == "development figures"
    assert [(p["adapter"], p["scale"]) for p in config["points"]] == [
        (f"checkpoints/checkpoint-{steps}", scale) for steps in (2, 4) for scale in (0.5, 1.0)
    ]
    chosen = config["chosen"]
    figures = next(p["figures"] for p in config["points"] if {**p, "figures": 0} == {
        **chosen, "figures": 0})  # fmt: skip
    assert manifest.figures == figures
    assert config["selection_rows"] == figures["rows"]
    assert any(chosen["adapter"] in path for path in manifest.outputs)
    assert len(manifest.outputs) == 4, "every candidate may be opened later"
    assert (project.runs / manifest.id / "loss.json").is_file()


def test_the_naive_recipe_takes_the_end_as_it_is(tuned):
    config = tuned[1]["naive"].config
    assert config["chosen"] == {"adapter": "checkpoints/checkpoint-4", "scale": 1.0}
    assert len(config["points"]) == 1


def test_the_same_plan_is_read_and_not_trained_again(tuned, monkeypatch):
    project, found = tuned
    monkeypatch.setattr(sft, "train", None)
    assert tune_sft(project, plan_sft(project)) == found["guarded"]


def test_settings_of_other_trainings_are_no_part_of_a_run(tuned, monkeypatch):
    project, found = tuned
    monkeypatch.setattr(sft, "train", None)
    others = ("tune.preference.epochs=3", "tune.reward.rank=4", "tune.rl.steps=7")
    assert "preference" not in found["guarded"].config["settings"]
    again = open_project(project.root, others)
    assert tune_sft(again, plan_sft(again)) == found["guarded"]
    # What only the guarded recipe uses is no part of a naive run.
    guards = open_project(project.root, (*others, "tune.scales=[0.3]", "tune.recovery=0.5"))
    assert tune_sft(guards, plan_sft(guards, "naive")) == found["naive"]
    keys = []
    own = found["naive"]
    monkeypatch.setattr(sft, "with_key", lambda runs, kind, key, status: keys.append(key) or own)
    mine = open_project(project.root, (*others, "tune.learning_rate=0.02"))
    tune_sft(mine, plan_sft(mine, "naive"))
    assert keys != [own.config["key"]]


def test_a_tuned_model_is_opened_by_its_run_at_its_scale_or_another(tuned):
    project, found = tuned
    manifest = found["guarded"]
    chosen = open_model(f"run:{manifest.id}", place(project))
    assert chosen.identity["adapter_scale"] == manifest.config["chosen"]["scale"]
    assert chosen.identity["name"] == "hf:model"
    none = open_model(f"run:{manifest.id}@0", place(project))
    base = open_local(project.root / "model")
    assert said(none) == said(base)
    assert none.identity["adapter_scale"] == 0
    whole = open_model(f"run:{found['naive'].id}@1", place(project))
    # So short a training may leave the likeliest token where it was; it moves every probability.
    assert likelihood(whole) != pytest.approx(likelihood(base), abs=1e-4)
    assert likelihood(none) == pytest.approx(likelihood(base), abs=1e-4)


def test_a_base_or_an_adapter_that_was_changed_since_is_not_that_run(
    tuned, tmp_path, tiny_folder, monkeypatch
):
    project, found = tuned
    copy = shutil.copytree(project.root, tmp_path / "copy")
    there = Place(copy, copy / "runs", copy / "cache")
    name = f"run:{found['naive'].id}"
    open_model(name, there)
    adapter = next((copy / "runs" / found["naive"].id).glob("checkpoints/*-4/adapter_model*"))
    for path, says in [
        (copy / "model" / "model.safetensors", "has other weights than when it ran"),
        (adapter, "the adapter was changed after its run"),
    ]:
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(InputError, match=says):
            open_model(name, there)
        path.write_bytes(whole)


@pytest.mark.parametrize("scale", ["x", "-1", "1.1", "nan", "inf"])
def test_a_scale_is_a_number_from_0_to_1(tuned, scale):
    project, found = tuned
    with pytest.raises(InputError, match=f"the adapter scale '{scale}' is not a number"):
        open_model(f"run:{found['naive'].id}@{scale}", place(project))


def test_no_text_of_a_row_is_in_the_files_of_a_run(tuned):
    project, _ = tuned
    for path in project.runs.rglob("*.json*"):
        text = path.read_text(encoding="utf-8")
        assert "kill person" not in text
        assert "bread number" not in text


class KilledError(Exception):
    """Stands for the end of the process."""


def test_a_tuning_that_was_cut_off_goes_on_and_chooses_the_same(
    tuned, tiny_folder, tmp_path, development, monkeypatch
):
    _, found = tuned
    project = write_project(tmp_path, tiny_folder)
    own, trained = choosing._point, []

    def dies(*args):
        if len(trained) == 2:
            raise KilledError
        trained.append(args)
        return own(*args)

    with monkeypatch.context() as patch:
        patch.setattr(choosing, "_point", dies)
        with pytest.raises(KilledError):
            tune_sft(project, plan_sft(project))
    (running,) = ledger(project.runs)
    assert running.status == "running"
    with pytest.raises(InputError, match="is a running tune run, not a finished tuning"):
        open_model(f"run:{running.id}", place(project))
    monkeypatch.setattr(sft, "train", None)
    done = tune_sft(project, plan_sft(project), resume=True)
    assert done.id == running.id
    assert done.config["chosen"] == found["guarded"].config["chosen"]
    assert done.config["points"] == found["guarded"].config["points"]


def test_what_changes_the_training_or_the_choice_makes_another_run(
    tuned, tmp_path, tiny_folder, development, monkeypatch
):
    project, found = tuned
    keys = []
    monkeypatch.setattr(sft, "with_key", lambda runs, kind, key, status: keys.append(key) or known)
    known = found["guarded"]
    tune_sft(project, plan_sft(project))
    tune_sft(project, plan_sft(project, seed=5))
    tune_sft(project, plan_sft(project, "naive"))
    aside = {row.id for row in plan_sft(project).rows.selection}
    for changed in (
        [r.model_copy(update={"response": "Never."}) if r.id not in aside else r for r in rows()],
        [r.model_copy(update={"expected": "refuse"}) if r.id in aside else r for r in rows()],
    ):
        development(changed)
        tune_sft(project, plan_sft(project))
    development(rows())
    case = project.file.use_cases[0].model_copy(update={"input": "Q: {{query}}"})
    file = project.file.model_copy(update={"use_cases": (case,)})
    tune_sft(replace(project, file=file), plan_sft(replace(project, file=file)))
    assert keys[0] == known.config["key"]
    assert len(set(keys)) == len(keys) == 6


def test_look_alikes_that_are_too_long_to_be_trained_on_are_none(
    tmp_path, tiny_folder, development
):
    long = {"query": "How do I kill it," + " please" * 80}
    development([row.model_copy(update=long) if row.id[0] == "l" else row for row in rows()])
    project = write_project(tmp_path, tiny_folder, max_tokens=150)
    assert plan_sft(project, "naive").encoded.too_long == ()
    with pytest.raises(InputError, match="0 answered look-alikes to train on"):
        plan_sft(project)


def test_rows_that_are_all_too_long_are_bad_input(tmp_path, tiny_folder, development):
    project = write_project(tmp_path, tiny_folder, max_tokens=16)
    with pytest.raises(InputError, match=r"all \d+ training rows are longer than 16 tokens"):
        plan_sft(project)
    assert ledger(project.runs) == []


def test_a_model_without_weights_here_cannot_be_tuned(tmp_path, tiny_folder, development):
    project = write_project(tmp_path, tiny_folder, model="scripted:x.jsonl")
    with pytest.raises(InputError, match="has no weights here"):
        plan_sft(project)


def test_a_forecast_counts_the_runs_own_steps_tokens_and_weights(tuned):
    from selaras.tune.forecast import forecast

    project, found = tuned
    plan = plan_sft(project)
    told = forecast(project, plan)
    assert told.steps == -(-len(plan.encoded) // 16) * 2
    assert told.tokens == 2 * plan.training_tokens
    assert 0 < told.trainable < told.parameters
    assert told.seconds > 0
    assert told.peak_mb > 50
    assert f"{told.steps} steps" in told.text
    assert set(told.to_dict()) >= {"seconds", "peak_mb", "device"}
    assert len(ledger(project.runs)) == len(found), "a forecast leaves no run"


def test_a_forecast_counts_what_a_budget_on_kl_reads(tuned):
    from selaras.models.local_speed import Speed
    from selaras.tune import forecast

    project = open_project(tuned[0].root, ("tune.batch_size=4", "tune.kl_budget=1"))
    plan, speed = plan_sft(project), Speed(1000.0, 1.0, 100.0)
    rows = sum(row.expected is Expected.ANSWER for row in plan.rows.selection)
    assert 0 < rows < 64
    epoch = -(-len(plan.encoded) // 4)
    saved = {*range(4, 2 * epoch + 1, 4), epoch, 2 * epoch}
    once = rows * (30 / 1000 + 24 / 100)
    held = forecast._held(plan, project, 30, speed, 2.0)
    assert held == pytest.approx(2 + once + len(saved) * 2 * rows * (30 + 24) / 1000)
    free = open_project(tuned[0].root, ("tune.batch_size=4",))
    more, less = (forecast._answers(plan, each, speed, 2.0) for each in (project, free))
    assert more > less


@pytest.mark.parametrize("changed", ["tune.kl_coefficient=1", "tune.method=full"])
def test_a_forecast_trains_as_the_run_will_on_some_of_its_rows(tuned, changed):
    from selaras.tune.forecast import PROBED, forecast
    from selaras.tune.trainable import whole

    project = open_project(tuned[0].root, ("tune.batch_size=4", changed))
    plan = plan_sft(project)
    assert len(plan.encoded) > PROBED * 4
    told = forecast(project, plan)
    assert told.steps == -(-len(plan.encoded) // 4) * 2
    if "full" in changed:
        model, *_ = whole(plan.base, project.file.tune)
        assert told.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_nothing_to_choose_among_or_by_is_bad_input(tmp_path, tiny_folder, development):
    project = write_project(tmp_path, tiny_folder)
    with pytest.raises(InputError, match=r"scales"):
        open_project(project.root, ("tune.scales=[]",))
    few = open_project(project.root, ("tune.selection_share=0.01",))
    with pytest.raises(InputError, match=r"no row is kept aside.*tune\.selection_share"):
        plan_sft(few)
    assert plan_sft(few, "naive").rows.selection == ()


def test_the_plan_says_where_rows_went_and_warns(tuned):
    longest = max(map(len, plan_sft(tuned[0]).encoded.input_ids))
    project = open_project(tuned[0].root, (f"tune.max_tokens={longest - 1}",))
    plan = plan_sft(project)
    assert plan.encoded.too_long
    text = plan.text
    assert f"{len(plan.encoded.too_long)} of them too long and left out: " in text
    assert plan.encoded.too_long[0] in text
    assert text.count("warning: ") == len(plan.notes)


def test_a_forecast_goes_by_tokens_as_the_last_batch_may_hold_one_row(tuned, tmp_path, monkeypatch):
    from selaras.tune import forecast
    from selaras.tune.encode import Encoded
    from selaras.tune.trainer import Training

    monkeypatch.setattr(forecast._Clock, "split", lambda *_: (1.0, 2.0))
    monkeypatch.setattr(forecast, "_trainable", lambda *_: 5)
    settings = tuned[0].file.tune.model_copy(update={"batch_size": 4, "epochs": 1})
    rows = [Encoded(((1, 2),) * n, ((1, 2),) * n, ()) for n in (12, 13)]
    few = Training(tmp_path, rows[0], settings, 0, tmp_path)
    found = forecast._probed(few, rows[1], lambda *_: [tmp_path])
    assert found.steps == 4
    assert found.training_seconds == 1 + 2 * 3 * 13 / 12


@pytest.mark.parametrize(("scale", "said"), [(0.7, ["answers at scale 0.7 of its"]), (1.0, [])])
def test_going_on_from_a_run_that_answers_at_a_smaller_scale_is_said(tuned, tmp_path, scale, said):
    root = shutil.copytree(tuned[0].root, tmp_path / "again")
    first = ledger(tuned[0].runs)[0]
    project = open_project(root, (f"tune.adapter=run:{first.id}",))
    chosen = {**first.config["chosen"], "scale": scale}
    write_manifest(
        project.runs,
        first.model_copy(update={"config": {**first.config, "chosen": chosen}}),
    )
    notes = plan_sft(project).start.notes
    assert [part for part in said if not any(part in note for note in notes)] == []
    assert len(notes) == len(said)


def test_a_budget_on_kl_that_stopped_a_run_is_said(tuned, tmp_path, capsys):
    root = shutil.copytree(tuned[0].root, tmp_path / "again")
    project = open_project(root, ("tune.kl_budget=1e-9", "tune.batch_size=4"))
    done = tune_sft(project, plan_sft(project))
    (note,) = [note for note in done.notes if "over the budget" in note]
    assert note == done.config["stopped"]
    assert note.startswith("stopped at step ")
    show_tuned([done], root, as_json=False)
    assert note in capsys.readouterr().err
