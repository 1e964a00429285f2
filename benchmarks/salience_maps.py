"""One row of `salience.py`: a method's or a peer's maps of planted evidence, judged on our masks.

    python benchmarks/salience_maps.py '{"model": …, "name": …, "prompts": …, "store": …}'

Prints the row. The values of the judging masks are kept in `store` and shared by all rows.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import HERE, Row, peak_mb, peer, run_apart, timed

from selaras.core.late import resolve
from selaras.core.records import Message
from selaras.debug import (
    AblationStore,
    LocalProbe,
    PromptView,
    Segment,
    Settings,
    ablatable,
    cut,
    view_prompt,
    whole_response,
)
from selaras.debug.attribution import METHODS
from selaras.debug.design import unseen
from selaras.debug.faithfulness import spearman
from selaras.debug.gradient import gradient_tokens
from selaras.debug.leave_one_out import leave_one_out
from selaras.debug.planted import Planted, planted_prompts
from selaras.debug.probe import identity_of, prepared, values
from selaras.debug.surrogate import design_of
from selaras.debug.target import logit
from selaras.models.catalogue import CATALOGUE, model_folder
from selaras.models.names import Place, open_model
from selaras.template import Rendered
from selaras.template import Segment as Stretch

HELD_OUT = 48
TOKENS = {"gradient": "l2", "gradient-input": "input"}  # our names of the two maps a token
PEER_LIMIT = 5400.0
Case = tuple[LocalProbe, tuple[Segment, ...], Planted]  # the probe judges; methods get their own


def main() -> int:
    """Measure and print one row."""
    step = json.loads(sys.argv[1])
    model = opened(step["model"])
    store = AblationStore(Path(step["store"]), identity_of(model))
    cases = []
    for planted in planted_prompts()[: step["prompts"]]:
        probe = probe_of(model, planted, store)
        cases.append((probe, ablatable(cut(probe.view, "sentence")), planted))
    if step["name"].startswith("baseline"):
        scores, about = baseline(step["name"].split()[1], cases), {"cpu_seconds": 0.0}
    elif step["ours"]:
        scores, about = ours(model, step["name"], cases)
    else:
        scores, about = theirs(step["name"], step["model"], cases, Path(step["peers"]))
    print(json.dumps({**about, **quality(cases, scores)}))
    return 0


def opened(name: str) -> Any:
    """Return a bundled model, ready for debugging, in one thread.

    Its weights are as they are stored, as the peers have them; elsewhere ours rounds them to
    bfloat16 where the processor multiplies it, since that is the model that a product runs.
    """
    from selaras.models.local_torch import torch
    from selaras.models.local_weights import load_weights

    torch.set_num_threads(1)
    model: Any = open_model(f"bundled:{name}", Place(HERE, HERE, Path(tempfile.gettempdir())))
    model.model, _ = load_weights(model_folder(CATALOGUE[name]), torch.float32, tokenizer=False)
    return prepared(model)


def probe_of(model: Any, planted: Planted, store: AblationStore | None = None) -> LocalProbe:
    """Return the probe of a prompt whose text all stands in the user's turn."""
    text = f"{planted.system} {planted.passage} {planted.question}"
    return user_turn(model, text, planted.response, store)


def user_turn(
    model: Any, text: str, response: str, store: AblationStore | None = None
) -> LocalProbe:
    """Return the probe of one user turn; without a store nothing is remembered."""
    talk = (Message(role="user", content=text),)
    said = Rendered(talk, (Stretch("user", "user", 0, 0, len(text)),))
    view = without_silent(view_prompt(model.chat, said))
    target = whole_response(model.chat, response)
    return LocalProbe(model, view, target, store or AblationStore(None, identity_of(model)))


def without_silent(view: PromptView) -> PromptView:
    """Return the view with the silent system prompt undeletable, as the peers have it."""
    kept = tuple(replace(s, ablatable=False) if s.origin == "silent" else s for s in view.stretches)
    return PromptView(view.tokens, kept)


def ours(model: Any, name: str, cases: Sequence[Case]) -> tuple[list[np.ndarray], Row]:
    """Return our maps and what they cost; nothing is remembered from another prompt."""
    method, _, masks = name.rpartition("-") if name.startswith("surrogate") else (name, "", "32")
    run, settings = resolve(METHODS[method]), Settings(masks=int(masks))
    gradient_tokens(probe_of(model, cases[0][2]))  # a warm-up
    costs, scores, forwards = [], [], []
    for _, segments, planted in cases:
        fresh = probe_of(model, planted)
        cost, made = timed(partial(run, fresh, segments, settings))
        costs.append(cost)
        scores.append(np.array(made))
        forwards.append(fresh.cost.forwards)
    about: Row = {
        "cpu_seconds": statistics.median(cost["cpu_seconds"] for cost in costs),
        "wall_seconds": statistics.median(cost["wall_seconds"] for cost in costs),
        "forwards": statistics.fmean(forwards), "peak_mb": peak_mb(),
    }  # fmt: skip
    if method in TOKENS:
        kind, probes = TOKENS[method], [probe for probe, _, _ in cases]
        about[f"errors_{kind}"] = [
            difference(exact_tokens(probe)[kind], tokens_of(probe)[kind]) for probe in probes
        ]
    return scores, about


def tokens_of(probe: LocalProbe) -> dict[str, np.ndarray]:
    """Return our gradient maps a token."""
    return dict(zip(TOKENS.values(), gradient_tokens(probe), strict=True))


def exact_tokens(probe: LocalProbe) -> dict[str, np.ndarray]:
    """Return the gradient maps a token as float64 gives them: what float32 rounds."""
    net = probe.model.model
    norms = [module for module in net.modules() if type(module).__name__.endswith("RMSNorm")]
    for norm in norms:  # the library's own compute in float32 whatever they are given
        offset = 1.0 if "Gemma" in type(norm).__name__ else 0.0
        eps = getattr(norm, "variance_epsilon", None) or norm.eps
        norm.forward = partial(exact_norm, norm.weight, offset, eps)
    net.double()
    try:
        return tokens_of(probe)
    finally:
        net.float()
        for norm in norms:
            del norm.forward


def exact_norm(weight: Any, offset: float, eps: float, hidden: Any) -> Any:
    """Return the root-mean-square norm in the precision of what it is given."""
    return (offset + weight) * hidden * (hidden.pow(2).mean(-1, keepdim=True) + eps).rsqrt()


def baseline(name: str, cases: Sequence[Case]) -> list[np.ndarray]:
    """Return length, recency or chance as maps."""
    generator = np.random.default_rng(5)
    known = {
        "length": lambda parts: np.array([len(s.tokens) for s in parts], float),
        "recency": lambda parts: np.arange(len(parts), dtype=float),
        "random": lambda parts: generator.random(len(parts)),
    }
    return [known[name](parts) for _, parts, _ in cases]


def quality(cases: Sequence[Case], scores: Sequence[np.ndarray]) -> Row:
    """Return mean LDS, drops and hits of maps, on masks that ours have not run."""
    found = []
    for (probe, segments, planted), score in zip(cases, scores, strict=True):
        count = len(segments)
        seen = np.vstack([design_of(count, Settings(masks=m)) for m in (16, 32)])
        held = unseen(count, HELD_OUT, seen, np.random.default_rng([9, count]))
        order = np.argsort(-score, kind="stable")
        drops = np.ones((3, count), bool)
        drops[1, order[:1]] = drops[2, order[:3]] = False
        f = values(probe, segments, np.vstack([drops, held]))
        evidence = next(i for i, s in enumerate(segments)
                        if planted.evidence in probe.view.text_of(s))  # fmt: skip
        rank = int((score > score[evidence]).sum())
        found.append((spearman(held @ score, logit(probe.target, f[3:])) or 0.0, f[0] - f[1],
                      f[0] - f[2], rank < 1, rank < 3))  # fmt: skip
    names = ("lds", "drop_at_1", "drop_at_3", "hit_at_1", "hit_at_3")
    means = np.array(found, dtype=float).mean(axis=0)
    rounded = (round(float(value), 3) for value in means)
    return {**dict(zip(names, rounded, strict=True)), "lds_each": [float(row[0]) for row in found]}


def theirs(
    tool: str, model: str, cases: Sequence[Case], folder: Path
) -> tuple[list[np.ndarray], Row]:
    """Return a peer's maps, their cost, how far they are from ours and (errors) from float64.

    Raises RuntimeError with the reason where it cannot run.

    Maps a token are summed over segments; L2 is taken where a peer gives both.
    """
    name, _, masks = tool.rpartition("-") if tool.startswith("context-cite") else (tool, "", "32")
    environment = name if name == "context-cite" else name.partition("-")[0]
    with tempfile.TemporaryDirectory() as scratch:
        job, out = Path(scratch) / "job.json", Path(scratch) / "out.json"
        job.write_text(json.dumps(job_of(model, cases, int(masks))), encoding="utf-8")
        command = [peer(environment, folder), HERE / "salience_tools.py", name, job, out]
        run_apart(command, PEER_LIMIT, {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1"})
        made = json.loads(out.read_text(encoding="utf-8"))
    about: Row = {
        "peak_mb": round(made["peak_mb"]),
        "forwards": statistics.fmean(p["forwards"] for p in made["prompts"]),
        "cpu_seconds": statistics.median(p["cpu_seconds"] for p in made["prompts"]),
        "wall_seconds": statistics.median(p["seconds"] for p in made["prompts"]),
    }
    scores = []
    for found, (probe, segments, _) in zip(made["prompts"], cases, strict=True):
        differences: dict[str, float] = {}
        if "segments" in found:
            scores.append(np.array(found["segments"]))
            if name == "captum-ablation":
                exact = leave_one_out(probe, segments, Settings())
                differences["leave_one_out"] = difference(exact, found["segments"])
        else:
            own, exact = tokens_of(probe), exact_tokens(probe)
            for kind, each in found["tokens"].items():
                about.setdefault(f"errors_{kind}", []).append(difference(exact[kind], each))
                differences[kind] = difference(own[kind], each)
            each = np.array(found["tokens"].get("l2") or found["tokens"]["input"])
            scores.append(np.array([each[list(s.tokens)].sum() for s in segments]))
        for kind, apart in differences.items():
            about.setdefault(f"differences_{kind}", []).append(apart)
    return scores, about


def difference(ours: np.ndarray, theirs: Sequence[float]) -> float:
    """Return the largest difference of two maps, as a share of the largest score."""
    if len(ours) != len(theirs):
        return float("inf")
    return float(np.abs(ours - np.array(theirs)).max() / np.abs(ours).max())


def job_of(name: str, cases: Sequence[Case], masks: int) -> Row:
    """Return what a peer is told."""
    folder = model_folder(CATALOGUE[name])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rope = config["rope_parameters"]
    local = {"rope_theta": rope["full_attention"]["rope_theta"],
             "rope_local_base_freq": rope["sliding_attention"]["rope_theta"],
             } if "full_attention" in rope else {"rope_theta": rope["rope_theta"]}  # fmt: skip
    tokenizer = cases[0][0].model.chat.tokenizer
    special = {key: getattr(tokenizer, key) for key in ("bos_token", "eos_token", "unk_token")}
    prompts = []
    for probe, segments, _ in cases:
        response = probe.target.responses[0]
        prompts.append({
            "text": probe.view.text, "ids": list(probe.view.tokens.ids),
            "pieces": pieces(probe.view, segments), "response": response.text,
            "bos": probe.view.tokens.offsets[0] == (0, 0), "response_ids": list(response.ids),
            "target": [0, len(response.text)],
        })  # fmt: skip
    return {"folder": str(folder), "rope": local, "special": special, "masks": masks,
            "prompts": prompts}  # fmt: skip


def pieces(view: PromptView, segments: Sequence[Segment]) -> list[Row]:
    """Return the prompt's text in pieces: a segment's, with its number, or the template's own."""
    found: list[Row] = []
    at = 0
    for number, segment in enumerate(segments):
        if at < segment.start:
            found.append({"text": view.text[at : segment.start], "segment": None})
        found.append({"text": view.text_of(segment), "segment": number})
        at = segment.end
    return [*found, {"text": view.text[at:], "segment": None}]


if __name__ == "__main__":
    sys.exit(main())
