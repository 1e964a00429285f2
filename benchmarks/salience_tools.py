"""The peers that `salience.py` compares, each in a process and an environment of its own.

    python benchmarks/salience_tools.py TOOL JOB.json OUT.json

A job names a model's folder and prompts: pieces of text (a segment's number, or None), the whole
prompt, a response. A tool returns for each prompt its scores a segment or a token, its forwards,
CPU and wall seconds (threads and children included); loading is not timed. Written against the
peers' documented interfaces. This file imports nothing of ours.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

Found = dict[str, Any]


def clock() -> tuple[float, float]:
    """Return the wall's time and the CPU time that this process and its children have used."""
    return time.perf_counter(), sum(os.times()[:4])


def since(begun: tuple[float, float]) -> Found:
    """Return what passed since a time."""
    wall, cpu = clock()
    return {"seconds": wall - begun[0], "cpu_seconds": cpu - begun[1]}


def _hf(folder: str) -> tuple[Any, Any]:
    import torch
    import transformers

    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), tokenizer


def captum_ablation(job: Found) -> list[Found]:
    """captum: FeatureAblation of a template's values (deletion), one forward a response."""
    import torch
    from captum.attr import FeatureAblation, LLMAttribution, TextTemplateInput

    model, tokenizer = _hf(job["folder"])
    attributing = LLMAttribution(FeatureAblation(model), tokenizer)
    found = []
    for prompt in job["prompts"]:
        template, values = "", []
        for piece in prompt["pieces"]:
            own = piece["segment"] is not None
            template += "{}" if own else piece["text"].replace("{", "{{").replace("}", "}}")
            values += [piece["text"]] if own else []
        given = TextTemplateInput(template, values=values, baselines=[""] * len(values))
        begun = clock()
        # As ids: of a text captum would count its tokenizer's beginning token as a target, too.
        target = torch.tensor(prompt["response_ids"])
        made = attributing.attribute(given, target=target, forward_in_tokens=False)
        found.append({"segments": made.seq_attr.tolist(), "forwards": len(values) + 1,
                      **since(begun)})  # fmt: skip
    return found


def captum_gradient(job: Found) -> list[Found]:
    """captum: gradient x activation of the embeddings, one pass a response token."""
    from captum.attr import LayerGradientXActivation, LLMGradientAttribution, TextTokenInput

    model, tokenizer = _hf(job["folder"])
    method = LayerGradientXActivation(model, model.get_input_embeddings())
    attributing = LLMGradientAttribution(method, tokenizer)
    found = []
    for prompt in job["prompts"]:
        given = TextTokenInput(prompt["text"], tokenizer)
        begun = clock()
        made = attributing.attribute(given, target=prompt["response"])
        found.append({"tokens": {"input": made.seq_attr.tolist()},
                      "forwards": len(prompt["response_ids"]),
                      **since(begun)})  # fmt: skip
    return found


def inseq_gradient(job: Found) -> list[Found]:
    """inseq: input x gradient of each target token's log-probability, summed."""
    import inseq
    import torch

    torch.set_num_threads(1)
    model = inseq.load_model(job["folder"], "input_x_gradient", device="cpu")
    found = []
    for prompt in job["prompts"]:
        begun = clock()
        out = model.attribute(
            prompt["text"], prompt["text"] + prompt["response"], attributed_fn="probability",
            logprob=True, show_progress=False, skip_special_tokens=False,
        )  # fmt: skip
        made = out.sequence_attributions[0].target_attributions
        each = made.nan_to_num(0).sum(-1) if made.dim() == 3 else made.nan_to_num(0)
        tokens = each.sum(-1)[: len(prompt["ids"])].tolist()
        found.append({"tokens": {"input": tokens}, "forwards": len(prompt["response_ids"]),
                      **since(begun)})  # fmt: skip
    return found


def context_cite(job: Found) -> list[Found]:
    """ContextCite: LASSO over random ablations of the user's turn, with our partition."""
    import numpy as np
    from context_cite import ContextCiter
    from context_cite.context_partitioner import BaseContextPartitioner

    class Given(BaseContextPartitioner):
        def __init__(self, parts: list[str]) -> None:
            super().__init__("".join(parts))
            self.parts = parts

        @property
        def num_sources(self) -> int:
            return len(self.parts)

        def split_context(self) -> None:
            pass

        def get_source(self, index: int) -> str:
            return self.parts[index]

        def get_context(self, mask: Any = None) -> str:
            kept = np.ones(len(self.parts), bool) if mask is None else mask
            return "".join(p for p, keep in zip(self.parts, kept, strict=True) if keep)

    model, tokenizer = _hf(job["folder"])
    tokenizer.padding_side = "left"
    if not tokenizer.chat_template:
        tokenizer.chat_template = "{{ bos_token }}{{ messages[0]['content'] }}"
    found = []
    for prompt in job["prompts"]:
        parts = [p["text"] for p in prompt["pieces"] if p["segment"] is not None]
        given = Given(parts)
        citer = ContextCiter(
            model, tokenizer, given.context, "", prompt_template="{context}{query}",
            partitioner=given, num_ablations=job["masks"],
        )  # fmt: skip
        # The response is given, not generated: its place in the cache of the public class.
        citer._cache["output"] = citer._get_prompt_ids(return_prompt=True)[1] + prompt["response"]
        begun = clock()
        start, end = prompt["target"]
        scores = citer.get_attributions(start, end, verbose=False)
        found.append({"segments": scores.tolist(), "forwards": job["masks"],
                      **since(begun)})  # fmt: skip
    return found


def lit_gradient(job: Found) -> list[Found]:
    """LIT: its salience model's own computation, on the last transformers that it runs with."""
    import torch
    import transformers
    from lit_nlp.examples.prompt_debugging import transformers_lms

    torch.set_num_threads(1)
    folder = Path(job["folder"])
    config = transformers.AutoConfig.from_pretrained(folder)
    for name, value in job["rope"].items():
        setattr(config, name, value)  # transformers 5 writes them elsewhere than 4 reads them
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), padding_side="left", **job["special"]
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, config=config, torch_dtype=torch.float32
    ).eval()
    salience = transformers_lms.HFSalienceModel(model=model, tokenizer=tokenizer)
    found = []
    for prompt in job["prompts"]:
        many = len(prompt["ids"])
        mask = [0] * many + [1] * len(prompt["response_ids"])
        given = {"prompt": prompt["text"], "target": prompt["response"], "target_mask": mask}
        begun = clock()
        (made,) = salience.predict_minibatch([given])
        cost = since(begun)
        tokens = {"l2": made["grad_l2"][:many].tolist(),
                  "input": (-made["grad_dot_input"][:many]).tolist()}  # fmt: skip
        found.append({"tokens": tokens, "forwards": 1, **cost})
    return found


TOOLS = {
    "captum-ablation": captum_ablation,
    "captum-gradient": captum_gradient,
    "context-cite": context_cite,
    "inseq": inseq_gradient,
    "lit": lit_gradient,
}


def main() -> int:
    """Run one tool on a job."""
    tool, job, out = sys.argv[1:]
    found = TOOLS[tool](json.loads(Path(job).read_text(encoding="utf-8")))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    Path(out).write_text(json.dumps({"prompts": found, "peak_mb": peak}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
