"""Does our agreement find what is known of four public sets with several raters a row?

    python benchmarks/rating_agreement.py [--data FOLDER] [--quick] [--json] [--out FILE]

PandaLM (999 pairs, three raters: 879 unanimous, kappa of the first two .852), HateCheck (3,901
cases, five of ten raters each), NLP Fairness for India (religion and region, raters by gender and
zone) and XSTest (450 completions of each of three models, two raters: kappa .93, .93, .89). Each
set goes the whole way: into a batch with its votes, and `selaras rate agreement` measures it. Alpha
stands beside that of the package `krippendorff`, the consensus beside the set's own label where it
has one. The data is read from a folder outside the repository and never committed.
"""

import argparse
import csv
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
from sqlalchemy import Connection

from selaras.policy import builtin_policies
from selaras.rating.agreement import Agreement, agreement
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import NewItem, create_batch, items_of
from selaras.rating.guides import refresh
from selaras.rating.imports import import_votes
from selaras.rating.people import invite, set_background
from selaras.rating.results import current_votes
from selaras.rating.store import open_store
from selaras.rating.tasks import CANNOT_JUDGE, TASKS, Content
from selaras.stats import cohen_kappa

Votes = dict[str, list[dict[str, Any]]]
# Stereotypical is what the policy on hate is about; "not sure" is no answer.
_INDIA = {"Stereotypical": "unsafe", "Non_Stereotypical": "safe"}
_HATE = {"hateful": "unsafe", "non-hateful": "safe"}
_XSTEST = {"1_full_compliance": "none", "2_full_refusal": "full", "3_partial_refusal": "partial"}


def main() -> int:
    """Measure the sets and print the table, or JSON."""
    options = _options()
    rows = [_measured(name, *made) for name, made in _sets(options.data, options.quick)]
    package = importlib.metadata.version("krippendorff")
    value = {"machine": f"{platform.platform()}, {os.cpu_count()} cores",
             "versions": {"krippendorff": package}, "rows": rows}  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(value, indent=2) + "\n")
    print(json.dumps(value, indent=2) if options.json else _table(rows))
    return 0


def pandalm(folder: Path) -> tuple[str, Votes, dict[str, str], dict[str, dict[str, str]]]:
    """Return the task, votes, labels and raters' backgrounds of PandaLM."""
    names = {0: "tie", 1: "a", 2: "b"}
    votes: Votes = {}
    for row in json.loads((folder / "pandalm" / "testset-v1.json").read_text()):
        votes[f"p{row['idx']}"] = [
            {"rater": f"annotator{n}", "value": names[int(row[f"annotator{n}"])]} for n in (1, 2, 3)
        ]
    return "preference", votes, {}, {}


def hatecheck(folder: Path) -> tuple[str, Votes, dict[str, str], dict[str, dict[str, str]]]:
    """Return the task, votes and gold labels of HateCheck."""
    votes: Votes = {}
    known: dict[str, str] = {}
    for row in _csv(folder / "hatecheck" / "all_annotations.csv"):
        key = f"h{row['case_id']}"
        votes[key] = [
            {"rater": f"r{n}", "value": _HATE[row[f"label_{n}"]]}
            for n in range(1, 11) if row[f"label_{n}"] in _HATE
        ]  # fmt: skip
        known[key] = _HATE[row["label_gold"]]
    return "harm", votes, known, {}


def india(folder: Path, name: str) -> tuple[str, Votes, dict[str, str], dict[str, dict[str, str]]]:
    """Return the task, votes and raters' gender and zone of one half of NLP Fairness for India."""
    votes: Votes = {}
    people: dict[str, dict[str, str]] = {}
    path = folder / "nlp_fairness_india" / f"{name}_individual_annotation.tsv"
    for row in _csv(path, "\t"):
        rater = f"r{row['anonymized annotator id']}"
        people[rater] = {"gender": row["annotator gender (self-identified)"],
                         "zone": row["geographic zone"]}  # fmt: skip
        value = _INDIA.get(row["annotation"], CANNOT_JUDGE)
        key = f"{row['identity term']}/{row['attribute token']}"
        votes.setdefault(key, []).append({"rater": rater, "value": value})
    return "harm", votes, {}, people


def xstest(
    folder: Path, model: str
) -> tuple[str, Votes, dict[str, str], dict[str, dict[str, str]]]:
    """Return the task, votes and final labels of XSTest's completions of one model."""
    votes: Votes = {}
    known: dict[str, str] = {}
    for row in _csv(folder / "xstest" / f"completions_{model}.csv"):
        votes[row["id"]] = [
            {"rater": f"r{n}", "value": _XSTEST[row[f"annotation_{n}"]]} for n in (1, 2)
        ]
        known[row["id"]] = _XSTEST[row["final_label"]]
    return "refusal", votes, known, {}


def _sets(folder: Path, quick: bool) -> Iterator[tuple[str, Any]]:
    yield "pandalm", pandalm(folder)
    for model in ("llama2orig", "llama2new", "mistralguard"):
        yield f"xstest {model}", xstest(folder, model)
    if not quick:
        yield "hatecheck", hatecheck(folder)
        yield "india, region", india(folder, "region")
        yield "india, religion", india(folder, "religion")


def _measured(
    name: str, task: str, votes: Votes, known: dict[str, str], people: dict[str, dict[str, str]]
) -> dict[str, Any]:
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/store.db")
        spec = BatchSpec(id="b", title=name, task=task, overlap=3, repeats=0, gold=0)
        with store.writing() as connection:
            create_batch(connection, spec, [_item(key, task) for key in votes])
            refresh(connection, builtin_policies())
            stored = import_votes(connection, spec, votes)
            for rater, background in people.items():
                number = invite(connection, spec, rater).rater
                for field, value in background.items():
                    set_background(connection, number, field, value)
        with store.reading() as connection:
            found = agreement(connection, "b")
            row = _row(name, task, votes, known, found, connection)
        store.close()
    return {**row, "votes": stored, "wall_seconds": round(time.perf_counter() - begun, 2)}


def _row(
    name: str, task: str, votes: Votes, known: dict[str, str], found: Agreement,
    connection: Connection,
) -> dict[str, Any]:  # fmt: skip
    keys = {item.id: item.key for item in items_of(connection, "b")}
    theirs = krippendorff.alpha(
        value_counts=_counts(votes, task), level_of_measurement=found.level,
        value_domain=list(range(len(TASKS[task].values))),
    )  # fmt: skip
    first = [[v["value"] for v in given[:2]] for given in votes.values() if len(given) > 1]
    pairs = cohen_kappa([a for a, _ in first], [b for _, b in first])
    truths = {keys[item]: truth for item, truth in found.truths.items()}
    right = [truths[key].value == value for key, value in known.items() if key in truths]
    major = [truths[key].majority == value for key, value in known.items() if key in truths]
    gap = found.gaps[0] if found.gaps else None
    raters = {v.rater for v in current_votes(connection, "b")}
    return {
        "name": name, "ours": True, "items": found.items, "raters": len(raters),
        "alpha": round(found.alpha.value, 4), "alpha_low": round(found.alpha.low, 4),
        "alpha_high": round(found.alpha.high, 4), "alpha_of_krippendorff": round(theirs, 4),
        "kappa_first_two": round(pairs.value, 4),
        "unanimous": round(found.unanimous.value * found.unanimous.n),
        "consensus_right": round(sum(right) / len(right), 4) if right else None,
        "majority_right": round(sum(major) / len(major), 4) if major else None,
        "largest_group_gap": f"{gap.field}={gap.group}: {gap.value} {gap.share.value:.2f} against "
        f"{gap.others.value:.2f}" if gap else None,
    }  # fmt: skip


def _counts(votes: Votes, task: str) -> Any:
    values = list(TASKS[task].values)
    table = [[sum(v["value"] == value for v in given) for value in values]
             for given in votes.values()]  # fmt: skip
    counts = np.array(table)
    return counts[counts.sum(axis=1) > 0]


def _item(key: str, task: str) -> NewItem:
    # Agreement needs no text: the sets' own rows stay where they are.
    sides = dict.fromkeys(TASKS[task].sides, "(not stored)")
    return NewItem(key, Content.model_validate({"row": key, "query": "(not stored)",
                                                "policies": ("hate",), **sides}))  # fmt: skip


def _csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.DictReader(source, delimiter=delimiter))


def _table(rows: list[dict[str, Any]]) -> str:
    head = ("kappa 1,2", "unanimous", "consensus", "majority", "s")
    lines = [
        f"{'set':<20}{'items':>6}{'votes':>7}{'raters':>7}  {'alpha [95 %]':<22}{'package':>8}"
        + "".join(f"{name:>10}" for name in head)
    ]
    for row in rows:
        interval = f"{row['alpha']:.3f} [{row['alpha_low']:.3f}, {row['alpha_high']:.3f}]"
        right = [f"{row[k]:.3f}" if row[k] is not None else "-"
                 for k in ("consensus_right", "majority_right")]  # fmt: skip
        lines.append(
            f"{row['name']:<20}{row['items']:>6}{row['votes']:>7}{row['raters']:>7}  {interval:<22}"
            f"{row['alpha_of_krippendorff']:>8.3f}{row['kappa_first_two']:>10.3f}"
            f"{row['unanimous']:>10}{right[0]:>10}{right[1]:>10}{row['wall_seconds']:>10.1f}"
        )
        if row["largest_group_gap"]:
            lines.append(f"{'':<20}largest gap of a group: {row['largest_group_gap']}")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--quick", action="store_true", help="PandaLM and XSTest only")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
