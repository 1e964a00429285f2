# %% [markdown]
# # Tuning Gemma with KerasHub, measured here
#
# The route of "Align your models": KerasHub's LoRA on Gemma, then back as a System that is measured
# by the same ruler as every other lever. A few steps on a few rows: it shows the way, not a result.
#
# One environment holds both: `pip install -e ".[tune]" -r examples/kerashub/requirements.txt`, and
# `selaras models get gemma3-270m --accept-terms` once. This file and the notebook beside it are the
# same cells; `python examples/kerashub/make_notebook.py` runs them and writes the notebook anew.

# %%
import os

os.environ["KERAS_BACKEND"] = "torch"
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import keras_hub
import numpy as np
import torch
import transformers
from safetensors.torch import load_file

from selaras.models.catalogue import bundled, model_folder

keras.utils.set_random_seed(0)
torch.set_num_threads(1)
base = model_folder(bundled("gemma3-270m"))
work = Path(tempfile.mkdtemp(prefix="selaras-"))
project = work / "project"


def selaras(*arguments: str) -> str:
    """Run the command line and return what it prints for people."""
    command = [sys.executable, "-m", "selaras", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])
    return done.stdout or done.stderr


# %% [markdown]
# ## 1. Development rows, as KerasHub's Gemma takes them
#
# Sealed rows are never exported. Only safe responses are targets, so the other rows are dropped.

# %%
selaras("init", str(project), "--example", "household-helper")
rows_file = work / "rows.jsonl"
selaras("data", "export", str(rows_file), "--format", "kerashub", "--record", "example",
        "-C", str(project))  # fmt: skip
rows = [json.loads(line) for line in rows_file.read_text().splitlines()]
print(len(rows), "rows; the first:", rows[0])

# %% [markdown]
# ## 2. LoRA on the attention's queries and values
#
# The folder is the de-quantised Gemma 3 270M, a pre-trained (`pt`) model: it has no chat template,
# so the turns in the rows are plain text to it. The loss covers the response only.

# %%
lm = keras_hub.models.Gemma3CausalLM.from_preset(str(base), preprocessor=None)
lm.backbone.enable_lora(rank=4)
tokenizer = transformers.AutoTokenizer.from_pretrained(base)
LENGTH, BATCH, STEPS = 64, 4, 6


def encoded(row: dict[str, str]) -> tuple[list[int], list[int]] | None:
    """Return a row's ids and which of them are learned, or None where it is too long."""
    prompt = tokenizer(row["prompts"]).input_ids
    reply = [*tokenizer(row["responses"], add_special_tokens=False).input_ids,
             tokenizer.eos_token_id]  # fmt: skip
    if len(prompt) + len(reply) > LENGTH + 1:
        return None
    return [*prompt, *reply], [0] * len(prompt) + [1] * len(reply)


pairs = [pair for pair in map(encoded, rows) if pair][: BATCH * STEPS]
ids = np.array([p + [0] * (LENGTH + 1 - len(p)) for p, _ in pairs])
learned = np.array([m + [0] * (LENGTH + 1 - len(m)) for _, m in pairs])
lm.compile(
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    optimizer=keras.optimizers.Adam(1e-3),
    weighted_metrics=[],
)
losses = []
for at in range(0, len(ids), BATCH):
    one, mask = ids[at : at + BATCH], learned[at : at + BATCH]
    given = {"token_ids": one[:, :-1], "padding_mask": (one[:, :-1] != 0).astype(int)}
    loss = lm.train_on_batch(given, one[:, 1:], sample_weight=mask[:, 1:].astype("float32"))
    losses.append(round(float(np.asarray(loss).ravel()[0]), 3))
print("loss by step:", losses)

# %% [markdown]
# ## 3. Back to transformers, with the LoRA in it
#
# `export_to_transformers` of KerasHub 0.32 writes the layers' stored kernels: the LoRA's part is
# **not** in them, and what it writes is the base, weight for weight. So it is put in first. It also
# writes `bos_token_id` 1 and `eos_token_id` 2, which are Gemma's the other way round, and no
# tokenizer without a preprocessor: configuration and tokenizer are taken from the base's folder.

# %%
probe = {"token_ids": ids[:1, :8], "padding_mask": np.ones((1, 8), dtype=int)}
with torch.no_grad():
    tuned_logits = lm(probe).detach().numpy()

lm.export_to_transformers(str(work / "forgotten"))
own = load_file(base / "model.safetensors")
found = load_file(work / "forgotten" / "model.safetensors")
changed = sum(not torch.equal(own[name], weight.float()) for name, weight in found.items())
print("weights that an export as it is has changed:", changed)

merged = 0
for layer in lm.backbone._flatten_layers(include_self=False):
    if getattr(layer, "lora_enabled", False):
        layer._kernel.assign(layer.kernel)  # `kernel` is the stored one and the LoRA's part
        layer.lora_kernel_b.assign(keras.ops.zeros_like(layer.lora_kernel_b))
        merged += 1
lm.export_to_transformers(str(work / "exported"))

system = project / "keras-tuned"
system.mkdir()
shutil.copyfile(work / "exported" / "model.safetensors", system / "model.safetensors")
for path in base.glob("*"):
    if path.suffix in {".json", ".jinja"} and not path.name.startswith("."):
        shutil.copyfile(path, system / path.name)
model = transformers.AutoModelForCausalLM.from_pretrained(system, dtype=torch.float32)
with torch.no_grad():
    gap = np.abs(model(torch.tensor(probe["token_ids"])).logits.numpy() - tuned_logits).max()
print(merged, "layers merged; largest gap of logits, KerasHub with LoRA to transformers:", gap)
np.testing.assert_equal(changed, 0)
np.testing.assert_array_less(gap, 1e-3)

# %% [markdown]
# ## 4. The same ruler
#
# Both are Systems now. On a few development rows, greedy, 16 tokens, by the refusal rules: figures
# with n and intervals, and nothing to conclude from so few.

# %%
settings = project / "selaras.yaml"
text = settings.read_text()
text = text.replace("systems:\n", "systems:\n"
    "  gemma: {model: bundled:gemma3-270m, sampling: {max_tokens: 16}}\n"
    "  keras: {model: hf:keras-tuned, sampling: {max_tokens: 16}}\n", 1)  # fmt: skip
settings.write_text(text.replace("capability: checks/capability.jsonl\n", ""))
for path in project.glob("data/*.jsonl"):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:8]))
found = json.loads(selaras("eval", "gemma", "keras", "--development", "--json", "-C", str(project)))
for one in found["systems"]:
    for name in ("compliance_rate", "over_refusal_rate"):
        rate = one["figures"][name]
        print(f"{one['name']:8}{name:20}{rate['value']:.2f} "
              f"[{rate['low']:.2f}, {rate['high']:.2f}], n {rate['n']}")  # fmt: skip
