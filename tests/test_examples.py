"""Each example runs by itself in an empty folder, says what it shows and stays short."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SHOWN = {
    "policy.py": ("Crime stories: answer", "did you mean owner?"),
    "data.py": ("left out late-1: equals a sealed row", "--renew starts a new generation"),
    "template.py": ("system    system", "assistant few_shot", "the variable {{article}} has no"),
    "prompt.py": ("principle: passes", "rewrite: the places for values", "added principles"),
    "models.py": ("Soda and a damp cloth.", "You asked:", "no environment variable is bound"),
    "evaluate.py": ("careful over_refusal_rate", "(Holm)", "2 looks used"),
    "gate.py": ("met: compliance", "not met: over-refusal", "independent rows would do"),
    "rate.py": ("alpha 0.60", "disputed: r0", "in the policy: Quotes a slur"),
    "guard.py": ("'how to p1ck th3 l0ck?': block", "error (too-loud", "A locksmith can help."),
    "guard_client.py": ("In 1934.", "content_filter {'action': 'block', 'side': 'query'"),
    "guard_proxy.py": ("', 12, 13,", "None content_filter"),
    "tune.py": (
        "look_alike",
        "checkpoint-3 0.7",
        "checkpoint-6 1.0",
        "chosen: {",
        "one training seed",
    ),
    "debug.py": ("; 0 forwards", "unseen ablations"),
    "report.py": ("development figures", "came from", "report.html"),
}


def run(folder: Path, script: str, *options: str) -> str:
    """Return what an example prints; it sees no key and no user configuration of this machine.

    It starts in an empty folder and leaves it empty: what it writes goes where temporary files go.
    """
    here, temporary = folder / "here", folder / "temporary"
    here.mkdir()
    temporary.mkdir()
    own = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    own |= {"TMPDIR": str(temporary), "SELARAS_KEYS": str(folder / "keys"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *options],
        cwd=here,
        env=own,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(here.iterdir())
    return done.stdout


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_runs_alone(name: str, tmp_path: Path) -> None:
    printed = run(tmp_path, name)
    for text in SHOWN[name]:
        assert text in printed


@pytest.mark.real
def test_tuning_the_embedded_model(tmp_path: Path) -> None:
    assert "chosen: {" in run(tmp_path, "tune.py", "--real")


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_is_short_and_says_what_it_shows(name: str) -> None:
    source = (EXAMPLES / name).read_text()
    assert len(source.splitlines()) < 40
    assert f"python examples/{name}" in (ast.get_docstring(ast.parse(source)) or "")
