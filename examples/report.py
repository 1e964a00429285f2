"""Evaluations become one HTML file that loads nothing, and the sentences that sum it up.

    python examples/report.py

Both Systems are scripts; the rows are development rows, and the report says so.
"""

import tempfile
from pathlib import Path

from selaras.core.system import SystemSpec
from selaras.data import open_development
from selaras.evaluate import development_suite, evaluate, open_system
from selaras.report import lineage, sentences, write_report
from selaras.starter import create_project

SCRIPTS = {
    "helpful": '{"match": null, "response": "Open the window, then wipe it with soda."}\n',
    "careful": '{"match": null, "response": "I can\'t help with that."}\n',
}
project = create_project(Path(tempfile.mkdtemp(prefix="selaras-")), "household-helper")
for path in project.data_files:  # the first rows of each file are enough here
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:16]))
development = open_development(project)

found = []
for name, script in SCRIPTS.items():
    (project.root / f"{name}.jsonl").write_text(script)
    opened = open_system(project, name, SystemSpec(model=f"scripted:{name}.jsonl"))
    found.append(evaluate(project, opened, development_suite(development), checks=()))
page = write_report(project, found, development=development)
for sentence in sentences(found, project):
    print(sentence)
print(lineage(project, page.parent.name).text)
print(f"open {page}")
