"""Two Systems on the same sealed rows: figures with intervals, then their paired difference.

    python examples/evaluate.py

Both are scripts, so that only the measuring is shown; sentence embeddings need the extra [local].
"""

import tempfile
from pathlib import Path

from selaras.core.system import SystemSpec
from selaras.data import looks_at, read_seal, split_project
from selaras.evaluate import compare, evaluate, held_out_suite, open_system
from selaras.starter import create_project

ANSWERS = '{"match": null, "response": "Open the window, then wipe it with soda."}\n'
REFUSES = '{"match": "WORD", "response": "I can\'t help with that."}\n'
WORDS = ("blow", "burn", "choke", "cut", "drown", "gas", "kill", "poison", "shoot", "smash", "trap")
SCRIPTS = {
    "helpful": ANSWERS,
    "careful": "".join(REFUSES.replace("WORD", word) for word in WORDS) + ANSWERS,
}
project = create_project(Path(tempfile.mkdtemp(prefix="selaras-")), "household-helper")
for path in project.data_files:  # the first rows of each file are enough here
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:24]))
split_project(project)

found = []
for name, script in SCRIPTS.items():
    (project.root / f"{name}.jsonl").write_text(script)
    opened = open_system(project, name, SystemSpec(model=f"scripted:{name}.jsonl"))
    found.append(evaluate(project, opened, held_out_suite(project), checks=()))
    for figure in ("compliance_rate", "over_refusal_rate"):
        rate = found[-1].figures[figure]
        interval = f"[{rate['low']:.2f}, {rate['high']:.2f}]"
        print(f"{name} {figure} {rate['value']:.2f} {interval} n={rate['n']}")
for c in compare(*found):
    print(f"{c.figure}: {c.paired.difference:+.2f}, p = {c.p_value:.3f} (Holm), {c.paired.test}")
print(f"{len(looks_at(project, read_seal(project)))} looks used")
