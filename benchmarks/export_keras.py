"""What KerasHub makes of a merged Gemma: run by `export.py` in the environment of `keras-hub`.

    python export_keras.py FOLDER OUT.npy < prompts.json

Opens the folder as `Gemma3CausalLM.from_preset`, without a tokenizer, and writes the logits after
each prompt of {"ids": […]}, shape (prompts, vocabulary).
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "torch"

import keras_hub
import numpy as np
import torch


def main() -> None:
    """Write the logits."""
    torch.set_num_threads(1)
    model = keras_hub.models.Gemma3CausalLM.from_preset(sys.argv[1], preprocessor=None)
    found = []
    with torch.no_grad():
        for prompt in json.load(sys.stdin):
            ids = np.array([prompt["ids"]])
            given = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
            found.append(model(given).detach().numpy()[0, -1])
    np.save(sys.argv[2], np.stack(found))


if __name__ == "__main__":
    main()
