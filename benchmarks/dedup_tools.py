"""The de-duplicators that `dedup.py` compares, each in a process of its own.

    python benchmarks/dedup_tools.py TOOL CORPUS.jsonl OUT.json

A tool gets the texts (in memory) and returns the pairs of text numbers that it takes for
duplicates. Timed is the call alone, library imports and reading the corpus apart. All but semhash
take lower-cased character 5-grams, 128 places, 32 bands of 4 and a Jaccard of .7, their own way of
hashing and their own estimate of the Jaccard; ours verifies exactly. Written against the peers'
documented batch interfaces, the fastest ones that return pairs.
"""

import itertools
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Pairs = list[tuple[int, int]]
THRESHOLD, SEMANTIC = 0.7, 0.9
BATCH = 2048


def grams(text: str) -> list[str]:
    """Return the character 5-grams of a lower-cased text, as the peers' users make them."""
    text = text.lower()
    return [text[i : i + 5] for i in range(max(1, len(text) - 4))]


def ours(texts: Sequence[str]) -> Pairs:
    """Selaras at the peers' setting: no guard."""
    return list(_ours(texts, THRESHOLD, guarded=False))


def ours_default(texts: Sequence[str]) -> Pairs:
    """Selaras as its audit works: Jaccard >= .6, no pair with other identity terms or numbers."""
    return list(_ours(texts, 0.6, guarded=True))


def _ours(texts: Sequence[str], threshold: float, guarded: bool) -> Iterator[tuple[int, int]]:
    from selaras.data.lexicon import load_lexicon
    from selaras.data.near import near_duplicates
    from selaras.data.variants import same_marks

    found = near_duplicates(texts, threshold)
    for text, content in enumerate(found.content.tolist()):
        if found.first[content] != text:
            yield int(found.first[content]), text
    pairs = found.first[found.pairs]
    if guarded:
        identity, numbers = same_marks(texts, pairs, load_lexicon())
        pairs = pairs[identity & numbers]
    yield from map(tuple, pairs.tolist())


def datasketch(texts: Sequence[str]) -> Pairs:
    """datasketch: MinHash in bulk, MinHashLSH."""
    import datasketch as peer

    sketches = []
    for start in range(0, len(texts), BATCH):
        batch = [[g.encode() for g in set(grams(t))] for t in texts[start : start + BATCH]]
        sketches += peer.MinHash.bulk(batch, num_perm=128)
    index = peer.MinHashLSH(num_perm=128, params=(32, 4))
    with index.insertion_session() as session:
        for i, sketch in enumerate(sketches):
            session.insert(i, sketch)
    return [
        (i, j)
        for i, sketch in enumerate(sketches)
        for j in index.query(sketch)
        if j > i and sketch.jaccard(sketches[j]) >= THRESHOLD
    ]


def rensa(texts: Sequence[str]) -> Pairs:
    """rensa: R-MinHash over all shingles (not the sampling rho pipeline), RMinHashLSH."""
    import rensa as peer

    sketches: list[Any] = []
    for start in range(0, len(texts), BATCH):
        batch = [grams(text) for text in texts[start : start + BATCH]]
        sketches += peer.RMinHash.from_token_sets(batch, num_perm=128, seed=42)
    index = peer.RMinHashLSH(threshold=THRESHOLD, num_perm=128, num_bands=32)
    index.insert_many(sketches)
    return [
        (i, j)
        for i, met in enumerate(index.query_all(sketches))
        for j in met
        if j > i and sketches[i].jaccard(sketches[j]) >= THRESHOLD
    ]


def gaoya(texts: Sequence[str]) -> Pairs:
    """gaoya: MinHashStringIndex with its built-in character analyser."""
    import gaoya.minhash as peer

    index = peer.MinHashStringIndex(
        hash_size=32, jaccard_threshold=THRESHOLD, num_bands=32, band_size=4, analyzer="char",
        lowercase=True, ngram_range=(5, 5), id_container="smallvec",
    )  # fmt: skip
    index.par_bulk_insert_docs(list(range(len(texts))), list(texts))
    met = index.par_bulk_query(list(texts))
    return [(i, int(j)) for i, others in enumerate(met) for j in others if int(j) > i]


def semhash(texts: Sequence[str]) -> Pairs:
    """semhash with static embeddings (WordLlama's, from its package's files), cosine >= .9."""
    import importlib.metadata

    import numpy as np
    from safetensors.numpy import load_file
    from semhash import SemHash
    from tokenizers import Tokenizer

    files = {Path(str(f)).name: f for f in importlib.metadata.files("wordllama") or ()}
    (table,) = load_file(str(files["l2_supercat_256.safetensors"].locate())).values()
    tokenizer = Tokenizer.from_file(str(files["l2_supercat_tokenizer_config.json"].locate()))
    table = table.astype(np.float32)

    class Static:
        def encode(self, inputs: Any, **_: Any) -> Any:
            encoded = tokenizer.encode_batch(list(inputs), add_special_tokens=False)
            rows = [table[e.ids].mean(axis=0) if e.ids else table[0] * 0 for e in encoded]
            vectors = np.stack(rows)
            return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    records = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    index = SemHash.from_records(records, columns=["text"], model=Static())
    result = index.self_deduplicate(threshold=SEMANTIC)
    return [
        (int(out.record["id"]), int(other["id"]))
        for out in result.filtered
        for other, _ in out.duplicates
    ]


TOOLS: dict[str, Callable[[Sequence[str]], Pairs]] = {
    "selaras": ours,
    "selaras-default": ours_default,
    "datasketch": datasketch,
    "rensa": rensa,
    "gaoya": gaoya,
    "semhash": semhash,
}


def main() -> int:
    """Run one tool and write its pairs and what they cost."""
    name, corpus, out = sys.argv[1:]
    with Path(corpus).open(encoding="utf-8") as source:
        texts = [json.loads(line) for line in source]
    TOOLS[name](texts[:64])  # imports, caches and thread pools
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall = time.perf_counter()
    pairs = TOOLS[name](texts)
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF)
    unique = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    cost = {
        "wall_seconds": wall,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_mb": after.ru_maxrss / 1024,
    }
    Path(out).write_text(json.dumps({**cost, "pairs": list(itertools.chain(*unique))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
