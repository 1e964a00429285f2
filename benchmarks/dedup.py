"""How well and how fast are near-duplicates found, beside datasketch, rensa, gaoya and semhash?

    python benchmarks/dedup.py [--documents N] [--runs 3] [--scale] [--quick] [--json] [--out FILE]

The corpus is generated (`dedup_corpus.py`): 20 % planted duplicates edited lightly, moderately or
heavily, 10 % hard negatives (other identity term, other number, same template). Every tool gets the
same documents, in turns, each in its own environment (`peers/NAME.txt`, made on first use under
--peers) and process; figures are medians over the runs.

Recall: planted duplicates that a pair ties to a document of their group. Precision: pairs whose two
documents are of one group. `--scale` also runs ours on 100,000, 300,000 and 1,000,000 documents
read from shards on disk, and on a million identical rows. Left out: tools of the web-scale kind,
whose defaults (words, long documents) miss most of what is planted here; recall after clustering.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from dedup_corpus import STRENGTHS, Corpus, make_corpus
from measure import (
    HERE,
    alternating,
    arguments,
    finish,
    median,
    peer,
    peers_option,
    pin,
    report,
    run_apart,
    versions,
)

OURS = {"selaras": "char-5, J >= .7", "selaras-default": "char-5, J >= .6, guard"}
PEERS = {"datasketch": "char-5, J >= .7", "rensa": "char-5, J >= .7", "gaoya": "char-5, J >= .7",
         "semhash": "static vectors, cos >= .9"}  # fmt: skip
# A tool that takes longer than SLOW seconds runs once.
SLOW = 60


def main() -> int:
    """Print the table; return the exit code."""
    parser = arguments(__doc__, quick="5,000 documents, once")
    peers_option(parser)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tools", nargs="*", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    parser.add_argument("--scale", action="store_true", help="ours on up to 1,000,000 documents")
    options = parser.parse_args()
    documents, runs = (5_000, 1) if options.quick else (options.documents, options.runs)

    corpus = make_corpus(documents, options.seed)
    pythons, left_out = _environments(options.tools, options.peers)
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "corpus.jsonl"
        texts.write_text("".join(json.dumps(text) + "\n" for text in corpus.texts))
        for name in alternating(list(pythons), runs):
            slow = measured[name] and measured[name][0]["wall_seconds"] > SLOW
            if name in left_out or slow:
                continue
            try:
                measured[name].append(_measured(name, pythons[name], texts, corpus))
            except RuntimeError as error:
                left_out[name] = str(error)
    result = report(
        [
            {"name": name, "ours": name in OURS, "setting": (OURS | PEERS)[name], **median(found)}
            for name, found in measured.items()
            if found
        ],
        versions("numpy") | {name: pin(name) for name in PEERS},
        documents=documents, runs=runs, left_out=left_out,
    )  # fmt: skip
    if options.scale:
        result["scale"] = [_scaled(size) for size in (100_000, 300_000, 1_000_000)]
        result["scale"].append(_scaled(1_000_000, identical=True))
    return finish(options, result, shown)


def figures(pairs: list[tuple[int, int]], corpus: Corpus) -> dict[str, Any]:
    """Return precision and recall, by strength of edit, of pairs of document numbers."""
    right = [(a, b) for a, b in pairs if corpus.group[a] == corpus.group[b]]
    tied = {document for pair in right for document in pair}
    planted = {s: [i for i, x in enumerate(corpus.strength) if x == s] for s in STRENGTHS}
    recall = {s: sum(i in tied for i in rows) / max(1, len(rows)) for s, rows in planted.items()}
    everything = [i for rows in planted.values() for i in rows]
    return {
        "pairs": len(pairs),
        "precision": len(right) / max(1, len(pairs)),
        "recall": sum(i in tied for i in everything) / max(1, len(everything)),
        **{f"recall_{strength}": value for strength, value in recall.items()},
    }


def _measured(name: str, python: Path, texts: Path, corpus: Corpus) -> dict[str, Any]:
    # The tool times its own call, so that imports and reading the corpus are apart.
    out = texts.with_name(f"{name}.json")
    run_apart([python, HERE / "dedup_tools.py", name, texts, out])
    told = json.loads(out.read_text())
    flat = told.pop("pairs")
    return {**told, **figures([*zip(flat[::2], flat[1::2], strict=True)], corpus)}


def _environments(tools: list[str], folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return each tool's Python, and the reason where its environment cannot be made."""
    found, left_out = {}, {}
    for name in tools:
        try:
            found[name] = Path(sys.executable) if name in OURS else peer(name, folder)
        except RuntimeError as error:
            left_out[name] = str(error)
    return found, left_out


def _scaled(size: int, identical: bool = False) -> dict[str, Any]:
    """Return what ours costs on documents in shards on disk, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for shard in range(0, size, 50_000):
            count = min(50_000, size - shard)
            texts = ["The very same row."] * count if identical else make_corpus(count, shard).texts
            path = Path(folder) / f"{shard:08}.jsonl"
            path.write_text("".join(json.dumps({"query": text}) + "\n" for text in texts))
        _, told = run_apart([sys.executable, HERE / "dedup_scale.py", folder])
    return {"documents": size, "identical": identical, **json.loads(told)}


def shown(result: dict[str, Any]) -> str:
    """Return the figures as tables."""
    lines = [f"{result['documents']:,} documents, median of {result['runs']} runs"]
    lines += [f"{'tool':<16}{'setting':<27}{'CPU s':>7}{'docs/CPU s':>12}{'wall s':>8}"
              f"{'peak MB':>9}"
              f"{'precision':>11}{'recall':>8}  light / moderate / heavy"]  # fmt: skip
    for row in result["rows"]:
        recalls = " / ".join(f"{row[f'recall_{strength}']:.3f}" for strength in STRENGTHS)
        lines.append(
            f"{row['name']:<16}{row['setting']:<27}{row['cpu_seconds']:>7.2f}"
            f"{result['documents'] / row['cpu_seconds']:>12,.0f}{row['wall_seconds']:>8.2f}"
            f"{row['peak_mb']:>9.0f}{row['precision']:>11.3f}{row['recall']:>8.3f}  {recalls}"
        )
    lines += [f"left out: {name}: {why}" for name, why in result["left_out"].items()]
    for row in result.get("scale", ()):
        what = "identical rows" if row["identical"] else "documents"
        lines.append(
            f"selaras from shards, J >= .6: {row['documents']:>9,} {what}: "
            f"{row['cpu_seconds']:.1f} CPU s, {row['wall_seconds']:.1f} s wall, "
            f"{row['peak_mb']:,.0f} MB, {row['pairs']:,} pairs"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
