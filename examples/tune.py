"""The guarded recipe on development rows: epochs x scales are tried, one point is chosen.

    python examples/tune.py [--real]

A random model of two layers, in seconds, or with --real the embedded one. Needs the extra [tune].
"""

import sys
import tempfile
from pathlib import Path

import tokenizers as tk
import transformers as tf

from selaras.core.project import open_project
from selaras.starter import create_project
from selaras.tune.sft import plan_sft, tune_sft

folder = create_project(Path(tempfile.mkdtemp(prefix="selaras-")), "household-helper").root
for path in folder.glob("data/*.jsonl"):  # the first rows of each file are enough here
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:18]))
marks = {"eos_token": "<end>", "pad_token": "<pad>"}
words = [*marks.values(), *sorted(tk.pre_tokenizers.ByteLevel.alphabet())]
core = tk.Tokenizer(tk.models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
core.pre_tokenizer, core.decoder = tk.pre_tokenizers.ByteLevel(), tk.decoders.ByteLevel()
tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=core, **marks)
tokenizer.chat_template = "{% for m in messages %}{{ m.content + '<end>' }}{% endfor %}"
tokenizer.save_pretrained(folder / "tiny")
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
config = tf.LlamaConfig(vocab_size=len(words), num_attention_heads=4, **sizes)
tf.LlamaForCausalLM(config).save_pretrained(folder / "tiny")

project = open_project(folder, () if "--real" in sys.argv else ("tune.model=hf:tiny",))
plan = plan_sft(project, "guarded")
print(plan.text)
done = tune_sft(project, plan)
for point in done.config["points"]:
    print(point["adapter"], point["scale"], point["figures"]["compliance_rate"]["value"])
print(f"chosen: {done.config['chosen']}; development figures, one training seed; run:{done.id}")
