"""Which sentence made the model say that: how well and how fast is it found, beside the peers?

    python benchmarks/salience.py [--model NAME ...] [--quick] [--json] [--out FILE] [--peers DIR]

Prompts with planted evidence (selaras.debug.planted), all of it in one user turn so that every tool
sees the same text, target the whole response. Ours against captum (LLMAttribution by ablation and
LLMGradientAttribution), inseq, ContextCite with our partition, and LIT's own salience computation;
each in its own environment and process, one thread. LDS is measured for all of them by us, on 48
masks that no method of ours has run (ContextCite draws its own). Then, ours alone: exact
leave-one-out beside one plain forward a segment, hierarchical search beside leave-one-out on a
prompt of 128 sentences, the gradient preview beside a bare forward pass of 1,000 tokens, and cost
against length, each with its process's peak memory. What this leaves out: GPUs, larger models.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import (
    HERE,
    Row,
    arguments,
    finish,
    peer,
    peers_option,
    pin,
    report,
    run_apart,
    versions,
)

from selaras.core.errors import InputError
from selaras.core.records import Message
from selaras.debug import (
    AblationStore,
    LocalProbe,
    PromptView,
    Segment,
    Settings,
    Target,
    ablatable,
    attribute,
    cut,
    view_prompt,
    whole_response,
)
from selaras.debug.design import unseen
from selaras.debug.faithfulness import spearman
from selaras.debug.planted import Planted, planted_prompts
from selaras.debug.probe import identity_of, prepared, values
from selaras.debug.surrogate import design_of
from selaras.debug.target import logit
from selaras.models.names import Place, open_model
from selaras.template import Rendered
from selaras.template import Segment as Stretch

MODELS = ("smollm2-135m-instruct", "gemma3-270m")
OURS = (
    ("gradient", 32), ("gradient-input", 32), ("integrated", 32), ("leave-one-out", 32),
    ("surrogate", 16), ("surrogate", 32),
)  # fmt: skip
PEERS = {"captum-ablation": "captum", "captum-gradient": "captum", "inseq": "inseq",
         "context-cite": "context-cite", "lit": "lit"}  # fmt: skip
HELD_OUT = 48
KINDS = ("bare", "gradient", "plain-loo", "leave-one-out", "hierarchy")
LONGEST_WHOLE = 1000  # exact leave-one-out of longer prompts takes an hour here
LENGTHS, QUICK_LENGTHS = (256, 1000, 4000), (256,)


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = arguments(__doc__, quick="three prompts, the first model, 256 tokens, no peers")
    peers_option(parser)
    parser.add_argument("--model", action="append", choices=MODELS, help="only these models")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(cost_at(*options.part.split(","))))
        return 0
    rows: list[Row] = []
    for name in options.model or (MODELS[:1] if options.quick else MODELS):
        rows += measured(name, options)
    used = versions("torch", "transformers", "numpy") | {p: pin(p) for p in set(PEERS.values())}
    return finish(options, report(rows, used), shown)


def measured(name: str, options: argparse.Namespace) -> list[Row]:
    """Return the rows of one model."""
    place = Place(HERE, HERE, Path(tempfile.gettempdir()))
    model = prepared(open_model(f"bundled:{name}", place))
    prompts = planted_prompts()[: 3 if options.quick else None]
    probes = [probe_of(model, planted) for planted in prompts]
    parts = [ablatable(cut(probe.view, "sentence")) for probe in probes]
    rows: list[Row] = []
    maps: dict[str, list[np.ndarray]] = {}
    for method, masks in OURS:
        found = []
        for planted in prompts:
            fresh = probe_of(model, planted)  # nothing is remembered from another method
            segments = ablatable(cut(fresh.view, "sentence"))
            found.append(attribute(fresh, segments, method, Settings(masks=masks), check=False))
        label = f"{method}-{masks}" if method == "surrogate" else method
        scores = [np.array(each.scores) for each in found]
        maps[label] = scores
        rows.append({"name": label, "ours": True, "model": name,
                     **quality(probes, parts, prompts, scores),
                     "forwards": statistics.median(each.forwards for each in found),
                     "wall_seconds": statistics.median(each.seconds for each in found),
                     })  # fmt: skip
    tokens = {kind: token_maps(probes, kind) for kind in ("l2", "input")}
    if not options.quick:
        for tool in PEERS:
            rows += peer_rows(tool, name, (probes, parts, prompts), tokens, options.peers)
    rows += baseline_rows(name, probes, parts, prompts)
    lengths = QUICK_LENGTHS if options.quick else LENGTHS
    rows += [part(name, kind, length) for length in lengths
             for kind in KINDS if length <= LONGEST_WHOLE or kind != "leave-one-out"]  # fmt: skip
    return rows


def probe_of(model: Any, planted: Planted) -> LocalProbe:
    """Return the probe of a prompt whose text all stands in the user's turn."""
    text = f"{planted.system} {planted.passage} {planted.question}"
    return user_turn(model, text, planted.response)


def user_turn(model: Any, text: str, response: str) -> LocalProbe:
    """Return the probe of one user turn; nothing is remembered from another one."""
    talk = (Message(role="user", content=text),)
    said = Rendered(talk, (Stretch("user", "user", 0, 0, len(text)),))
    view = without_silent(view_prompt(model.chat, said))
    store = AblationStore(None, identity_of(model))
    return LocalProbe(model, view, whole_response(model.chat, response), store)


def without_silent(view: PromptView) -> PromptView:
    """Return the view with the silent system prompt undeletable, as the peers have it."""
    from dataclasses import replace

    kept = tuple(replace(s, ablatable=False) if s.origin == "silent" else s for s in view.stretches)
    return PromptView(view.tokens, kept)


def quality(
    probes: Sequence[LocalProbe], parts: Sequence[Sequence[Segment]],
    prompts: Sequence[Planted], scores: Sequence[np.ndarray],
) -> Row:  # fmt: skip
    """Return mean LDS, drops and hits of maps, on masks that ours have not run."""
    found = []
    for probe, segments, planted, score in zip(probes, parts, prompts, scores, strict=True):
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
    return {"prompts": len(found), **dict(zip(names, rounded, strict=True))}


def baseline_rows(name: str, probes: Any, parts: Any, prompts: Any) -> list[Row]:
    """Return length, recency and random as maps."""
    generator = np.random.default_rng(5)
    found = {
        "length": [np.array([len(s.tokens) for s in p], float) for p in parts],
        "recency": [np.arange(len(p), dtype=float) for p in parts],
        "random": [generator.random(len(p)) for p in parts],
    }
    return [{"name": f"baseline {label}", "ours": False, "model": name,
             **quality(probes, parts, prompts, scores)}
            for label, scores in found.items()]  # fmt: skip


def token_maps(probes: Sequence[LocalProbe], kind: str) -> list[np.ndarray]:
    """Return our gradient a token."""
    from selaras.debug.gradient import gradient_tokens

    return [gradient_tokens(probe)[0 if kind == "l2" else 1] for probe in probes]


def peer_rows(
    tool: str, name: str, ours: tuple[Any, Any, Any], tokens: dict[str, Any], folder: Path
) -> list[Row]:
    """Return a peer's rows, or one with the reason why there are none."""
    probes, parts, prompts = ours
    rows = []
    for masks in (16, 32) if tool == "context-cite" else (32,):
        label = f"{tool}-{masks}" if tool == "context-cite" else tool
        about = {"name": label, "ours": False, "model": name}
        with tempfile.TemporaryDirectory() as scratch:
            job, out = Path(scratch) / "job.json", Path(scratch) / "out.json"
            job.write_text(json.dumps(job_of(name, probes, parts, masks)), encoding="utf-8")
            try:
                command = [peer(PEERS[tool], folder), HERE / "salience_tools.py", tool, job, out]
                run_apart(command, env={"PYTHONPATH": "", "HF_HUB_OFFLINE": "1"})
                made = json.loads(out.read_text(encoding="utf-8"))
            except RuntimeError as error:
                rows.append({**about, "left_out": str(error)})
                continue
        row = {**about, "peak_mb": round(made["peak_mb"]),
               "forwards": statistics.median(p["forwards"] for p in made["prompts"]),
               "wall_seconds": statistics.median(p["seconds"] for p in made["prompts"]),
               }  # fmt: skip
        scores = []
        for found, segments, i in zip(made["prompts"], parts, range(len(parts)), strict=True):
            if "segments" in found:
                scores.append(np.array(found["segments"]))
                continue
            for kind, theirs in found["tokens"].items():
                row[f"difference_{kind}"] = max(row.get(f"difference_{kind}", 0.0),
                                                difference(tokens[kind][i], theirs))  # fmt: skip
            each = np.array(found["tokens"].get("l2") or found["tokens"]["input"])
            scores.append(np.array([each[list(s.tokens)].sum() for s in segments]))
        rows.append({**row, **quality(probes, parts, prompts, scores)})
    return rows


def difference(ours: np.ndarray, theirs: Sequence[float]) -> float:
    """Return the largest difference of two maps, as a share of the largest score."""
    if len(ours) != len(theirs):
        return float("inf")
    return float(np.abs(ours - np.array(theirs)).max() / np.abs(ours).max())


def job_of(name: str, probes: Any, parts: Any, masks: int) -> Row:
    """Return what a peer is told."""
    from selaras.models.catalogue import CATALOGUE, model_folder

    folder = model_folder(CATALOGUE[name])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rope = config["rope_parameters"]
    local = {"rope_theta": rope["full_attention"]["rope_theta"],
             "rope_local_base_freq": rope["sliding_attention"]["rope_theta"],
             } if "full_attention" in rope else {"rope_theta": rope["rope_theta"]}  # fmt: skip
    tokenizer = probes[0].model.chat.tokenizer
    special = {key: getattr(tokenizer, key) for key in ("bos_token", "eos_token", "unk_token")}
    prompts = []
    for probe, segments in zip(probes, parts, strict=True):
        bos = probe.view.tokens.offsets[0] == (0, 0)
        pieces, at = [], 0
        for number, s in enumerate(segments):
            if at < s.start:
                pieces.append({"text": probe.view.text[at : s.start], "segment": None})
            pieces.append({"text": probe.view.text_of(s), "segment": number})
            at = s.end
        pieces.append({"text": probe.view.text[at:], "segment": None})
        response: Target = probe.target
        prompts.append({
            "text": probe.view.text, "ids": list(probe.view.tokens.ids), "pieces": pieces,
            "response": response.responses[0].text, "bos": bos,
            "response_ids": list(response.responses[0].ids),
            "target": [0, len(response.responses[0].text)],
        })  # fmt: skip
    return {"folder": str(folder), "rope": local, "special": special, "masks": masks,
            "prompts": prompts}  # fmt: skip


def part(name: str, kind: str, length: int) -> Row:
    """Return the cost of one way at one length, in a process of its own."""
    about = {"name": f"{kind} at {length}", "ours": kind not in ("bare", "plain-loo"),
             "model": name, "length": length, "kind": kind}  # fmt: skip
    try:
        _, said = run_apart([sys.executable, __file__, "--part", f"{name},{kind},{length}"])
    except RuntimeError as error:
        return {**about, "left_out": str(error)}
    return {**about, **json.loads(said.splitlines()[-1])}


def cost_at(name: str, kind: str, length: str) -> Row:
    """Return the cost of one way on a long prompt: seconds, peak, forwards, and its scores' LDS."""
    from measure import peak_mb

    from selaras.debug.forward import _kept, chunks_of
    from selaras.debug.gradient import gradient_tokens
    from selaras.models.local_torch import torch

    torch.set_num_threads(1)
    model = prepared(open_model(f"bundled:{name}", Place(HERE, HERE, Path(tempfile.gettempdir()))))
    probe = long_probe(model, int(length))
    segments = ablatable(cut(probe.view, "sentence"))
    before = peak_mb()
    begun = time.perf_counter()
    more: Row = {}
    if kind in ("bare", "plain-loo"):
        ids, response = probe.view.tokens.ids, probe.target.responses[0].ids
        chunks = chunks_of(ids, [s.tokens for s in segments])
        rows = np.ones((1 if kind == "bare" else min(len(segments), 4) + 1, len(segments)), bool)
        for i in range(1, len(rows)):
            rows[i, (i * len(segments)) // len(rows)] = False
        with torch.inference_mode():
            for row in rows:
                ids = torch.tensor([[*_kept(chunks, row), *response]])
                logits = model.model(input_ids=ids, use_cache=False).logits
                logits[0, -len(response) - 1 : -1].log_softmax(-1)
        seconds = time.perf_counter() - begun
        # A plain forward costs the same for every segment: five are run, the rest reckoned.
        scale = 1.0 if kind == "bare" else (len(segments) + 1) / len(rows)
        return {"wall_seconds": seconds * scale, "peak_mb": peak_mb(),
                "grown_mb": peak_mb() - before,
                "segments": len(segments), "tokens": len(probe.view.tokens.ids)}  # fmt: skip
    if kind == "gradient":
        gradient_tokens(probe)
    else:
        made = attribute(probe, segments, kind, Settings(keep=2), check=False)
        more = {"forwards": made.forwards}
    seconds, peak = time.perf_counter() - begun, peak_mb()
    if kind != "gradient" and int(length) <= 1000:
        more["lds"] = long_lds(probe, segments, np.array(made.scores))
    return {"wall_seconds": seconds, "peak_mb": peak, "grown_mb": peak - before, **more,
            "segments": len(segments), "tokens": len(probe.view.tokens.ids)}  # fmt: skip


def long_lds(probe: LocalProbe, segments: Sequence[Segment], scores: np.ndarray) -> float:
    """Return the LDS on 24 masks."""
    held = unseen(len(segments), 24, np.zeros((0, len(segments)), bool), np.random.default_rng(3))
    found = spearman(held @ scores, logit(probe.target, values(probe, segments, held)))
    return round(found or 0.0, 3)


def long_probe(model: Any, length: int) -> LocalProbe:
    """Return a prompt of about so many tokens: sections of paragraphs of eight sentences."""
    prompts = planted_prompts()
    main_one = prompts[0]
    fillers = [s for p in prompts[1:] for s in p.passage.split(". ")]
    paragraphs, i = [main_one.passage], 0
    while True:
        text = _sections(paragraphs, main_one)
        many = len(model.chat.text_ids(text))
        if many >= length - 60:
            break
        taken = [fillers[(i + k) % len(fillers)].rstrip(".") + "." for k in range(8)]
        paragraphs.insert(len(paragraphs) // 2, " ".join(taken))
        i += 8
        if len(paragraphs) > 400:
            raise InputError("no such length")
    return user_turn(model, text, main_one.response)


def _sections(paragraphs: Sequence[str], planted: Planted) -> str:
    out = []
    for number in range(0, len(paragraphs), 4):
        out.append(f"# Part {number // 4 + 1}\n" + "\n\n".join(paragraphs[number : number + 4]))
    return "\n\n".join(out) + f"\n\n{planted.question}"


def shown(result: Row) -> str:
    """Return the tables."""
    lines = []
    for model in dict.fromkeys(row["model"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["model"] == model]
        lines.append(f"{model}: maps of planted evidence, one thread")
        lines.append(f"{'method':<20}{'LDS':>7}{'drop@1':>8}{'drop@3':>8}{'hit@1':>7}{'hit@3':>7}"
                     f"{'forwards':>10}{'median s':>10}{'map differs from ours':>23}")  # fmt: skip
        for row in rows:
            if "length" in row:
                continue
            if "left_out" in row:
                lines.append(f"{row['name']:<20}left out: {row['left_out']}")
                continue
            apart = " ".join(f"{k[11:]} {v:.1e}" for k, v in row.items() if k.startswith("diff"))
            lines.append(f"{row['name']:<20}{row['lds']:>7.3f}{row['drop_at_1']:>8.2f}"
                         f"{row['drop_at_3']:>8.2f}{row['hit_at_1']:>7.2f}{row['hit_at_3']:>7.2f}"
                         f"{row.get('forwards', 0):>10g}{row.get('wall_seconds', 0):>10.2f}"
                         f"{apart:>23}")  # fmt: skip
        lines.append(f"{'cost at length':<26}{'tokens':>8}{'segments':>10}{'seconds':>9}"
                     f"{'peak MB':>9}"
                     f"{'grown MB':>10}{'LDS':>7}{'times bare':>12}")  # fmt: skip
        bare = {r["length"]: r.get("wall_seconds") for r in rows if r.get("kind") == "bare"}
        for row in rows:
            if "length" not in row:
                continue
            if "left_out" in row:
                lines.append(f"{row['name']:<26}left out: {row['left_out']}")
                continue
            lines.append(f"{row['name']:<26}{row['tokens']:>8}{row['segments']:>10}"
                         f"{row['wall_seconds']:>9.2f}{row['peak_mb']:>9.0f}{row['grown_mb']:>10.0f}"
                         f"{row.get('lds', float('nan')):>7.2f}"
                         f"{row['wall_seconds'] / (bare[row['length']] or 1):>12.1f}")  # fmt: skip
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
