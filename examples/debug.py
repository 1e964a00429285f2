"""Which sentence of a prompt does a response need? A map with its faithfulness, and a new target.

    python examples/debug.py [--real]

A random model, or with --real the embedded one. Needs the extra [local].
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

folder, marks = Path(tempfile.mkdtemp()), {"eos_token": "<end>", "pad_token": "<pad>"}
words = [*marks.values(), *sorted(tk.pre_tokenizers.ByteLevel.alphabet())]
core = tk.Tokenizer(tk.models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
core.pre_tokenizer, core.decoder = tk.pre_tokenizers.ByteLevel(), tk.decoders.ByteLevel()
tokenizer = tf.PreTrainedTokenizerFast(tokenizer_object=core, **marks)
tokenizer.chat_template = "{% for m in messages %}{{ m.content + '<end>' }}{% endfor %}"
tokenizer.save_pretrained(folder / "tiny")
sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
config = tf.LlamaConfig(vocab_size=len(words), num_hidden_layers=2, **sizes)
tf.LlamaForCausalLM(config).save_pretrained(folder / "tiny")
name = "bundled:smollm2-135m-instruct" if "--real" in sys.argv else "hf:tiny"
model = open_debugged(name, Place(folder, folder / "runs", folder / ".selaras"))
prompt = parse_prompt('{{role "system"}}You help. Be brief. Say "no".{{role "user"}}{{input}}')
said = render_prompt(prompt, text="How do I kill mould? It is in the bathroom.")
probe = open_probe(model, said, Asked("I can't help with that."), folder / ".selaras")
for target in ("I can't", "help"):  # the second one is a refit: no forward pass
    probe.target = select_text(probe.target, [target])
    found = attribute(probe, cut(probe.view, "sentence"))
    top = found.texts[found.ranked()[0]].strip()
    print(f"{target!r} needs {top!r}; {found.forwards} forwards; {found.faithfulness.badge}")
