"""The methods that `guard.py` compares, each trained on texts with labels to score others."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from guard_data import Labelled, Texts
from measure import peer, run_apart

from selaras.core.late import resolve
from selaras.core.records import Message
from selaras.models.protocol import Embedder
from selaras.policy import builtin_policies
from selaras.safeguard import Guard
from selaras.safeguard.classifier import Classifier, Head
from selaras.safeguard.features import ENCODERS, Embedded
from selaras.safeguard.learn import FOLDS, learn
from selaras.safeguard.learn import Labelled as Rows
from selaras.safeguard.outcome import Material, Side
from selaras.safeguard.rules import PersonalRule, Rules, rule
from selaras.stats.ranking import folds_of

Scorer = Callable[[Sequence[str]], Any]
Method = Callable[[Texts, Any], Scorer]
# What a judge is asked of each data set: the policies that its unsafe rows break.
JUDGED = {
    "openai_moderation": ("sexual-content", "hate", "harassment", "dangerous-content", "self-harm"),
    "surge_toxicity": ("hate", "harassment"),
    "diasafety": ("harassment", "hate", "high-stakes-advice"),
    "xstest_safe": ("sexual-content", "hate", "harassment", "dangerous-content", "self-harm"),
}
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


class Remembered:
    """An encoder that reads each text once."""

    def __init__(self, encoder: Embedder) -> None:
        self.encoder, self.identity = encoder, encoder.identity
        self.known: dict[str, Any] = {}

    def embed(self, texts: Sequence[str]) -> Any:
        """Return one vector a text."""
        if new := sorted(set(texts) - set(self.known)):
            self.known |= dict(zip(new, self.encoder.embed(new), strict=True))
        return np.stack([self.known[text] for text in texts])


class Encoders:
    """The features of each tier; `plain` ones forget, for latency."""

    def __init__(self) -> None:
        self.opened: dict[str, tuple[Embedded, Embedded]] = {}

    def features(self, tier: str, plain: bool = False) -> Embedded:
        """Return a tier's features."""
        if tier not in self.opened:
            encoder = resolve(ENCODERS[tier])()
            self.opened[tier] = (
                Embedded(tier, encoder=Remembered(encoder)), Embedded(tier, encoder=encoder),
            )  # fmt: skip
        return self.opened[tier][plain]


def method_of(name: str, encoders: Encoders, side: Side) -> Method:
    """Return a method by its name; its texts are the response alone where `side` says so."""
    if not name.startswith("selaras"):
        return tf_idf
    tier = name.removeprefix("selaras ")

    def fit(texts: Texts, labels: Any) -> Scorer:
        head = head_of(encoders, tier, side, texts, labels)
        features = encoders.features(tier)

        def score(others: Sequence[str]) -> Any:
            read = features.read(materials_of(others, side), side)
            starts = np.flatnonzero(np.diff(read.owners, prepend=-1))
            return np.maximum.reduceat(head.probabilities(read.vectors), starts)

        return score

    return fit


def materials_of(texts: Sequence[str], side: Side) -> list[Material]:
    """Return texts as materials; a response stands behind its context and a form feed."""
    if side == "query":
        return [Material("query", text, (Message(role="user", content=text),)) for text in texts]
    pairs = [text.split("\f", 1) for text in texts]
    return [Material("response", said, (Message(role="user", content=asked),))
            for asked, said in pairs]  # fmt: skip


def head_of(encoders: Encoders, tier: str, side: Side, texts: Texts, labels: Any) -> Head:
    """Return our classifier, fitted as `selaras guard fit` does at 5 % false alarms."""
    groups = tuple(str(i) for i in range(len(texts)))
    rows = Rows(labels, (("unsafe",),) * len(texts), groups)
    return learn(encoders.features(tier).read(materials_of(texts, side), side), rows, 0.05, 0).head


def tf_idf(texts: Texts, labels: Any) -> Scorer:
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


def unseen(method: Method, own: Labelled) -> Any:
    """Return the scores of the texts that are tested, none by a classifier that saw it."""
    texts = own.texts if own.asked is None else [
        f"{asked}\f{said}" for asked, said in zip(own.asked, own.texts, strict=True)
    ]  # fmt: skip
    if own.test is not None:
        seen = [text for text, out in zip(texts, own.test, strict=True) if not out]
        scorer = method(seen, own.labels[~own.test])
        return scorer([text for text, out in zip(texts, own.test, strict=True) if out])
    fold = folds_of([str(i) for i in range(len(texts))], FOLDS, np.random.default_rng(7))
    scores = np.zeros(len(texts))
    for number in range(FOLDS):
        inside = fold != number
        scorer = method([t for t, i in zip(texts, inside, strict=True) if i], own.labels[inside])
        scores[~inside] = scorer([t for t, i in zip(texts, inside, strict=True) if not i])
    return scores


def single_check(name: str, encoders: Encoders, own: Labelled) -> Callable[[str], Any]:
    """Return what one check of a text is, for its latency: the whole guard where it is ours."""
    if not name.startswith("selaras"):
        scorer = tf_idf(own.texts, own.labels)
        return lambda text: scorer([text])
    tier = name.removeprefix("selaras ")
    head = head_of(encoders, tier, "query", own.texts, own.labels)
    stage = Classifier(encoders.features(tier, plain=True), {"query": head}, "")
    return Guard("bench", (stage,)).check_query


def rules_guard() -> Guard:
    """Return a guard of a hundred patterns and personal data, for its cost."""
    patterns = tuple(
        rule("p", rf"(?:how to|ways to|help me) .{{0,40}}\bforbidden{i}") for i in range(100)
    )
    return Guard("rules", (Rules(patterns, (PersonalRule("p", sides=("query", "response")),)),))


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


def profanity(sets: Any, safe: Texts, peers: Path, once: Any) -> dict[str, Any]:
    """Return the scores of alt-profanity-check; raises RuntimeError where it cannot be run."""
    texts = [*safe, *(text for own in sets.values() for text in own.joined)]

    def made() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as scratch:
            file, script = Path(scratch) / "texts.json", Path(scratch) / "peer.py"
            file.write_text(json.dumps(texts), encoding="utf-8")
            script.write_text(PEER, encoding="utf-8")
            cost, said = run_apart([peer("profanity", peers), script, file])
        return {**json.loads(said), **{name: round(value, 3) for name, value in cost.items()}}

    every = once("alt-profanity-check: all", made)
    cost = {name: every[name] for name in ("wall_seconds", "cpu_seconds", "peak_mb")}
    scores = dict(zip(texts, every["scores"], strict=True))
    found: dict[str, Any] = {}
    for data, own in sets.items():
        kept = np.ones(len(own.texts), bool) if own.test is None else own.test
        values = np.array([scores[text] for text in own.joined])[kept]
        found[data] = {"scores": values.tolist(), **cost}
    found["xstest_safe"] = {"scores": [scores[text] for text in safe],
                            "p50_ms": round(every["p50_ms"], 4)}  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """The rows that a judge is asked about, with their labels (None: all safe)."""

    materials: list[Material]
    labels: Any

    @classmethod
    def drawn(cls, own: Labelled | None, safe: Texts, most: int) -> "Judged":
        """Return rows drawn at random, the same for every judge."""
        rng = np.random.default_rng(11)
        every = materials_of(safe, "query") if own is None else own.materials()
        which = np.arange(len(every))
        if own is not None and own.test is not None:
            which = which[own.test]
        chosen = np.sort(rng.permutation(which)[:most])
        return cls([every[i] for i in chosen], None if own is None else own.labels[chosen])


def judge_scores(model: str, data: str, rows: Judged, once: Any) -> tuple[Any, Any]:
    """Return the strongest P(Yes) of each row over the policies (NaN: no answer), and seconds."""
    from selaras.models.names import Place, open_model
    from selaras.safeguard.policy_stage import PolicyStage

    policies = {name: builtin_policies()[name] for name in JUDGED[data]}
    opened = open_model(model, Place(Path.cwd(), Path("runs"), Path(tempfile.gettempdir())))
    stage = PolicyStage(lambda: opened, opened.identity, policies, only_unsure=False)
    guard = Guard("judge", (stage,), policies)
    scores, seconds = [], []
    for number, material in enumerate(rows.materials):

        def asked(material: Material = material) -> dict[str, Any]:
            [outcome] = guard.check([material])
            values = [score.value for score in outcome.scores]
            return {"score": max(values) if values else None, "seconds": outcome.seconds}

        found = once(f"judge {model}: {data}: {len(rows.materials)}: {number}", asked)
        scores.append(float("nan") if found["score"] is None else found["score"])
        seconds.append(found["seconds"])
    return np.array(scores), np.array(seconds)
