"""Browsing the rollouts of a run: filtered as objects, or as one page with filters in it.

The run keeps responses and ids; the queries come from the project's development rows, so that a
page made later shows no row that has been removed or sealed since. All text is untrusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from selaras.core.errors import InputError
from selaras.core.files import read_jsonl
from selaras.core.manifest import read_manifest
from selaras.core.project import Project
from selaras.data import load_rows
from selaras.page.html import Child, Markup, element, join, untrusted
from selaras.page.shell import Program, page
from selaras.tune.rollouts import ROLLOUTS

MOST_SHOWN = 2000
GONE = "(no development row of the project any more)"


@dataclass(frozen=True, slots=True)
class Seen:
    """A rollout as it was kept: `advantage` is what it was weighed by, `kl` in nats."""

    step: int
    row: str
    kind: str
    text: str = field(repr=False)
    finished: bool
    tokens: int
    reward: float
    costs: Mapping[str, float | None]
    refused: bool
    kl: float
    advantage: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rollouts to show; None asks nothing. Rewards are the reward model's own numbers."""

    step: int | None = None
    kind: str | None = None
    refused: bool | None = None
    at_least: float | None = None
    at_most: float | None = None

    def keeps(self, seen: Seen) -> bool:
        """Return whether the rollout is asked for."""
        return (
            self.step in (None, seen.step)
            and self.kind in (None, seen.kind)
            and self.refused in (None, seen.refused)
            and (self.at_least is None or seen.reward >= self.at_least)
            and (self.at_most is None or seen.reward <= self.at_most)
        )


def browse(project: Project, run_id: str, wanted: Filter | None = None) -> list[Seen]:
    """Return a run's rollouts, best reward first; raises InputError for a run without any.

    A step that was done again after a kill counts once, as it was done last.
    """
    read_manifest(project.runs, run_id)
    path = project.runs / run_id / ROLLOUTS
    if not path.is_file():
        raise InputError(f"run {run_id!r} has no rollouts", fix="name a run of 'selaras tune rl'")
    steps = {value["step"]: value["rollouts"] for _, value in read_jsonl(path)}
    found = [Seen(step=step, **rollout) for step in sorted(steps) for rollout in steps[step]]
    keeps = (wanted or Filter()).keeps
    return sorted((s for s in found if keeps(s)), key=lambda s: (-s.reward, s.step, s.row))


def queries_of(project: Project) -> dict[str, str]:
    """Return the queries of the project's rows (never sealed ones), by id."""
    return {row.id: row.query for row in load_rows(project).kept}


def rollouts_page(run_id: str, found: Sequence[Seen], queries: Mapping[str, str]) -> str:
    """Return a page of rollouts that is filtered in the browser by step, kind, reward, refusal."""
    shown = found[:MOST_SHOWN]
    note = f"{len(found):,} rollouts" + (
        f", the {MOST_SHOWN:,} of highest reward shown" if len(found) > MOST_SHOWN else ""
    )
    body = join([
        element("p", "Development figures. Responses are what a model wrote while it was trained; "
                "take them as untrusted text.", class_="stamp"),
        _filters(shown),
        element("p", note, id="count", role="status"),
        element("div", _table(shown, queries), class_="scroll"),
    ])  # fmt: skip
    return page(
        f"Rollouts of {run_id}", body, lede=note, style=_STYLE, program=Program(_SCRIPT, None)
    )


def _filters(shown: Sequence[Seen]) -> Markup:
    steps = [str(step) for step in sorted({seen.step for seen in shown})]
    kinds = sorted({seen.kind for seen in shown})
    return element(
        "p",
        _choice("step", "Step", steps),
        _choice("kind", "Kind of query", kinds),
        _choice("refused", "Refusal", ["refused", "answered"]),
        element("label", "Reward from ", element("input", id="low", type="number", step="any")),
        element("label", " to ", element("input", id="high", type="number", step="any")),
        class_="filters",
    )


def _choice(name: str, label: str, values: Sequence[str]) -> Markup:
    options = [element("option", "all", value="")]
    options += [element("option", value, value=value) for value in values]
    return element("label", f"{label} ", element("select", *options, id=name), " ")


def _table(shown: Sequence[Seen], queries: Mapping[str, str]) -> Markup:
    heads = ("Step", "Kind", "Reward", "Advantage", "KL", "Costs", "Query", "Response")
    rows = [
        element(
            "tr",
            element("td", seen.step),
            element("td", seen.kind.replace("_", "-")),
            element("td", f"{seen.reward:+.3f}"),
            element("td", f"{seen.advantage:+.2f}"),
            element("td", f"{seen.kl:.2f}"),
            element("td", _costs(seen)),
            element("td", untrusted(queries.get(seen.row, GONE), 600)),
            element("td", untrusted(seen.text, 1200)),
            data_step=seen.step, data_kind=seen.kind, data_reward=seen.reward,
            data_refused="refused" if seen.refused else "answered",
        )
        for seen in shown
    ]  # fmt: skip
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    return element("table", element("thead", head), element("tbody", *rows, id="rollouts"))


def _costs(seen: Seen) -> Child:
    told = [f"{name.replace('_', ' ')} {cost:.2f}" for name, cost in seen.costs.items() if cost]
    return "; ".join(told) or "none"


_STYLE = ".filters label{margin-right:1em} .filters input{width:7em} td{vertical-align:top}"
_SCRIPT = """
const rows = [...document.querySelectorAll('#rollouts tr')];
const field = name => document.getElementById(name);
function filter() {
  let shown = 0;
  for (const row of rows) {
    const told = row.dataset, reward = Number(told.reward);
    const asked = n => !field(n).value || field(n).value === told[n];
    const keep = ['step', 'kind', 'refused'].every(asked)
      && (field('low').value === '' || reward >= Number(field('low').value))
      && (field('high').value === '' || reward <= Number(field('high').value));
    row.hidden = !keep;
    shown += keep;
  }
  field('count').textContent = shown + ' of ' + rows.length + ' rollouts';
}
for (const name of ['step', 'kind', 'refused', 'low', 'high'])
  field(name).addEventListener('input', filter);
"""
