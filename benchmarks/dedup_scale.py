"""Near-duplicates of the shards of a folder; prints what it cost as JSON (see `dedup.py`)."""

import json
import resource
import sys
import time
from pathlib import Path

from selaras.data.near import NEAR, near_duplicates_of
from selaras.data.shards import read_shards


def main() -> int:
    """Compare the documents of a folder's shards."""
    shards = sorted(Path(sys.argv[1]).glob("*.jsonl"))
    wall = time.perf_counter()
    found = near_duplicates_of(lambda: read_shards(shards, "query"), NEAR)
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_mb": used.ru_maxrss / 1024,
        "pairs": len(found.pairs),
        "exact": len(found.content) - len(found.first),
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
