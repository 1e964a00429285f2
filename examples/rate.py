"""People label, disagree, and one disagreement becomes an example of the policy.

python examples/rate.py
"""

import tempfile
from pathlib import Path

from selaras.core.files import write_text
from selaras.core.project import open_project
from selaras.policy import load_policies
from selaras.rating import adjudicate as deciding
from selaras.rating.agreement import agreement
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import NewItem, create_batch
from selaras.rating.guides import refresh
from selaras.rating.imports import import_votes
from selaras.rating.store import open_store
from selaras.rating.tasks import Content

SAID = {"r0": ("safe", "safe", "unsafe"), "r1": ("safe",) * 3, "r2": ("unsafe",) * 3}
with tempfile.TemporaryDirectory() as folder:
    yaml = "{product: p, use_cases: [{id: a, title: A}], policies: [hate]}"
    write_text(Path(folder) / "selaras.yaml", yaml)
    project = open_project(Path(folder))
    items = [NewItem(k, Content(row=k, query="?", response="!", policies=("hate",))) for k in SAID]
    votes = {k: [{"rater": f"r{n}", "value": v} for n, v in enumerate(SAID[k])] for k in SAID}
    with open_store(f"sqlite:///{folder}/store.db").writing() as store:
        create_batch(store, spec := BatchSpec(id="tone", title="Tone", task="harm"), items)
        refresh(store, load_policies(project))
        import_votes(store, spec, votes)
        print(f"alpha {agreement(store, 'tone').alpha.value:.2f}")
        first = deciding.disputes(store, "tone")[0]
        print(f"disputed: {first.item.key} {dict(first.counts)}")
        said = ("hate", "allowed", "Quotes a slur to explain why it hurts.")
        because = {"why": "Quoting is needed.", "by": "me", "example": said}
        deciding.adjudicate(store, first.item.id, "safe", "guideline_gap", **because)
        (gap,) = deciding.proposals(store, load_policies(project))
    print("in the policy:", deciding.add_example(project, gap).allowed[-1])
