"""Is an exported model the same model elsewhere?

    python benchmarks/export.py [--quick] [--json] [--out FILE] [--peers FOLDER]

For SmolLM2-135M and Gemma 3 270M: an adapter drawn at random (large enough to change answers) is
exported as merged weights and as GGUF. Logits of the merged weights are compared with those of the
adapter on its base (transformers), llama.cpp's likeliest next token and its log-probability with
transformers' (f16 and q8_0; token ids given, and the same text cut by its own tokenizer), and
KerasHub's logits of the merged Gemma with transformers'. Prompts are rows of the starter project,
each cut at several places. The peers live in environments of their own under --peers.

Left out: vLLM and Ollama (a GPU; llama.cpp inside), and other architectures than these two.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
from measure import HERE, Row, arguments, finish, peer, peers_option, pin, report, versions
from numpy.typing import NDArray

from selaras.core.manifest import hashes, new_manifest, write_manifest
from selaras.core.project import Project, open_project
from selaras.data import load_rows
from selaras.models.catalogue import bundled, is_ready, model_folder
from selaras.models.local_weights import load_weights, weights_hash
from selaras.starter import create_project
from selaras.tune.export import Tuned, export_run, open_tuned

MODELS = ("smollm2-135m-instruct", "gemma3-270m")
PROMPTS, QUICK_PROMPTS = 60, 12
PLACES = (0.4, 0.7, 1.0)  # where a row's text is cut
SCALE, SPREAD = 0.7, 0.02


def main() -> int:
    """Run the benchmark and print its table, or JSON."""
    parser = arguments(__doc__, quick=f"{QUICK_PROMPTS} prompts of the smaller model")
    peers_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for model in MODELS[:1] if options.quick else MODELS:
        if not is_ready(bundled(model)):
            rows.append({"name": model, "ours": True, "skipped": f"selaras models get {model}"})
            continue
        with tempfile.TemporaryDirectory() as folder:
            count = QUICK_PROMPTS if options.quick else PROMPTS
            rows += compared(model, Path(folder), count, options.peers)
    used = versions("torch", "transformers", "peft", "gguf")
    pins = {"xllamacpp": pin("xllamacpp"), "keras-hub": pin("keras-hub")}
    return finish(options, report(rows, {**used, **pins}), shown)


def compared(model: str, folder: Path, count: int, peers: Path) -> list[Row]:
    """Return what each reader makes of the exports of a model."""
    tuned, project = drawn(model, folder)
    asked = prompts(project, tuned.base, count)
    expected = on_base(tuned, asked)
    whole = exported(project, tuned, "merged", "float32")
    merged = after(load_weights(whole, torch.float32)[0], asked)
    rows = [{"name": "merged, transformers", "model": model, "ours": True,
             **apart(merged, expected)}]  # fmt: skip
    if model.startswith("gemma"):
        out = folder / "keras.npy"
        ask([peer("keras-hub", peers), HERE / "export_keras.py", whole, out], asked)
        rows.append({"name": "merged, KerasHub", "model": model, "ours": False,
                     **apart(np.load(out), merged)})  # fmt: skip
    for precision in ("f16", "q8_0"):
        (file,) = exported(project, tuned, "gguf", precision).glob("*.gguf")
        said = ask([peer("xllamacpp", peers), HERE / "export_llama.py", file], asked)
        answers = json.loads(said.strip().splitlines()[-1])
        rows.append({"name": f"gguf {precision}, llama.cpp", "model": model, "ours": False,
                     **agreement(answers, asked, merged)})  # fmt: skip
    return rows


def drawn(model: str, folder: Path) -> tuple[Tuned, Project]:
    """Return a finished tuning whose adapter is drawn at random, in a starter project."""
    create_project(folder / "project", "household-helper")
    project = open_project(folder / "project", (f"tune.model=bundled:{model}",))
    base = model_folder(bundled(model))
    weights, _ = load_weights(base, torch.float32)
    torch.manual_seed(0)
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    wrapped = peft.get_peft_model(weights, config)
    for name, weight in wrapped.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=SPREAD)
    run = new_manifest("tune", "drawn", config={
        "method": "sft", "model": f"bundled:{model}", "weights": weights_hash(base),
        "chosen": {"adapter": "adapter", "scale": SCALE},
    })  # fmt: skip
    wrapped.save_pretrained(project.runs / run.id / "adapter")
    files = (project.runs / run.id / "adapter").glob("adapter_*")
    done = {"status": "finished", "outputs": hashes(project.root, files)}
    write_manifest(project.runs, run.model_copy(update=done))
    return open_tuned(project, run.id), project


def prompts(project: Project, base: Path, count: int) -> list[Row]:
    """Return beginnings of rows as text and as the ids of the base's own tokenizer."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    texts = [
        row.query[: max(8, round(place * len(row.query)))]
        for row in load_rows(project).kept[:: max(1, len(load_rows(project).kept) * 3 // count)]
        for place in PLACES
    ]
    return [{"text": text, "ids": tokenizer(text).input_ids} for text in texts[:count]]


def after(model: Any, asked: list[Row]) -> NDArray[np.float32]:
    """Return the logits after each prompt, (prompts, vocabulary)."""
    with torch.inference_mode():
        found = [model(torch.tensor([one["ids"]])).logits[0, -1].float().numpy() for one in asked]
    return np.stack(found)


def on_base(tuned: Tuned, asked: list[Row]) -> NDArray[np.float32]:
    """Return the logits of the adapter on its base, at the run's scale."""
    base, _ = load_weights(tuned.base, torch.float32)
    wrapped = peft.PeftModel.from_pretrained(base, str(tuned.adapter.folder))
    with peft.helpers.rescale_adapter_scale(wrapped, tuned.adapter.scale):
        return after(wrapped, asked)


def exported(project: Project, tuned: Tuned, form: str, precision: str) -> Path:
    """Return the folder of an export."""
    done = export_run(project, tuned, form, "# drawn at random\n", precision=precision)
    return project.root / str(done.config["folder"])


def apart(found: NDArray[np.float32], expected: NDArray[np.float32]) -> Row:
    """Return how far logits lie apart, and how often the likeliest token is the same."""
    same = found.argmax(-1) == expected.argmax(-1)
    return {"n": len(same), "largest_gap": float(np.abs(found - expected).max()),
            "same_top": float(same.mean()), "same_tokens": None}  # fmt: skip


def agreement(answers: list[Row], asked: list[Row], merged: NDArray[np.float32]) -> Row:
    """Return the same of llama.cpp's answers; the gap is that of the likeliest log-probability."""
    shifted = merged - merged.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    gaps = [abs(value - logs[i, token]) for i, one in enumerate(answers)
            for token, value in one["top"][:1]]  # fmt: skip
    same = [one["top"][0][0] == logs[i].argmax() for i, one in enumerate(answers)]
    cut = [one["tokens"] == len(given["ids"]) for one, given in zip(answers, asked, strict=True)]
    return {"n": len(same), "largest_gap": float(max(gaps)), "same_top": float(np.mean(same)),
            "same_tokens": float(np.mean(cut))}  # fmt: skip


def ask(command: list[Any], asked: list[Row]) -> str:
    """Return what a peer prints; raises RuntimeError with its last line where it fails."""
    done = subprocess.run([str(part) for part in command], input=json.dumps(asked),
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
    return done.stdout


def shown(result: Row) -> str:
    """Return the table."""
    lines = [f"{'model':<23}{'read as':<24}{'n':>5}{'same top token':>16}{'largest gap':>13}"
             f"{'same length of text':>21}"]  # fmt: skip
    for row in result["rows"]:
        if "skipped" in row:
            lines.append(f"{row['name']:<23}skipped: {row['skipped']}")
            continue
        cut = "-" if row["same_tokens"] is None else f"{row['same_tokens']:.1%}"
        lines.append(f"{row['model']:<23}{row['name']:<24}{row['n']:>5}{row['same_top']:>15.1%} "
                     f"{row['largest_gap']:>13.2g}{cut:>21}")  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
