"""One row of `salience.py`: what one way of explaining a prompt of some length costs.

    python benchmarks/salience_cost.py '{"model": …, "way": …, "length": …, "store": …}'

Prints the row: CPU seconds, peak memory and how much of it the work added, forwards, and the LDS of
the map on 24 masks where the prompt has at most 1,000 tokens. `bare` is one ordinary forward pass
with the logits of every place; `plain-loo` one such pass a segment (five are run, the rest
reckoned, since a segment more or less is nothing).
"""

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import Row, peak_mb, timed
from salience_maps import opened, user_turn

from selaras.core.errors import InputError
from selaras.core.late import resolve
from selaras.debug import AblationStore, LocalProbe, Segment, Settings, ablatable, cut
from selaras.debug.attribution import METHODS
from selaras.debug.design import unseen
from selaras.debug.faithfulness import spearman
from selaras.debug.gradient import gradient_tokens
from selaras.debug.planted import Planted, planted_prompts
from selaras.debug.probe import identity_of, values
from selaras.debug.target import logit

PLAIN = 5
HELD_OUT = 24
LONGEST_JUDGED = 1000


def main() -> int:
    """Measure and print one row."""
    step = json.loads(sys.argv[1])
    model, way, length = opened(step["model"]), step["way"], step["length"]
    planted = planted_prompts()
    text = long_prompt(model, length, planted)
    response = planted[0].response
    plain_pass(user_turn(model, planted[0].passage, response))  # a warm-up
    before = peak_mb()
    probe = user_turn(model, text, response)
    segments = ablatable(cut(probe.view, "sentence"))
    row: Row = {"tokens": len(probe.view.tokens.ids), "segments": len(segments)}
    if way in ("bare", "plain-loo"):
        kept = [()] if way == "bare" else [(), *((i,) for i in spread(len(segments), PLAIN - 1))]
        cost, _ = timed(lambda: [plain_pass(probe, [segments[i] for i in each]) for each in kept])
        many = 1.0 if way == "bare" else (len(segments) + 1) / len(kept)
        cost = {name: cost[name] * many for name in ("cpu_seconds", "wall_seconds")}
    elif way == "gradient":
        cost, _ = timed(partial(gradient_tokens, probe))
    else:
        run = partial(resolve(METHODS[way]), probe, segments, Settings(keep=2))
        cost, scores = timed(run)
        row["forwards"] = probe.cost.forwards
    row |= cost | {"peak_mb": peak_mb(), "grown_mb": peak_mb() - before}
    if way not in ("bare", "plain-loo", "gradient") and length <= LONGEST_JUDGED:
        store = AblationStore(Path(step["store"]), identity_of(model))
        row["lds"] = lds(user_turn(model, text, response, store), segments, np.array(scores))
    print(json.dumps(row))
    return 0


def spread(count: int, many: int) -> list[int]:
    """Return some places, evenly over all."""
    return [((2 * i + 1) * count) // (2 * many) for i in range(min(many, count))]


def plain_pass(probe: LocalProbe, without: Sequence[Segment] = ()) -> Any:
    """Return the response's log-probabilities by a pass over the prompt without some segments."""
    from selaras.models.local_torch import torch

    dropped = {place for segment in without for place in segment.tokens}
    kept = [token for place, token in enumerate(probe.view.tokens.ids) if place not in dropped]
    response = probe.target.responses[0].ids
    with torch.inference_mode():
        ids = torch.tensor([[*kept, *response]])
        logits = probe.model.model(input_ids=ids, use_cache=False).logits
        return logits[0, -len(response) - 1 : -1].log_softmax(-1)


def lds(probe: LocalProbe, segments: Sequence[Segment], scores: np.ndarray) -> float:
    """Return the LDS of a map on masks of its own."""
    none = np.zeros((0, len(segments)), bool)
    held = unseen(len(segments), HELD_OUT, none, np.random.default_rng(3))
    found = spearman(held @ scores, logit(probe.target, values(probe, segments, held)))
    return round(found or 0.0, 3)


def long_prompt(model: Any, length: int, prompts: Sequence[Planted]) -> str:
    """Return a prompt of about so many tokens: sections of paragraphs of eight sentences."""
    fillers = [sentence for p in prompts[1:] for sentence in p.passage.split(". ")]
    paragraphs, i = [prompts[0].passage], 0
    while len(paragraphs) < 400:
        text = sections(paragraphs, prompts[0].question)
        if len(model.chat.text_ids(text)) >= length - 60:
            return text
        taken = [fillers[(i + k) % len(fillers)].rstrip(".") + "." for k in range(8)]
        paragraphs.insert(len(paragraphs) // 2, " ".join(taken))
        i += 8
    raise InputError(f"no prompt of {length} tokens")


def sections(paragraphs: Sequence[str], question: str) -> str:
    """Return the paragraphs in sections of four with headings, the question at the end."""
    parts = [f"# Part {n // 4 + 1}\n" + "\n\n".join(paragraphs[n : n + 4])
             for n in range(0, len(paragraphs), 4)]  # fmt: skip
    return "\n\n".join([*parts, question])


if __name__ == "__main__":
    sys.exit(main())
