"""A prompt learns a principle, passes the gates, and is kept as a version; a bad edit is refused.

    python examples/prompt.py

It writes to a temporary folder and needs neither model nor network.
"""

import tempfile
from pathlib import Path

from selaras.policy import builtin_policies
from selaras.prompt.from_policy import principle_of
from selaras.prompt.gates import gates
from selaras.prompt.lint import lint
from selaras.template import load_prompt, with_principles, write_prompt
from selaras.template.diff import segment_diff
from selaras.template.versions import history, keep

policies = builtin_policies()
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "helper.prompt"
    path.write_text('{{role "system"}}\nYou help customers.\n{{role "user"}}\n{{article}}\n')
    parent = load_prompt(path)
    for remark in lint(parent):
        print(f"lint: line {remark.line}: {remark.what} ({remark.why})")

    learnt = principle_of(policies["unauthorised-promises"], "gave_in", rows=["row-7"])
    child = with_principles(parent, [learnt])
    bad = write_prompt(child).replace("{{article}}", "the article")
    for name, edit in (("principle", child), ("rewrite", bad)):
        refused = [v for v in gates(parent, edit, policies=policies) if not v.passed]
        print(f"{name}: " + ("passes" if not refused else "; ".join(v.reason for v in refused)))

    keep(path, child, "learnt from row-7")
    for change in segment_diff(parent, load_prompt(path)):
        print(change.kind, change.mark, change.after[:60])
    print("versions:", [version.note for version in history(path)])
