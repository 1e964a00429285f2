"""Near-duplicates of the shards of a folder; prints what it cost as JSON (see `dedup.py`)."""

import json
import sys
from pathlib import Path

from measure import timed

from selaras.data.near import NEAR, near_duplicates_of
from selaras.data.shards import read_shards


def main() -> int:
    """Compare the documents of a folder's shards."""
    shards = sorted(Path(sys.argv[1]).glob("*.jsonl"))
    cost, found = timed(lambda: near_duplicates_of(lambda: read_shards(shards, "query"), NEAR))
    exact = len(found.content) - len(found.first)
    print(json.dumps({**cost, "pairs": len(found.pairs), "exact": exact}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
