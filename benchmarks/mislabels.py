"""How many flipped labels of real data does the mislabel audit find, and at what price?

    python benchmarks/mislabels.py [--data ../shared/data] [--quick] [--corpus NAME] [--json]
        [--out FILE]

Four sets with two labels: XSTest's prompts (safe ones that sound unsafe against unsafe ones: as
hard as it gets), Surge's toxic comments, DiaSafety's responses with their contexts, and adversarial
prompts (AART) against benign ones (Self-Instruct), which is what tuning data looks like. Of each,
10 % of the labels are flipped, by three seeds; a method gets the texts and the labels and returns
a queue. Recall is of flipped labels in the queue, precision of the queue; `recall_at_flips` is the
recall in the first n of the queue where n labels were flipped, so that queues of different length
compare. Right labels that the sets hold as wrong ones count against precision.

Methods: ours (errors to review; with doubts), cleanlab's default filter on the same embeddings,
cleanlab on TF-IDF, and the nearest neighbours' vote. All use MiniLM where they embed; embedding
is timed once a set (`embed_seconds`) and not counted as a method's. No text of a row is printed.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, data_option, finish, mean_figures, report, timed, versions
from numpy.typing import NDArray

from selaras.data.embeddings import open_encoder
from selaras.data.mislabels import suspect_labels

SEEDS = (0, 1, 2)
SHARE = 0.1
MOST = 900
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
Queue = list[int]


def main() -> int:
    """Run the comparison and print it."""
    parser = arguments(__doc__, quick="XSTest alone, one seed")
    data_option(parser)
    parser.add_argument("--corpus", help="one set alone, by the start of its name")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.stderr.write(f"{options.data}: no such folder; the data sets are not in the project\n")
        return 2
    return finish(options, measured(options.data, options.quick, options.corpus or ""), shown)


def measured(folder: Path, quick: bool, corpus: str = "") -> dict[str, Any]:
    """Return the figures of every method on every set whose name starts with `corpus`."""
    rows = []
    encoder = open_encoder()
    for name, texts, labels in corpora(folder, quick):
        if not name.casefold().startswith(corpus.casefold()):
            continue
        embedding, vectors = timed(lambda: encoder.embed(texts))  # noqa: B023
        for method, find in methods(texts).items():
            found = [_one(find, vectors, labels, seed) for seed in SEEDS[: 1 if quick else None]]
            rows.append({"name": method, "ours": method.startswith("ours"), "corpus": name,
                         "n": len(texts), "embed_seconds": embedding["cpu_seconds"],
                         **mean_figures(found)})  # fmt: skip
    return report(rows, versions("cleanlab", "scikit-learn", "numpy", "torch"))


def methods(texts: Sequence[str]) -> dict[str, Callable[[Vectors, Labels], Queue]]:
    """Return the methods: (vectors, labels) to a queue of places."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts)

    def names(labels: Labels) -> list[str]:
        return [str(label) for label in labels]

    def errors(vectors: Vectors, labels: Labels) -> Queue:
        return list(suspect_labels(vectors, names(labels)).errors)

    def both(vectors: Vectors, labels: Labels) -> Queue:
        found = suspect_labels(vectors, names(labels))
        return [*found.errors, *found.doubts]

    return {
        "ours, to review": errors,
        "ours, with doubts": both,
        "cleanlab's default": _cleanlab,
        "cleanlab on TF-IDF": lambda _, labels: _cleanlab(words, labels),
        "10 nearest neighbours": _neighbours,
    }


def corpora(folder: Path, quick: bool) -> Iterator[tuple[str, list[str], Labels]]:
    """Yield (name, texts, labels of 0 and 1); the larger sets are sampled."""
    prompts = _csv(folder / "xstest" / "xstest_prompts.csv")
    yield _corpus("XSTest prompts", [(r["prompt"], r["label"] == "unsafe") for r in prompts])
    if quick:
        return
    comments = _csv(folder / "surge_toxicity" / "toxicity_en.csv")
    toxic = [(r["text"], r["is_toxic"].strip().casefold() == "toxic") for r in comments]
    yield _corpus("Surge comments", toxic)
    dialogues = json.loads((folder / "diasafety" / "val.json").read_text(encoding="utf-8"))
    yield _corpus("DiaSafety responses", [
        (f"{r['context']}\n{r['response']}", r["label"].casefold() == "unsafe") for r in dialogues
    ])  # fmt: skip
    adversarial = [r["prompt"] for r in _csv(next((folder / "aart").glob("*.csv")))]
    benign = [
        json.loads(line)["instruction"]
        for path in sorted((folder / "self_instruct").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    mixed = [(text, True) for text in adversarial] + [(text, False) for text in benign]
    yield _corpus("AART / Self-Instruct", mixed)


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    head = f"{'corpus':<23}{'method':<24}{'n':>5}{'queue':>7}{'recall':>8}{'precision':>11}"
    lines = [head + f"{'recall at n flips':>19}{'CPU s':>7}"]
    for row in result["rows"]:
        lines.append(
            f"{row['corpus']:<23}{row['name']:<24}{row['n']:>5}{row['queue']:>7.0f}"
            f"{row['recall']:>8.2f}{row['precision']:>11.2f}{row['recall_at_flips']:>19.2f}"
            f"{row['cpu_seconds']:>7.1f}"
        )
    return "\n".join(lines)


def _one(
    find: Callable[[Vectors, Labels], Queue], vectors: Vectors, labels: Labels, seed: int
) -> dict[str, float]:
    flipped = np.random.default_rng(seed).choice(len(labels), int(SHARE * len(labels)), False)
    given = labels.copy()
    given[flipped] ^= 1
    spent, queue = timed(lambda: find(vectors, given))
    wrong = set(flipped.tolist())
    hits = len(wrong & set(queue))
    return {
        "queue": len(queue), "recall": hits / len(wrong), "precision": hits / max(1, len(queue)),
        "recall_at_flips": len(wrong & set(queue[: len(wrong)])) / len(wrong), **spent,
    }  # fmt: skip


def _cleanlab(features: Any, labels: Labels) -> Queue:
    from cleanlab.filter import find_label_issues
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=1000)
    wide = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    found = find_label_issues(labels, wide, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [int(place) for place in found]


def _neighbours(vectors: Vectors, labels: Labels) -> Queue:
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    nearest = np.argpartition(-alike, 10, axis=1)[:, :10]
    agree = (labels[nearest] == labels[:, None]).mean(axis=1)
    return [int(place) for place in np.argsort(agree, kind="stable") if agree[place] < 0.5]


def _corpus(name: str, rows: Sequence[tuple[str, bool]]) -> tuple[str, list[str], Labels]:
    """Return at most 900 rows of each label, by one seed."""
    generator = np.random.default_rng(0)
    chosen: list[int] = []
    for label in (False, True):
        own = [place for place, row in enumerate(rows) if row[1] == label and row[0].strip()]
        chosen += [own[int(i)] for i in generator.permutation(len(own))[: MOST // 2]]
    chosen.sort()
    return name, [rows[i][0] for i in chosen], np.array([int(rows[i][1]) for i in chosen])


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


if __name__ == "__main__":
    sys.exit(main())
