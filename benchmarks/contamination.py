"""Is tuning data that repeats or paraphrases evaluation data found, and clean data left alone?

    python benchmarks/contamination.py [--data ../shared/data] [--quick] [--json] [--out FILE]

GSM8K (MIT) and LMSYS's rephrased GSM8K (Apache-2.0): row i paraphrases item i of the test set, so
recall is known; 2,000 rows of GSM8K's own train part, drawn by hash, are the clean rows. XSTest
(CC-BY-4.0): each prompt is put, verbatim and with one word changed, between benign text
(self-instruct's tasks, Apache-2.0); the same text without a prompt is clean.

Items and clean rows are cut in halves by the hash of their number. Thresholds were set before
either half was measured (cosines from published figures, the share of numbers by reason), and the
half `fit` (`--grid` shows it at others) gave no cause to move them. For GSM8K `test` was seen with
them alone; for XSTest the shortest item compared and the threshold of a window were chosen after
figures of both halves had been seen, so its `test` half is no fresh evidence. The static encoder's
thresholds were set on `fit` alone, for 1 % of clean rows flagged. `review` and `remove` both count
as flagged. Beside ours stand the usual tiers alone: equality, a run of 13
words, 5-grams of words (any in common), character 5-grams (Jaccard >= .6), cosines of MiniLM at .8
and .85. No text of a row is printed. Left out: an LLM judge on the retrieved pairs
(llm-decontaminator's last step), as no model here could be one; allenai/decon, which is in no
package registry.
"""

import csv
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, data_option, finish, lacking, report, timed, versions
from numpy.typing import NDArray

from selaras.core.fingerprint import normalise, seed_from
from selaras.core.records import Query
from selaras.data.containment import meetings
from selaras.data.contamination import NEAR_MISS, RETRIEVED, matches, shared_numbers
from selaras.data.embeddings import ENCODER, embed_cached
from selaras.data.encoder import MINILM, PROPOSER, STATIC, Encoder
from selaras.data.near import near_duplicates
from selaras.data.shingles import shingles
from selaras.data.similarity import closest
from selaras.data.sketch import hashed_grams, make_sketch
from selaras.stats import wilson

HALVES = ("fit", "test")
CLEAN = 2000
Vectors = NDArray[np.float32]
Flags = set[int]


def main() -> int:
    """Print the tables; return the exit code."""
    parser = arguments(__doc__, quick="an eighth of GSM8K")
    data_option(parser)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/selaras/benchmarks")
    parser.add_argument("--grid", action="store_true", help="the fit half at other thresholds")
    options = parser.parse_args()
    needed = ("gsm8k/test.jsonl", "llm_decontaminator/rephrase_gsm8k.jsonl",
              "xstest/xstest_prompts.csv", "self_instruct/seed_tasks.jsonl")  # fmt: skip
    if missing := lacking(options.data, needed):
        print(missing)
        return 0
    thresholds = {encoder.name + ("+" if encoder.confirmed else ""): asdict(encoder.copies)
                  for encoder in (MINILM, STATIC, PROPOSER)}  # fmt: skip
    gsm8k = Gsm8k(options.data, options.cache, 8 if options.quick else 1)
    result = report([*gsm8k.table(), *xstest(options.data)],
                    versions("numpy") | {"encoder": ENCODER}, thresholds=thresholds)  # fmt: skip
    if options.grid:
        result["grid"] = gsm8k.grid()
    return finish(options, result, shown)


class Gsm8k:
    """The texts of GSM8K with their vectors; `rows` are paraphrases, then clean rows."""

    def __init__(self, data: Path, cache: Path, every: int) -> None:
        items = [line["question"] for line in _lines(data / "gsm8k" / "test.jsonl")]
        copies = [
            line["text"].removeprefix("Question: ").partition("\nAnswer:")[0]
            for line in _lines(data / "llm_decontaminator" / "rephrase_gsm8k.jsonl")
        ]
        train = [line["question"] for line in _lines(data / "gsm8k" / "train.jsonl")]
        chosen = sorted(range(len(train)), key=lambda i: seed_from("clean", i))[: CLEAN // every]
        # Some rephrased rows are empty.
        kept = [
            i for i, text in enumerate(copies) if text.strip() and not seed_from("part", i) % every
        ]
        self.items = [items[i] for i in kept]
        self.rows = [copies[i] for i in kept] + [train[i] for i in chosen]
        self.half = [_half(i) for i in kept] + [_half(i) for i in chosen]
        file = cache / "contamination.npz"
        self.item_vectors = embed_cached([normalise(t) for t in self.items], file)
        self.row_vectors = embed_cached([normalise(t) for t in self.rows], file)
        static = STATIC.open()
        self.static_cost, (self.static_items, self.static_rows) = timed(
            lambda: (static.embed(self.items), static.embed(self.rows))
        )

    def table(self) -> list[dict[str, Any]]:
        """Return a row of figures for each method and half."""
        cosine = self._cosines
        methods: dict[str, Callable[[], Flags]] = {
            "selaras, all tiers": lambda: self._tiers(self.item_vectors, self.row_vectors, MINILM),
            "selaras, static encoder": lambda: self._tiers(
                self.static_items, self.static_rows, STATIC
            ),
            "selaras, static, then MiniLM": self._cascade,
            "equality": self._equal,
            "13 words in a row": lambda: self._words(13),
            "5 words in a row": lambda: self._words(5),
            "char-5, Jaccard >= .6": self._near,
            "MiniLM, cosine >= .80": lambda: cosine(0.80),
            "MiniLM, cosine >= .85": lambda: cosine(0.85),
        }  # fmt: skip
        found = []
        for name, method in methods.items():
            cost, flags = timed(method)
            for half in HALVES:
                mine = [i for i, h in enumerate(self.half) if h == half]
                copies = [i for i in mine if i < len(self.items)]
                clean = [i for i in mine if i >= len(self.items)]
                found.append({"corpus": "gsm8k", "name": name, "ours": name.startswith("selaras"),
                              "half": half, **rates(flags, copies, clean), **cost})  # fmt: skip
        return found

    def grid(self) -> list[dict[str, Any]]:
        """Return recall and false positives of the fit half over cosines and shares of numbers."""
        pairs, cosines = closest(self.row_vectors, self.item_vectors, 0.5, RETRIEVED)
        numbers = [hashed_grams(t, "")["numbers"] for t in (self.rows, self.items)]
        shared = shared_numbers(*numbers, pairs)
        fit = [i for i, half in enumerate(self.half) if half == "fit"]
        copies = [i for i in fit if i < len(self.items)]
        clean = [i for i in fit if i >= len(self.items)]
        out = []
        for cosine in np.arange(0.6, 0.95, 0.02):
            for agreeing in (0.0, 0.25, 0.34, 0.5, 0.67, 0.75, 1.0):
                ok = (cosines >= cosine) & (np.nan_to_num(shared, nan=0.0) >= agreeing)
                told = rates(set(pairs[ok, 0].tolist()), copies, clean)
                out.append({"cosine": round(float(cosine), 2), "numbers": agreeing, **told})
        return out

    def _tiers(self, items: Vectors, rows: Vectors | None, encoder: Encoder) -> Flags:
        """Return what all tiers flag; without vectors of rows, those that need no encoder."""
        sketch = make_sketch([Query(id=f"i{i}", query=t) for i, t in enumerate(self.items)],
                             items, "salt")  # fmt: skip
        given = [Query(id=f"r{i}", query=t) for i, t in enumerate(self.rows)]
        found = matches(given, sketch, "salt", rows, encoder)
        return {match.row for match in found if match.tier != NEAR_MISS}

    def _cascade(self) -> Flags:
        """Return what the tiers without embeddings flag, and what MiniLM confirms of proposals."""
        pairs, cosines = closest(self.static_rows, self.static_items, PROPOSER.copies.least,
                                 RETRIEVED)  # fmt: skip
        numbers = [hashed_grams(t, "")["numbers"] for t in (self.rows, self.items)]
        shared = shared_numbers(*numbers, pairs)
        proposed = PROPOSER.copies.holds(cosines, shared)
        self.proposed = set(pairs[proposed, 0].tolist())
        left, right = self.row_vectors[pairs[:, 0]], self.item_vectors[pairs[:, 1]]
        closely = np.einsum("ij,ij->i", left, right).astype(np.float64)
        confirmed = proposed & MINILM.copies.holds(closely, shared)
        return self._tiers(self.static_items, None, STATIC) | set(pairs[confirmed, 0].tolist())

    def _equal(self) -> Flags:
        items = {normalise(text) for text in self.items}
        return {i for i, text in enumerate(self.rows) if normalise(text) in items}

    def _words(self, width: int) -> Flags:
        rows, items = (shingles(t, width, "word") for t in (self.rows, self.items))
        return {row for row, _ in meetings(rows, items)}

    def _near(self) -> Flags:
        found = near_duplicates([*self.items, *self.rows])
        ends = found.first[found.pairs]
        flags = {int(b) - len(self.items) for a, b in ends if a < len(self.items) <= b}
        return flags | {int(a) - len(self.items) for a, b in ends if b < len(self.items) <= a}

    def _cosines(self, threshold: float) -> Flags:
        return set(closest(self.row_vectors, self.item_vectors, threshold)[0][:, 0].tolist())


def xstest(data: Path) -> list[dict[str, Any]]:
    """Return figures for prompts inside longer text, without embeddings."""
    with (data / "xstest" / "xstest_prompts.csv").open(newline="", encoding="utf-8") as source:
        prompts = [line["prompt"] for line in csv.DictReader(source)]
    hosts = [line["instruction"] for line in _lines(data / "self_instruct" / "seed_tasks.jsonl")]
    vocabulary = sorted({word for text in hosts for word in normalise(text).split()})
    found: list[dict[str, Any]] = []
    chance = random.Random("xstest")
    verbatim, edited, clean = [], [], []
    for prompt in prompts:
        before, after, other, last = chance.sample(hosts, 4)
        words = prompt.split()
        words[chance.randrange(len(words))] = chance.choice(vocabulary)
        verbatim.append(f"{before} {prompt} {after}")
        edited.append(f"{before} {' '.join(words)} {after}")
        clean.append(f"{other} {last}")
    rows = [*verbatim, *edited, *clean]
    n = len(prompts)

    def ours() -> Flags:
        nothing = np.zeros((n, 0), np.float32)
        items = make_sketch(
            [Query(id=f"i{i}", query=t) for i, t in enumerate(prompts)], nothing, "s"
        )
        given = [Query(id=f"r{i}", query=text) for i, text in enumerate(rows)]
        return {match.row for match in matches(given, items, "s", None)
                if match.row >= 2 * n or match.item == match.row % n}  # fmt: skip

    def run(width: int) -> Flags:
        texts = shingles(rows, width, "word")
        return {row for row, _ in meetings(texts, shingles(prompts, width, "word"))}

    methods = {"selaras, without embeddings": ours, "13 words in a row": lambda: run(13),
               "5 words in a row": lambda: run(5)}  # fmt: skip
    for name, method in methods.items():
        cost, flags = timed(method)
        for what, start in (("verbatim", 0), ("one word changed", n)):
            for half in HALVES:
                mine = [i for i in range(n) if _half(i) == half]
                told = rates(flags, [start + i for i in mine], [2 * n + i for i in mine])
                found.append({"corpus": f"xstest, {what}", "name": name, "half": half,
                              "ours": name.startswith("selaras"), **told, **cost})  # fmt: skip
    return found


def rates(flags: Flags, copies: Sequence[int], clean: Sequence[int]) -> dict[str, Any]:
    """Return recall among copies and the share of clean rows flagged, each with its interval."""
    hit, wrong = sum(i in flags for i in copies), sum(i in flags for i in clean)
    recall, alarms = wilson(hit, len(copies)), wilson(wrong, len(clean))
    return {
        "n": len(copies), "recall": round(recall.value, 4),
        "recall_interval": [round(recall.low, 4), round(recall.high, 4)],
        "clean": len(clean), "false_positive_rate": round(alarms.value, 4),
        "false_positive_interval": [round(alarms.low, 4), round(alarms.high, 4)],
    }  # fmt: skip


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    lines = [f"{'corpus':<27}{'method':<29}{'half':<6}{'n':>5}  {'recall':<22}"
             f"{'clean':>6}  {'false positives':<22}{'CPU s':>7}"]  # fmt: skip
    for row in result["rows"]:
        low, high = row["recall_interval"]
        least, most = row["false_positive_interval"]
        lines.append(
            f"{row['corpus']:<27}{row['name']:<29}{row['half']:<6}{row['n']:>5}  "
            f"{row['recall']:.3f} [{low:.3f}, {high:.3f}]  {row['clean']:>5}  "
            f"{row['false_positive_rate']:.4f} [{least:.4f}, {most:.4f}]{row['cpu_seconds']:>6.1f}"
        )
    for row in result.get("grid", ()):
        lines.append(f"fit: cosine >= {row['cosine']}, numbers >= {row['numbers']}: "
                     f"{row['recall']:.4f} {row['false_positive_rate']:.4f}")  # fmt: skip
    return "\n".join(lines)


def _half(number: int) -> str:
    return HALVES[seed_from("contamination", number) % 2]


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
