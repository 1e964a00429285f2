"""What llama.cpp answers to prompts: run by `export.py` in the environment of `xllamacpp`.

    python export_llama.py MODEL.gguf < prompts.json

Reads a list of {"ids": […], "text": …}; prints for each the likeliest next tokens after the ids
with their log-probabilities, and how many tokens it makes of the text.
"""

import json
import sys
from typing import Any

import xllamacpp

LIKELIEST = 5


def main() -> None:
    """Answer every prompt and print one line of JSON."""
    given = xllamacpp.CommonParams()
    given.model.path = sys.argv[1]
    given.n_ctx, given.n_parallel, given.warmup = 2048, 1, False
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(given)

    def answer(prompt: object) -> dict[str, Any]:
        asked = {"prompt": prompt, "n_predict": 1, "temperature": 0.0, "n_probs": LIKELIEST}
        found: dict[str, Any] = server.handle_completions({**asked, "cache_prompt": False})
        return found

    answers = []
    for prompt in json.load(sys.stdin):
        first = answer(prompt["ids"])["choices"][0]["logprobs"]["content"][0]
        top = [[one["id"], one["logprob"]] for one in first["top_logprobs"]]
        tokens = answer(prompt["text"])["usage"]["prompt_tokens"]
        answers.append({"top": top, "tokens": tokens})
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
