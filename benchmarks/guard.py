"""Which guard tells unsafe text from safe, at what false alarms, and how long does it take?

    python benchmarks/guard.py [--data ../shared/data] [--peers DIR] [--quick] [--json] [--out FILE]

Ours: the classifier of `selaras guard fit` (standardised, ridge by cross-validation, calibrated)
over static embeddings, over MiniLM and over both side by side; and the rules' cost. Beside it what
a user would install offline: alt-profanity-check (trained by its author on other data, in an
environment of its own) and TF-IDF of word 1-2-grams with scikit-learn's logistic regression.

    openai_moderation  any of its eight categories is 1, against all others; five folds
    surge_toxicity     is_toxic; five folds
    diasafety          context and response; trained on the train part, tested on val
    xstest             250 safe prompts: the share that the openai_moderation classifier blocks, at
                       the threshold that 5 % of its own safe texts reach out of fold

The folds are the same for every method, and every figure is of texts that the method did not see.
Latency is of single short texts (XSTest's prompts), after warming up; set OMP_NUM_THREADS=1 for
that of one core. Figures of five
folds rank texts scored by five classifiers together, as is usual. Left out: policy judges on a
model (slow, and of the model more than of the guard), and Llama Guard and ShieldGemma, whose
weights come from a hub. No text is printed.
"""

import csv
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import (
    arguments,
    data_option,
    finish,
    lacking,
    peer,
    peers_option,
    pin,
    report,
    run_apart,
    timed,
    versions,
)

from selaras.safeguard import Guard
from selaras.safeguard.classifier import Head
from selaras.safeguard.learn import FOLDS, Labelled, learn
from selaras.safeguard.rules import PersonalRule, Rules, rule
from selaras.stats import bca
from selaras.stats.ranking import average_precision, folds_of, recall_at, threshold_at

FILES = (
    "openai_moderation/samples_half.jsonl", "surge_toxicity/toxicity_en.csv",
    "diasafety/train.json", "diasafety/val.json", "xstest/xstest_prompts.csv",
)  # fmt: skip
CATEGORIES = ("S", "H", "V", "HR", "SH", "S3", "H2", "V2")
PEER = """\
import json, sys, time
from profanity_check import predict_prob
texts = json.load(open(sys.argv[1]))
scores = predict_prob(texts).tolist()
predict_prob(["warm"])
times = []
for text in texts[:200]:
    begun = time.perf_counter()
    predict_prob([text])
    times.append(time.perf_counter() - begun)
print(json.dumps({"scores": scores, "p50_ms": 1000 * sorted(times)[len(times) // 2]}))
"""
Texts = list[str]
Scorer = Callable[[Sequence[str]], "np.typing.NDArray[Any]"]
# Train on texts with labels and return what scores others.
Method = Callable[[Texts, "np.typing.NDArray[np.bool_]"], Scorer]


class Encoders:
    """Vectors of texts, each text read once by each encoder."""

    def __init__(self) -> None:
        from selaras.models.local_embed import open_embedder
        from selaras.models.static_embed import open_static

        self.by_name = {"static": open_static(), "minilm": open_embedder()}
        self.known: dict[tuple[str, str], Any] = {}

    def read(self, name: str, texts: Sequence[str]) -> Any:
        if name == "both":
            return np.hstack([self.read(each, texts) for each in self.by_name])
        new = sorted({text for text in texts if (name, text) not in self.known})
        if new:
            vectors = self.by_name[name].embed(new)
            self.known |= {(name, text): v for text, v in zip(new, vectors, strict=True)}
        return np.stack([self.known[name, text] for text in texts])


def ours(encoders: Encoders, name: str) -> Method:
    """Return our classifier over an encoder."""

    def fit(texts: Texts, labels: "np.typing.NDArray[np.bool_]") -> Scorer:
        head = head_of(encoders, name, texts, labels)
        return lambda others: head.probabilities(encoders.read(name, others))

    return fit


def head_of(
    encoders: Encoders, name: str, texts: Texts, labels: "np.typing.NDArray[np.bool_]"
) -> Head:
    groups = tuple(str(i) for i in range(len(texts)))
    rows = Labelled(labels, (("unsafe",),) * len(texts), groups)
    return learn(encoders.read(name, texts), rows, 0.05, 0).head


def tf_idf(texts: Texts, labels: "np.typing.NDArray[np.bool_]") -> Scorer:
    """Return what most people write first."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    made = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        LogisticRegression(C=10, class_weight="balanced", max_iter=500),
    )
    made.fit(texts, labels)
    return lambda others: made.predict_proba(list(others))[:, 1]


def data_sets(folder: Path, quick: bool) -> dict[str, tuple[Texts, Any, Any]]:
    """Return texts, labels and which of them are the test part (None: five folds)."""
    found: dict[str, tuple[Texts, Any, Any]] = {}
    lines = (folder / FILES[0]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    bad = np.array([any(row.get(c) == 1 for c in CATEGORIES) for row in rows])
    found["openai_moderation"] = ([row["prompt"] for row in rows], bad, None)
    with (folder / FILES[1]).open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    bad = np.array([row["is_toxic"].strip().casefold() == "toxic" for row in rows])
    found["surge_toxicity"] = ([row["text"] for row in rows], bad, None)
    parts = [json.loads((folder / name).read_text(encoding="utf-8")) for name in FILES[2:4]]
    if quick:
        parts = [part[:600] for part in parts]
    rows = parts[0] + parts[1]
    texts = [f"{row['context']}\n{row['response']}" for row in rows]
    bad = np.array([row["label"] == "Unsafe" for row in rows])
    found["diasafety"] = (texts, bad, np.arange(len(rows)) >= len(parts[0]))
    return found


def safe_prompts(folder: Path) -> Texts:
    """Return XSTest's safe prompts."""
    with (folder / FILES[4]).open(encoding="utf-8", newline="") as source:
        return [row["prompt"] for row in csv.DictReader(source) if row["label"] == "safe"]


def unseen(method: Method, texts: Texts, labels: Any, test: Any) -> Any:
    """Return the scores of the texts that are tested, none by a classifier that saw it."""
    if test is not None:
        seen = [text for text, out in zip(texts, test, strict=True) if not out]
        scorer = method(seen, labels[~test])
        return scorer([text for text, out in zip(texts, test, strict=True) if out])
    fold = folds_of([str(i) for i in range(len(texts))], FOLDS, np.random.default_rng(7))
    scores = np.zeros(len(texts))
    for number in range(FOLDS):
        inside = fold != number
        scorer = method([t for t, i in zip(texts, inside, strict=True) if i], labels[inside])
        scores[~inside] = scorer([t for t, i in zip(texts, inside, strict=True) if not i])
    return scores


def figures(scores: Any, labels: Any) -> dict[str, Any]:
    """Return AU-PRC with its interval, and recall at 1 % and 5 % false positives."""

    def area(drawn: Any) -> float:
        return average_precision(scores[drawn], labels[drawn])

    interval = bca(len(scores), area, draws=200)
    return {
        "n": len(scores), "positives": int(labels.sum()), "auprc": round(interval.value, 3),
        "auprc_low": round(interval.low, 3), "auprc_high": round(interval.high, 3),
        "recall_at_1fpr": round(recall_at(scores, labels, 0.01), 3),
        "recall_at_5fpr": round(recall_at(scores, labels, 0.05), 3),
    }  # fmt: skip


def p50_ms(call: Callable[[str], Any], texts: Sequence[str]) -> float:
    """Return the median milliseconds of a call on one text."""
    for text in texts[:20]:
        call(text)
    times = []
    for text in texts:
        begun = time.perf_counter()
        call(text)
        times.append(time.perf_counter() - begun)
    return round(1000 * statistics.median(times), 4)


def measured(
    name: str, is_ours: bool, method: Method, sets: dict[str, tuple[Texts, Any, Any]], safe: Texts
) -> list[dict[str, Any]]:
    """Return a row a data set, and one of XSTest's false alarms with the latency."""
    rows = []
    for data, (texts, labels, test) in sets.items():
        cost, scores = timed(partial(unseen, method, texts, labels, test))
        own = labels if test is None else labels[test]
        rows.append({"name": name, "ours": is_ours, "data": data, **figures(scores, own), **cost})
        if data == "openai_moderation":
            threshold = threshold_at(scores[~own], 0.05)
    texts, labels, _ = sets["openai_moderation"]
    scorer = method(list(texts), labels)
    alarms = float((scorer(safe) >= threshold).mean())
    rows.append({"name": name, "ours": is_ours, "data": "xstest_safe", "n": len(safe),
                 "false_alarms": round(alarms, 3)})  # fmt: skip
    return rows


def profanity(
    sets: dict[str, tuple[Texts, Any, Any]], safe: Texts, peers: Path, scratch: Path
) -> list[dict[str, Any]]:
    """Return the rows of alt-profanity-check, or the reason why there are none."""
    try:
        python = peer("profanity", peers)
        texts = [*safe, *(text for texts, _, _ in sets.values() for text in texts)]
        file, script = scratch / "texts.json", scratch / "peer.py"
        file.write_text(json.dumps(texts), encoding="utf-8")
        script.write_text(PEER, encoding="utf-8")
        cost, said = run_apart([python, script, file])
    except RuntimeError as error:
        return [{"name": "alt-profanity-check", "ours": False, "error": str(error)}]
    found = json.loads(said)
    scores = dict(zip(texts, found["scores"], strict=True))
    rows: list[dict[str, Any]] = []
    for data, (own, labels, test) in sets.items():
        kept = np.ones(len(own), bool) if test is None else test
        values = np.array([scores[text] for text in own])
        rows.append({"name": "alt-profanity-check", "ours": False, "data": data,
                     **figures(values[kept], labels[kept]), **cost})  # fmt: skip
        if data == "openai_moderation":
            threshold = threshold_at(values[~labels], 0.05)
    alarms = float(np.mean([scores[text] >= threshold for text in safe]))
    rows.append({"name": "alt-profanity-check", "ours": False, "data": "xstest_safe",
                 "n": len(safe), "false_alarms": round(alarms, 3),
                 "p50_ms": round(found["p50_ms"], 4)})  # fmt: skip
    return rows


def rules_guard() -> Guard:
    """Return a guard of a hundred patterns and personal data, for its cost."""
    patterns = tuple(
        rule("p", rf"(?:how to|ways to|help me) .{{0,40}}\bforbidden{i}") for i in range(100)
    )
    return Guard("rules", (Rules(patterns, (PersonalRule("p", sides=("query", "response")),)),))


def shown(result: dict[str, Any]) -> str:
    """Return the table as lines."""
    columns = ("name", "data", "n", "auprc", "auprc_low", "auprc_high", "recall_at_1fpr",
               "recall_at_5fpr", "false_alarms", "p50_ms")  # fmt: skip
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in result["rows"]:
        cells = [str(row.get(column, row.get("error", "") if column == "data" else ""))
                 for column in columns]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run every method on every data set."""
    import tempfile

    import torch

    parser = arguments(__doc__, quick="600 rows of each part of DiaSafety")
    data_option(parser)
    peers_option(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if line := lacking(options.data, FILES):
        print(line, file=sys.stderr)
        return 0
    sets, safe = data_sets(options.data, options.quick), safe_prompts(options.data)
    encoders = Encoders()
    rows: list[dict[str, Any]] = []
    for name in ("static", "minilm", "both"):
        found = measured(f"selaras {name}", True, ours(encoders, name), sets, safe)
        texts, labels, _ = sets["openai_moderation"]
        head = head_of(encoders, name, list(texts), labels)
        used = list(encoders.by_name) if name == "both" else [name]

        def check(text: str, head: Head = head, used: Sequence[str] = used) -> Any:
            vectors = [encoders.by_name[each].embed([text]) for each in used]
            return head.probabilities(np.hstack(vectors))

        found[-1]["p50_ms"] = p50_ms(check, safe)
        rows += found
    rows.append({"name": "selaras rules (100 patterns, personal data)", "ours": True,
                 "data": "xstest_safe", "n": len(safe),
                 "p50_ms": p50_ms(rules_guard().check_query, safe)})  # fmt: skip
    found = measured("tf-idf + lr", False, tf_idf, sets, safe)
    texts, labels, _ = sets["openai_moderation"]
    scorer = tf_idf(list(texts), labels)
    found[-1]["p50_ms"] = p50_ms(lambda text: scorer([text]), safe)
    rows += found
    with tempfile.TemporaryDirectory() as scratch:
        rows += profanity(sets, safe, options.peers, Path(scratch))
    used = {**versions("scikit-learn", "torch", "numpy"), "alt-profanity-check": pin("profanity")}
    return finish(options, report(rows, used), shown)


if __name__ == "__main__":
    raise SystemExit(main())
