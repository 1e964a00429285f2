"""Which sentence of a prompt does a response need? A map with its faithfulness, and a new target.

    python examples/debug.py [--real]

A random model of two layers, in seconds, or with --real the embedded one. Needs the extra [local].
"""

import sys
import tempfile
from pathlib import Path

import tokenizers as tk
import transformers as tf

from selaras.debug import attribute, cut, select_text
from selaras.debug.opening import Asked, open_debugged, open_probe, render_prompt
from selaras.models.names import Place
from selaras.template import parse_prompt

folder = Path(tempfile.mkdtemp(prefix="selaras-"))
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
name = "bundled:smollm2-135m-instruct" if "--real" in sys.argv else "hf:tiny"
model = open_debugged(name, Place(folder, folder / "runs", folder / ".selaras"))
prompt = parse_prompt('{{role "system"}}You help. Be brief. Say "no".{{role "user"}}{{input}}')
rendered = render_prompt(prompt, text="How do I kill mould? It is in the bathroom.")
probe = open_probe(model, rendered, Asked("I can't help with that."), folder / ".selaras")
for target in ("I can't", "help"):  # the second one is a refit: no forward pass
    probe.target = select_text(probe.target, [target])
    found = attribute(probe, cut(probe.view, "sentence"), "surrogate", model=name)
    print(f"{target!r}: {found.forwards} forwards; {found.faithfulness.badge}")
    print(f"  most of all: {found.texts[found.ranked()[0]].strip()}")
