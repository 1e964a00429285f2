"""How does the search for paraphrases grow, and what does its index lose against all pairs?

    python benchmarks/semantic_scale.py [--quick] [--json] [--out FILE]

Short documents of `dedup_corpus.py` with planted edits, embedded by the static encoder: the pairs
at its threshold (16 closest of each) by comparing all with all and by the inverted file that the
audit takes from 20,000 rows of one group on. Each search is a process of its own, with one thread.
Recall is the share of the exact pairs that the index found; it finds no others.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from dedup_corpus import make_corpus
from measure import arguments, finish, report, run_apart, timed, versions

from selaras.data.duplicates import NEIGHBOURS
from selaras.data.encoder import STATIC
from selaras.data.similarity import EXACT

SIZES, QUICK = (20_000, 50_000, 100_000), (5_000, 20_000)
SEARCH = """
import sys, numpy as np
from selaras.data.similarity import alike_pairs
vectors = np.load(sys.argv[1])
exact = len(vectors) if sys.argv[3] == "exact" else 0
pairs, _ = alike_pairs(vectors, float(sys.argv[4]), int(sys.argv[5]), exact=exact)
np.save(sys.argv[2], pairs)
"""


def main() -> int:
    """Print the table; return the exit code."""
    options = arguments(__doc__, quick="5,000 and 20,000 documents").parse_args()
    rows = []
    encoder = STATIC.open()
    for size in QUICK if options.quick else SIZES:
        texts = make_corpus(size).texts
        cost, vectors = timed(lambda texts=texts: encoder.embed(texts))
        rows += measured(vectors, cost["cpu_seconds"])
    return finish(options, report(rows, versions("numpy", "tokenizers"),
                                  threshold=STATIC.alike, index_from=EXACT), shown)  # fmt: skip


def measured(vectors: Any, embedding: float) -> list[dict[str, Any]]:
    """Return the figures of both searches on one set."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "vectors.npy"
        np.save(source, vectors)
        found, rows = {}, []
        for way in ("exact", "index"):
            sink = Path(folder) / f"{way}.npy"
            cost, _ = run_apart([sys.executable, "-c", SEARCH, source, sink, way,
                                 str(STATIC.alike), str(NEIGHBOURS)])  # fmt: skip
            found[way] = {(a, b) for a, b in np.load(sink).tolist()}
            recall = len(found[way] & found["exact"]) / max(1, len(found["exact"]))
            rows.append({"name": way, "ours": True, "n": len(vectors), "pairs": len(found[way]),
                         "recall": round(recall, 4), "embedding_cpu_seconds": embedding,
                         **cost})  # fmt: skip
    return rows


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    lines = [f"{'documents':>9}  {'search':<8}{'pairs':>8}{'recall':>8}{'CPU s':>8}{'wall s':>8}"
             f"{'peak MB':>9}{'embedding CPU s':>17}"]  # fmt: skip
    for row in result["rows"]:
        lines.append(
            f"{row['n']:>9,}  {row['name']:<8}{row['pairs']:>8,}{row['recall']:>8.4f}"
            f"{row['cpu_seconds']:>8.1f}{row['wall_seconds']:>8.1f}{row['peak_mb']:>9.0f}"
            f"{row['embedding_cpu_seconds']:>17.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
