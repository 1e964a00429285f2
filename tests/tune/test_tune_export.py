"""What leaves a tuning: files that other tools open, the same model as the run's, with its card."""

import json
import shutil
from dataclasses import replace

import peft
import pytest
import yaml

from selaras.core.errors import InputError, SelarasError
from selaras.core.manifest import hashes, ledger, new_manifest, write_manifest
from selaras.core.project import open_project
from selaras.core.system import Sampling, System
from selaras.models.local_adapter import Adapter, merged
from selaras.models.local_gguf import dequantise
from selaras.models.local_torch import torch, transformers
from selaras.models.local_weights import load_weights, weights_hash
from selaras.models.names import open_model, place_of
from selaras.report.model_card import Leaving, model_card
from selaras.tune import export as export_module
from selaras.tune.export import export_run, open_tuned

pytestmark = pytest.mark.usefixtures("one_thread")
SCALE = 0.5
RATE = {"value": 0.25, "low": 0.1, "high": 0.5, "n": 12, "method": "wilson"}


@pytest.fixture(scope="module")
def tuned(tiny_folder, tmp_path_factory):
    """Return a project with one finished tuning, its adapter drawn at random: read only."""
    root = tmp_path_factory.mktemp("exported")
    shutil.copytree(tiny_folder, root / "model")
    file = {"product": "test", "use_cases": [{"id": "answer", "title": "Answer"}],
            "policies": ["dangerous-content"]}  # fmt: skip
    (root / "selaras.yaml").write_text(yaml.safe_dump(file))
    (root / "data").mkdir()
    (root / "data" / "rows.jsonl").write_text('{"id": "a", "query": "Q?", "licence": "MIT"}')
    project = open_project(root)
    model, tokenizer = load_weights(root / "model", torch.float32)
    torch.manual_seed(1)
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"],
                             init_lora_weights=False, task_type="CAUSAL_LM")  # fmt: skip
    run = new_manifest("tune", "guarded", config={
        "method": "sft", "recipe": "guarded", "model": "hf:model",
        "weights": weights_hash(root / "model"), "rows": {"malicious": 3, "look_alike": 4},
        "chosen": {"adapter": "checkpoints/checkpoint-5", "scale": SCALE},
    }, policies={"dangerous-content": 1}, figures={"compliance_rate": RATE})  # fmt: skip
    folder = project.runs / run.id / "checkpoints" / "checkpoint-5"
    peft.get_peft_model(model, config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    done = {"status": "finished", "outputs": hashes(root, folder.glob("adapter_*"))}
    write_manifest(project.runs, run.model_copy(update=done))
    return project, open_tuned(project, run.id)


@pytest.fixture(scope="module")
def expected(tuned):
    """Return the logits of the adapter on its base, at the scale that the run chose."""
    _, run = tuned
    model, _ = load_weights(run.base, torch.float32)
    wrapped = peft.PeftModel.from_pretrained(model, str(run.adapter.folder))
    with peft.helpers.rescale_adapter_scale(wrapped, SCALE):
        return logits(wrapped)


def logits(model):
    with torch.inference_mode():
        return model(input_ids=torch.arange(40).reshape(2, 20)).logits.float()


def leaving(run, form):
    return Leaving(run.name, run.licence, form, run.adapter.scale, run.checkpoint, run.sha256)


def exported(tuned, form, **options):
    project, run = tuned
    card = model_card(project, run.manifest, leaving(run, form))
    done = export_run(project, run, form, card, **options)
    return done, project.root / done.config["folder"]


def test_merged_weights_are_the_adapter_on_its_base(tuned, expected):
    done, folder = exported(tuned, "merged")
    model, tokenizer = load_weights(folder, torch.float32)
    assert torch.allclose(logits(model), expected, atol=1e-4)
    base, _ = load_weights(tuned[1].base, torch.float32)
    assert not torch.allclose(logits(base), expected, atol=1e-2)
    assert tokenizer.chat_template
    assert str(tuned[0].root) not in (folder / "config.json").read_text()
    assert done.parents == (tuned[1].manifest.id,)
    assert set(done.outputs) == {f"{done.config['folder']}/{p.name}" for p in folder.iterdir()} - {
        f"{done.config['folder']}/README.md"
    }


def test_an_exported_adapter_is_at_scale_1_what_the_run_is_at_its_scale(tuned, expected):
    _, folder = exported(tuned, "adapter")
    base, _ = load_weights(tuned[1].base, torch.float32)
    assert torch.allclose(logits(merged(base, Adapter(folder), tuned[1].base)), expected, atol=1e-4)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "model"


@pytest.mark.parametrize(("precision", "apart"), [("f32", 1e-4), ("f16", 2e-2), ("q8_0", 1.0)])
def test_a_gguf_file_reads_back_as_the_same_model(tuned, expected, tmp_path, precision, apart):
    _, folder = exported(tuned, "gguf", precision=precision)
    (file,) = folder.glob("*.gguf")
    dequantise(file, tmp_path / "back")
    model, tokenizer = load_weights(tmp_path / "back", torch.float32)
    assert (logits(model) - expected).abs().max() < apart
    _, own = load_weights(tuned[1].base, torch.float32)
    text = "How do I kill 123 processes?\n\n <tool_call> fünf<|im_end|>"
    assert tokenizer(text).input_ids == own(text).input_ids
    assert tokenizer.chat_template == own.chat_template


def test_the_same_export_is_not_written_again_but_its_card_is(tuned):
    first, folder = exported(tuned, "adapter")
    (folder / "README.md").write_text("old")
    before = len(ledger(tuned[0].runs))
    again, _ = exported(tuned, "adapter")
    assert again.id == first.id
    assert len(ledger(tuned[0].runs)) == before
    assert "# test: tune-guarded" in (folder / "README.md").read_text()


def test_the_card_names_base_rows_policies_figures_and_what_is_not_known(tuned):
    project, run = tuned
    other = replace(run, adapter=Adapter(run.adapter.folder, 1.0), licence="Apache-2.0")
    card = model_card(project, run.manifest, leaving(other, "merged"))
    front = yaml.safe_load(card.split("---")[1])
    assert (front["license"], front["library_name"]) == ("apache-2.0", "transformers")
    for told in ("look-alike | 4", "| dangerous-content |", "Not measured on sealed rows",
                 "not the one that the run chose", "MIT (1)", "no hold-out was sealed",
                 "checkpoint-5@1` does"):  # fmt: skip
        assert told in card
    assert "25 % (10–50), n 12" not in card
    chosen = model_card(project, run.manifest, leaving(run, "merged"))
    assert "25 % (10–50), n 12" in chosen
    assert "not the one that the run chose" not in chosen


def evaluation(run, share, scale, **fields):
    """Return a finished evaluation of the run at a scale."""
    model = {"name": "hf:model", "adapter": run.sha256, "adapter_scale": scale}
    return new_manifest(
        "eval", "tuned", system=System(name="tuned", model=model, sampling=Sampling()),
        parents=[run.manifest.id], figures={"compliance_rate": {**RATE, "value": share}},
        status="finished", **fields,
    )  # fmt: skip


def test_the_card_shows_the_figures_of_what_leaves_and_of_no_other_scale(tuned, tmp_path):
    project = open_project(shutil.copytree(tuned[0].root, tmp_path / "own"))
    run = open_tuned(project, tuned[1].manifest.id)
    own = {"stamp": "held-out figures", "seal": "seal-1"}
    for made in (
        evaluation(run, 0.31, SCALE, stamp="development figures"),
        evaluation(run, 0.97, 1.0, **own),
        evaluation(run, 0.32, SCALE, **own, notes=["not held out for run r: another seal"]),
    ):
        write_manifest(project.runs, made)
    card = model_card(project, run.manifest, leaving(run, "merged"))
    assert "31 % " in card
    assert "97 % " not in card
    assert "other checkpoints or scales of the run: 1, left out" in card
    assert "held-out figures, not held out for this run" in card
    assert "Not measured on sealed rows" in card
    write_manifest(project.runs, evaluation(run, 0.33, SCALE, **own))
    card = model_card(project, run.manifest, leaving(run, "merged"))
    assert "33 % " in card
    assert "Not measured on sealed rows" not in card


def with_config(tuned, folder, figures=None, **config):
    """Return a copy of the project whose run says something else of itself, and the run."""
    without = shutil.ignore_patterns("export-*")
    project = open_project(shutil.copytree(tuned[0].root, folder, ignore=without))
    manifest = tuned[1].manifest
    update = {"config": {**manifest.config, **config}, "figures": figures or manifest.figures}
    write_manifest(project.runs, manifest.model_copy(update=update))
    return project, open_tuned(project, manifest.id)


def test_an_attached_chat_template_leaves_with_the_adapter(tuned, tmp_path):
    asked = "{% for m in messages %}{{ m.content }}!{% endfor %}"
    own = with_config(tuned, tmp_path / "own", chat_template=asked)
    (own[1].adapter.folder / "chat_template.jinja").unlink()
    _, folder = exported(own, "adapter")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == asked


def test_the_card_of_a_reward_model_says_how_one_is_loaded_and_measured(tuned, tmp_path):
    figures = {"aside": {"accuracy": {**RATE, "value": 0.77}}}
    project, run = with_config(
        tuned, tmp_path / "own", figures, method="reward", rows={},
        directions={"safe over unsafe": 7}, selection_pairs=5,
    )  # fmt: skip
    card = model_card(project, run.manifest, leaving(run, "adapter"))
    for told in ("AutoModelForSequenceClassification", "| safe over unsafe | 7 |", "77 % ",
                 "5 pairs kept aside", "Not measured on sealed pairs"):  # fmt: skip
        assert told in card
    assert "selaras eval" not in card
    with pytest.raises(InputError, match="a reward model has no scale"):
        open_tuned(project, f"{run.manifest.id}@0.5")


def test_a_base_that_is_gone_is_not_said_to_have_other_weights(tuned, tmp_path):
    project, run = with_config(tuned, tmp_path / "own")
    (project.root / "model").rename(project.root / "elsewhere")
    for opened in (open_tuned, lambda own, name: open_model(f"run:{name}", place_of(own))):
        with pytest.raises(InputError, match="model: not a model folder"):
            opened(project, run.manifest.id)


def test_names_of_the_project_do_not_break_the_card(tuned):
    project, run = tuned
    named = project.file.model_copy(update={"product": "Ask\n# us <b>now</b>", "description": ""})
    card = model_card(replace(project, file=named), run.manifest, leaving(run, "merged"))
    assert f"# Ask # us &lt;b>now&lt;/b>: {run.manifest.id}\n" in card
    assert "<b>" not in card


def test_any_checkpoint_of_the_frontier_can_leave(tuned, tmp_path):
    project = open_project(shutil.copytree(tuned[0].root, tmp_path / "own"))
    name = tuned[1].manifest.id
    checkpoints = project.runs / name / "checkpoints"
    shutil.copytree(checkpoints / "checkpoint-5", checkpoints / "checkpoint-9")
    (checkpoints / "checkpoint-9" / "complete.json").write_text("{}")
    run = open_tuned(project, f"run:{name}/checkpoint-9@0.25")
    assert (run.checkpoint, run.adapter.scale) == ("checkpoints/checkpoint-9", 0.25)
    done, folder = exported((project, run), "adapter")
    assert done.config["checkpoint"] == "checkpoints/checkpoint-9"
    assert (
        "checkpoints/checkpoint-9 (chosen: checkpoints/checkpoint-5)"
        in (folder / "README.md").read_text()
    )
    with pytest.raises(InputError, match="has no checkpoint 'checkpoint-7'"):
        open_tuned(project, f"{name}/checkpoint-7")


def test_an_export_is_known_again_where_the_project_was_moved(tuned, tmp_path):
    project = open_project(shutil.copytree(tuned[0].root, tmp_path / "first"))
    run = open_tuned(project, tuned[1].manifest.id)
    first, _ = exported((project, run), "adapter", out=project.root / "out")
    moved = open_project((tmp_path / "first").rename(tmp_path / "second"))
    run = open_tuned(moved, run.manifest.id)
    again, _ = exported((moved, run), "adapter", out=moved.root / "out")
    assert again.id == first.id


def test_files_that_were_changed_are_not_exported_already(tuned, tmp_path):
    project = open_project(shutil.copytree(tuned[0].root, tmp_path / "own"))
    run = open_tuned(project, tuned[1].manifest.id)
    first, folder = exported((project, run), "adapter")
    (folder / "adapter_model.safetensors").write_bytes(b"cut")
    again, whole = exported((project, run), "adapter")
    assert again.id != first.id
    assert (whole / "adapter_model.safetensors").stat().st_size > 3


@pytest.mark.parametrize(
    ("base", "named"),
    [("hf:{root}/model", "model"), ("hf:./model", "model"), ("hf:../own/model", "model")],
)
def test_where_the_base_lies_does_not_leave(tuned, tmp_path, base, named):
    project = open_project(shutil.copytree(tuned[0].root, tmp_path / "own"))
    manifest = tuned[1].manifest
    changed = {**manifest.config, "model": base.format(root=project.root)}
    write_manifest(project.runs, manifest.model_copy(update={"config": changed}))
    assert open_tuned(project, manifest.id).name == named


@pytest.mark.parametrize("field", ["dtype", "torch_dtype"])
def test_merged_weights_are_of_the_bases_own_precision(field, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({field: "bfloat16"}))
    assert export_module._precision("merged", None, tmp_path) == "bfloat16"


@pytest.mark.parametrize(
    ("form", "precision", "said"),
    [("onnx", None, "adapter, gguf, merged"), ("gguf", "q2", "f32, f16, bf16, q8_0"),
     ("adapter", "f16", "leave --precision out")],
)  # fmt: skip
def test_a_form_or_precision_there_is_not_names_those_there_are(tuned, form, precision, said):
    with pytest.raises(InputError, match=said):
        exported(tuned, form, precision=precision)


def test_a_folder_that_holds_something_is_left_alone(tuned, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(InputError, match="something already"):
        exported(tuned, "adapter", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tuned, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(export_module, "to_adapter", full)
    with pytest.raises(SelarasError, match="the disk is full; nothing was written"):
        exported(tuned, "adapter", out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_architecture_that_gguf_is_not_written_for_says_what_to_do(tuned, tmp_path):
    from selaras.models.local_gguf_write import write_gguf

    config = json.loads((tuned[1].base / "config.json").read_text())
    changes = (({"model_type": "opt"}, "'opt' is not written here"),
               ({"rope_parameters": {"rope_type": "llama3"}}, "scaled positions"),
               ({"model_type": "gemma3_text", "query_pre_attn_scalar": 168,
                 "layer_types": ["sliding_attention"]}, "attention scale"))  # fmt: skip
    for change, said in changes:
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(InputError, match=said):
            write_gguf(tmp_path, tmp_path / "x.gguf", "f16", name="x")


def test_gemma_norms_and_its_vocabulary_with_bytes_come_back(tmp_path):
    from selaras.models.local_gguf_write import write_gguf
    from tiny import make_tiny_gemma

    folder = make_tiny_gemma(tmp_path / "gemma")
    write_gguf(folder, tmp_path / "g.gguf", "f32", name="g")
    dequantise(tmp_path / "g.gguf", tmp_path / "back")
    own, tokenizer = load_weights(folder, torch.float32)
    back, other = load_weights(tmp_path / "back", torch.float32)
    assert torch.allclose(logits(back), logits(own), atol=1e-4)
    text = "the dog does not mind ü at all"
    assert other(text).input_ids == tokenizer(text).input_ids


def test_the_command_writes_the_run_at_a_scale_and_says_where(tuned, tmp_path):
    from typer.testing import CliRunner

    from selaras.cli import app

    project, run = tuned
    asked = ["tune", "export", f"{run.manifest.id}@0.25", "--to", "merged", "--out",
             str(tmp_path / "out"), "-C", str(project.root), "--json"]  # fmt: skip
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["config"]["scale"] == 0.25
    assert "not the one that the run chose" in (tmp_path / "out" / "README.md").read_text()
    wrong = CliRunner().invoke(
        app, ["tune", "export", "none", "--to", "gguf", "-C", str(project.root)]
    )
    assert wrong.exit_code == 2
    assert "no run 'none'" in wrong.output
