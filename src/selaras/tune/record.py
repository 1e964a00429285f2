"""What every tuning writes down: its manifest when it begins, its choice when it ends."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selaras.core.decisions import now
from selaras.core.manifest import Manifest, hashes, new_manifest, write_manifest
from selaras.core.project import FILE, Project
from selaras.data import DEVELOPMENT_FIGURES, Development
from selaras.models.local_weights import weights_hash
from selaras.policy import load_policies


def new_tuning(
    project: Project, name: str, base: Path, seed: int, development: Development,
    config: dict[str, Any],
) -> Manifest:  # fmt: skip
    """Return the manifest of a tuning that starts now; `config` is what is its own."""
    files = [project.root / FILE, project.decisions, *project.data_files]
    return new_manifest(
        "tune",
        name,
        config={
            "model": project.file.tune.model, "weights": weights_hash(base),
            "removed": len(development.removed), **config,
        },
        seed=seed,
        policies={policy.id: policy.revision for policy in load_policies(project).values()},
        inputs=hashes(project.root, files),
        seal=development.seal,
        stamp=DEVELOPMENT_FIGURES,
    )  # fmt: skip


def finish(
    project: Project, manifest: Manifest, begun: float, figures: dict[str, Any],
    config: dict[str, Any], outputs: Iterable[Path],
) -> Manifest:  # fmt: skip
    """Write and return the finished manifest; `begun` is on the monotonic clock."""
    done = manifest.model_copy(
        update={
            "status": "finished",
            "finished": now(),
            "seconds": round(time.monotonic() - begun, 1),
            "config": {**manifest.config, **config},
            "figures": figures,
            "outputs": hashes(project.root, outputs),
        }
    )
    write_manifest(project.runs, done)
    return done
