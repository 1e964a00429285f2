"""Rollouts as they are browsed: filtered, joined with queries, and untrusted wherever shown."""

import pytest
import rl_world

from selaras.core.errors import InputError
from selaras.core.files import append_jsonl
from selaras.core.manifest import new_manifest, write_manifest
from selaras.tune.rl_browse import GONE, Filter, browse, rollouts_page

HOSTILE = "</script><img src=x onerror=alert(1)> \u202e[red]bold[/red]"


def rollout(row, reward, **more):
    return {
        "row": row, "kind": "ordinary", "text": "An hour.", "finished": True, "tokens": 4,
        "reward": reward, "costs": {"over_refusal": None, "over_length": 0.5, "incoherence": 0.0},
        "refused": False, "kl": 0.2, "advantage": 1.0, **more,
    }  # fmt: skip


@pytest.fixture
def browsed(tmp_path, tiny_folder):
    """Return a project and a run with rollouts of two steps, the second done twice."""
    project = rl_world.write_project(tmp_path, tiny_folder)
    manifest = new_manifest("tune", "rloo")
    folder = write_manifest(project.runs, manifest)
    append_jsonl(folder / "rollouts.jsonl", [
        {"key": "step-1", "step": 1, "rollouts": [
            rollout("o1", 1.5), rollout("m1", -2.0, kind="malicious", refused=True)]},
        {"key": "step-2", "step": 2, "rollouts": [rollout("o2", 9.0)]},
        {"key": "step-2", "step": 2, "rollouts": [rollout("o2", 3.0, text=HOSTILE)]},
    ])  # fmt: skip
    return project, manifest.id


def test_rollouts_come_best_first_and_a_step_done_again_counts_once(browsed):
    assert [(s.step, s.row, s.reward) for s in browse(*browsed)] == [
        (2, "o2", 3.0), (1, "o1", 1.5), (1, "m1", -2.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [(Filter(step=1), ["o1", "m1"]), (Filter(kind="malicious"), ["m1"]),
     (Filter(refused=False), ["o2", "o1"]), (Filter(refused=True), ["m1"]),
     (Filter(at_least=1.5), ["o2", "o1"]), (Filter(at_most=1.5, step=1), ["o1", "m1"]),
     (Filter(step=9), [])],
)  # fmt: skip
def test_filters_hold_together(browsed, wanted, rows):
    assert [seen.row for seen in browse(*browsed, wanted)] == rows


def test_on_a_page_no_text_can_do_anything(browsed):
    project, run = browsed
    found = browse(project, run)
    text = rollouts_page(run, found, {"o1": "<b>How long?</b>"})
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert "\u202e" not in text
    assert "&lt;b&gt;How long?&lt;/b&gt;" in text
    assert GONE in text
    assert "script-src 'sha256-" in text
    assert text.count("<script>") == 1
    assert 'data-refused="refused"' in text
    assert "Development figures" in text


def test_a_run_without_rollouts_is_bad_input(browsed):
    project, _ = browsed
    other = new_manifest("tune", "guarded")
    write_manifest(project.runs, other)
    with pytest.raises(InputError, match=r"has no rollouts.*selaras tune rl"):
        browse(project, other.id)
    with pytest.raises(InputError, match="no run 'nothing'"):
        browse(project, "nothing")


def test_the_command_shows_filters_and_writes_a_page(browsed, tmp_path):
    from typer.testing import CliRunner

    from selaras.cli import app

    project, run = browsed

    def called(*options):
        return CliRunner().invoke(app, ["tune", "rollouts", run, "-C", str(project.root), *options])

    told = called()
    assert told.exit_code == 0
    assert "step 2  o2 (ordinary)  reward +3.000" in told.stdout
    assert "\u202e" not in told.stdout
    assert "m1 (malicious)" in called("--refused", "--at-most", "0").stdout
    assert "o1" not in called("--refused").stdout
    assert '"found": 1' in called("--kind", "malicious", "--json").stdout
    assert called("--html", str(tmp_path / "page.html")).exit_code == 0
    assert "Rollouts of" in (tmp_path / "page.html").read_text()
    assert called("--step", "0").exit_code == 2


def test_the_command_line_refuses_what_the_library_refuses(browsed):
    from typer.testing import CliRunner

    from selaras.cli import app

    project, _ = browsed
    told = CliRunner().invoke(
        app, ["tune", "rl", "-C", str(project.root), "--algorithm", "ppo", "--dry-run"]
    )
    assert told.exit_code == 2
    assert "tune.rl.algorithm" in told.stderr
    same = ["--reward", "run:a", "--held-aside-reward", "run:a"]
    told = CliRunner().invoke(app, ["tune", "rl", "-C", str(project.root), *same])
    assert told.exit_code == 2
    assert "is the one that is trained against" in told.stderr
