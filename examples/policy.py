"""A written rule: read from a file, changed by a use case; a misspelt field is an error.

    python examples/policy.py

It writes into a new temporary folder and needs neither model nor network.
"""

import tempfile
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.project import PolicyOverride, UseCase
from selaras.policy import builtin_text, effective, load_policy

path = Path(tempfile.mkdtemp(prefix="selaras-")) / "dangerous-content.yaml"
path.write_text(builtin_text("dangerous-content"))
policy = load_policy(path)
print(f"{policy.id}, revision {policy.revision}, owned by {policy.owner}: {policy.statement}")

fiction = "A character may poison another on the page, as long as no amount would work."
override = PolicyOverride(exceptions=(fiction,), expected="answer")
use_cases = (
    UseCase(id="answers", title="Questions and answers"),
    UseCase(id="stories", title="Crime stories", overrides={policy.id: override}),
)
for use_case in use_cases:
    here = effective(policy, use_case)
    print(f"{use_case.title}: {here.desired.expected}, {len(here.exceptions)} exceptions")

path.write_text(path.read_text().replace("owner:", "ownr:"))
try:
    load_policy(path)
except InputError as error:
    print(error)
