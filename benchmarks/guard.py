"""Which guard tells unsafe text from safe, at what false alarms, and how long does it take?

    python benchmarks/guard.py [--data ../shared/data] [--peers DIR] [--quick] [--json] [--out FILE]
        [--judge openai:NAME@URL --judge-rows 100]

Ours: the classifier of `selaras guard fit` (standardised, ridge by cross-validation, calibrated)
over static embeddings and over MiniLM, as a guard reads texts; and the rules' cost. Beside it what
a user would install offline: alt-profanity-check (trained by its author on other data, in an
environment of its own) and TF-IDF of word 1-2-grams with scikit-learn's logistic regression.

    openai_moderation  any of its eight categories is 1, against all others; five folds
    surge_toxicity     is_toxic; five folds
    diasafety          the response to its context; trained on the train part, tested on val
    xstest             250 safe prompts: the share that the openai_moderation classifier blocks, at
                       the threshold that 5 % of its own safe texts reach out of fold

The folds are the same for every method, and every figure is of texts that the method did not see.
Figures of five folds rank texts scored by five classifiers together, as is usual. Intervals are
bootstrap ones over texts; `gain` is the difference in AU-PRC from TF-IDF on the same texts, paired.
Latency is of single short texts (XSTest's prompts) through the whole guard, after warming up; set
OMP_NUM_THREADS=1 for that of one core. `--judge` adds a policy judge on a model that you serve: no
training, one call a policy, on rows drawn at random (their n is in the table; its own threshold, so
XSTest's false alarms are at P(Yes) = .5). With --out, finished work is kept in FILE.work.jsonl and
not done again: remove that file when the code under test changed. Left out: Llama Guard and
ShieldGemma themselves, whose weights come from a hub. No text is printed.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from guard_data import FILES, Texts, data_sets, safe_prompts
from guard_methods import (
    Encoders,
    Judged,
    judge_scores,
    method_of,
    p50_ms,
    profanity,
    rules_guard,
    single_check,
    unseen,
)
from measure import (
    arguments,
    data_option,
    finish,
    lacking,
    peers_option,
    pin,
    report,
    timed,
    versions,
)

from selaras.core.journal import Journal
from selaras.stats import bca, wilson
from selaras.stats.ranking import average_precision, recall_at, threshold_at

OURS = ("selaras static", "selaras minilm")
TFIDF, PROFANITY, RULES = "tf-idf + lr", "alt-profanity-check", "selaras rules (100 patterns)"
DRAWS = 200


class Work:
    """Finished pieces of work, kept beside the result where there is one."""

    def __init__(self, out: Path | None) -> None:
        self.journal = Journal(out.with_suffix(".work.jsonl")) if out else None

    def once(self, key: str, make: Any) -> dict[str, Any]:
        """Return what was made under the key, or make it now and keep it."""
        known = None if self.journal is None else self.journal.get(key)
        if known is None:
            known = make()
            # An empty journal is false.
            if self.journal is not None:
                self.journal.add(key, known)
            print(f"done: {key}", file=sys.stderr)
        return dict(known)


def figures(scores: Any, labels: Any, beside: Any = None) -> dict[str, Any]:
    """Return AU-PRC and recall at 1 % and 5 % false positives, with intervals, and the gain."""

    def of(measure: Any) -> list[float]:
        found = bca(len(scores), lambda drawn: measure(scores[drawn], labels[drawn]), draws=DRAWS)
        return [round(each, 3) for each in (found.value, found.low, found.high)]

    def recall(budget: float) -> Any:
        return lambda s, y: recall_at(s, y, budget)

    found = {"n": len(scores), "positives": int(labels.sum())}
    for name, measure in (("auprc", average_precision), ("recall_at_1fpr", recall(0.01)),
                          ("recall_at_5fpr", recall(0.05))):  # fmt: skip
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), of(measure), strict=True))
    if beside is not None:

        def gain(drawn: Any) -> float:
            both = (average_precision(each[drawn], labels[drawn]) for each in (scores, beside))
            return next(both) - next(both)

        own = bca(len(scores), gain, draws=DRAWS)
        found["gain"] = [round(each, 3) for each in (own.value, own.low, own.high)]
    return found


def alarms(hits: Sequence[bool]) -> dict[str, Any]:
    """Return the share of safe prompts that are blocked."""
    rate = wilson(sum(hits), len(hits))
    return {"n": len(hits), "false_alarms": round(rate.value, 3),
            "low": round(rate.low, 3), "high": round(rate.high, 3)}  # fmt: skip


def trained(name: str, sets: Any, safe: Texts, encoders: Encoders, work: Work) -> dict[str, Any]:
    """Return the scores of a method that is trained on each data set, by data set, and costs."""
    found: dict[str, Any] = {}
    for data, own in sets.items():
        method = partial(method_of, name, encoders, own.side)

        def scored(method: Any = method, own: Any = own) -> dict[str, Any]:
            cost, scores = timed(partial(unseen, method(), own))
            return {"scores": scores.tolist(), **cost}

        found[data] = work.once(f"{name}: {data}", scored)

    def checked() -> dict[str, Any]:
        own = sets["openai_moderation"]
        check = single_check(name, encoders, own)
        return {"scores": method_of(name, encoders, "query")(own.texts, own.labels)(safe).tolist(),
                "p50_ms": p50_ms(check, safe)}  # fmt: skip

    found["xstest_safe"] = work.once(f"{name}: xstest_safe", checked)
    return found


def rows_of(name: str, sets: Any, found: dict[str, Any], beside: dict[str, Any]) -> list[Any]:
    """Return a row a data set of a method's scores, and one of XSTest's false alarms."""
    rows, is_ours = [], name.startswith("selaras")
    for data, own in sets.items():
        kept = {key: value for key, value in found[data].items() if key not in ("scores", "key")}
        scores = np.array(found[data]["scores"])
        other = None if name == TFIDF else np.array(beside[data]["scores"])
        rows.append({"name": name, "ours": is_ours, "data": data,
                     **figures(scores, own.tested_labels, other), **kept})  # fmt: skip
    scores = np.array(found["openai_moderation"]["scores"])
    threshold = threshold_at(scores[~sets["openai_moderation"].tested_labels], 0.05)
    safe = found["xstest_safe"]
    hits = [score >= threshold for score in safe["scores"]]
    rows.append({"name": name, "ours": is_ours, "data": "xstest_safe", **alarms(hits),
                 "p50_ms": safe["p50_ms"]})  # fmt: skip
    return rows


def judged(name: str, rows: int, sets: Any, safe: Texts, work: Work) -> list[dict[str, Any]]:
    """Return a row a data set of a policy judge on some rows, and one of false alarms."""
    found = []
    for data in (*sets, "xstest_safe"):
        own = Judged.drawn(sets.get(data), safe, rows)
        scores, seconds = judge_scores(name, data, own, work.once)
        known = ~np.isnan(scores)
        row: dict[str, Any] = {
            "name": f"policy judge on {name.partition(':')[2].partition('@')[0]}",
            "ours": True, "data": data, "errors": int((~known).sum()),
            "p50_ms": round(1000 * float(np.median(seconds)), 1),
        }  # fmt: skip
        if own.labels is None:
            row |= alarms([bool(score >= 0.5) for score in scores[known]])
        elif own.labels[known].any():
            row |= figures(scores[known], own.labels[known])
        found.append(row)
    return found


def shown(result: dict[str, Any]) -> str:
    """Return the table as lines."""
    heads = " ".join(f"{head:20}" for head in ("AU-PRC", "recall at 1 %", "recall at 5 %"))
    lines = [f"{'method':29} {'data':18} {'n (unsafe)':12} {heads} {'gain on TF-IDF':24} p50 ms"]
    for row in result["rows"]:
        if "error" in row:
            lines.append(f"{row['name']:29} {row['error']}")
            continue
        n = f"{row.get('n', '')} ({row['positives']})" if "positives" in row else row.get("n", "")
        cells = [
            f"{row[k]:.3f} [{row[f'{k}_low']:.2f}, {row[f'{k}_high']:.2f}]" if k in row else ""
            for k in ("auprc", "recall_at_1fpr", "recall_at_5fpr")
        ]
        if "false_alarms" in row:
            cells[0] = f"blocked {row['false_alarms']:.3f} [{row['low']:.2f}, {row['high']:.2f}]"
        gain = "{:+.3f} [{:+.2f}, {:+.2f}]".format(*row["gain"]) if "gain" in row else ""
        cells = [f"{cell:20}" for cell in cells]
        last = f"{row['p50_ms']:g}" if "p50_ms" in row else ""
        errors = f" ({row['errors']} without an answer)" if row.get("errors") else ""
        lines.append(f"{row['name']:29} {row['data']:18} {n!s:12} {' '.join(cells)} {gain:24} "
                     f"{last}{errors}".rstrip())  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """Run every method on every data set."""
    import torch

    parser = arguments(__doc__, quick="600 rows of each part of DiaSafety")
    data_option(parser)
    peers_option(parser)
    parser.add_argument("--judge", help="a model that judges by policy: openai:NAME@URL")
    parser.add_argument("--judge-rows", type=int, default=100, help="rows a data set for it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if line := lacking(options.data, FILES):
        print(line, file=sys.stderr)
        return 0
    sets, safe = data_sets(options.data, options.quick), safe_prompts(options.data)
    work, encoders = Work(options.out), Encoders()
    beside = trained(TFIDF, sets, safe, encoders, work)
    rows: list[dict[str, Any]] = []
    for name in OURS:
        rows += rows_of(name, sets, trained(name, sets, safe, encoders, work), beside)
    cost = work.once(RULES, lambda: {"p50_ms": p50_ms(rules_guard().check_query, safe)})
    rows.append({"name": RULES, "ours": True, "data": "xstest_safe", "n": len(safe),
                 "p50_ms": cost["p50_ms"]})  # fmt: skip
    rows += rows_of(TFIDF, sets, beside, beside)
    try:
        found = profanity(sets, safe, options.peers, work.once)
        rows += rows_of(PROFANITY, sets, found, beside)
    except RuntimeError as error:
        rows.append({"name": PROFANITY, "ours": False, "error": str(error)})
    if options.judge:
        rows += judged(options.judge, options.judge_rows, sets, safe, work)
    used = {**versions("scikit-learn", "torch", "numpy"), PROFANITY: pin("profanity")}
    return finish(options, report(rows, used), shown)


if __name__ == "__main__":
    raise SystemExit(main())
