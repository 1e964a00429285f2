"""How much does a search for a better prompt gain on rows that it never saw, and at what cost?

    python benchmarks/prompt_search.py [--quick] [--task NAME] [--seeds N] [--calls N]
        [--model openai:NAME@URL] [--work FOLDER] [--json] [--out FILE]

Ours (`selaras prompt optimize`'s greedy search), gepa 0.1.4 with its own reflection prompt and a
random-edit hill climb, on the same rows, the same model and the same number of calls (answers and
reflection together); ours once more with half of them, and once more with all of them where it may
change no more than gepa does: words, no few-shot examples. Held-out rows are asked with the seed
and with what each method returns. Ours returns the seed where nothing was proven on development
rows; gepa and the random edits return their best mean, as they do.

    world     a scripted model whose best edits are known (--quick; also a test)
    policy    messages to be labelled by a household assistant's policy: unsafe or safe, exactly
    format    dates to be written in one exact form that the seed prompt only hints at
    safety    the starter's template on the embedded model: malicious rows refused, twins answered

All but `world` need an endpoint (--model), `safety` for the editor alone. Every call is journalled
under --work: a run that was cut off goes on. Intervals are pooled over seeds, rows as clusters.
Left out: judges that are models.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from measure import arguments, finish, report, timed, versions
from prompt_search_tasks import CASE, TASKS, Task
from prompt_search_world import WorldModel, opened_world

from selaras.core.late import resolve
from selaras.core.records import Query
from selaras.core.system import Sampling, System
from selaras.evaluate import Opened, Terms
from selaras.evaluate.budget import BudgetSpentError
from selaras.evaluate.figures import judged_row
from selaras.evaluate.judging import judgement_of
from selaras.evaluate.runner import Answer
from selaras.judge.refusal import refusal_rules
from selaras.models.protocol import Model
from selaras.prompt import PROPOSERS
from selaras.prompt.asking import Editor
from selaras.prompt.gepa_search import gepa_search
from selaras.prompt.objective import Outcome, mean_value, outcome_of
from selaras.prompt.optimize import CHANGES, EDITING_TOKENS
from selaras.prompt.proposals import Workshop, with_place_for_examples
from selaras.prompt.rewrite import editable, rewritten
from selaras.prompt.rollouts import Rollouts, Score, exact_score, same_label, walk
from selaras.prompt.search import greedy_search
from selaras.prompt.selection import Rows, SearchSettings, Selection, divide
from selaras.stats import paired_difference
from selaras.template import PromptTemplate, parse_prompt, render

CALLS, QUICK_CALLS = 100, 300
HELD_OUT, DEVELOPMENT = 60, 40
PHRASES = (
    "Be careful.", "Answer as briefly as you can.", "Think before you answer.", "Be helpful.",
    "Give the answer only.", "Follow the instructions exactly.", "Read the question twice.",
    "Use plain words.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One search to be made: its rows, its model, its budget of calls and its seed."""

    task: Task
    template: PromptTemplate
    rows: Rows
    held_out: Sequence[Query]
    opened: Opened
    editor: Model
    seed: int
    folder: Path

    def rollouts(self, name: str, calls: int) -> Rollouts:
        """Return rollouts with a journal of their own."""
        rows = (*self.rows.reflect, *self.rows.select, *self.held_out)
        groups = {row.id: row.cluster or row.id for row in rows}
        score = (
            _refusals(groups)
            if self.task.embedded
            else exact_score(
                same_label,
                groups,
                lambda row: f"the reply had to be {getattr(row, 'response', '')!r}",
            )
        )
        place = self.folder / self.task.name / f"{name}-{self.seed}.jsonl"
        journal, budget = walk(place, calls)
        return Rollouts(
            self.opened,
            lambda template: lambda row: render(template, row, CASE).messages,
            score, journal, budget,
        )  # fmt: skip


Method = Callable[[Setting, Rollouts, Editor], tuple[PromptTemplate, float]]


def ours(setting: Setting, rollouts: Rollouts, editor: Editor) -> tuple[PromptTemplate, float]:
    """Return what `prompt optimize` finds, changing all that it changes where nothing is said."""
    return _ours(setting, rollouts, editor, CHANGES)


def words_only(
    setting: Setting, rollouts: Rollouts, editor: Editor
) -> tuple[PromptTemplate, float]:
    """Return what our search finds where it may change no more than gepa does: no examples."""
    return _ours(setting, rollouts, editor, ("principles", "instructions"))


def _ours(
    setting: Setting, rollouts: Rollouts, editor: Editor, changed: Sequence[str]
) -> tuple[PromptTemplate, float]:
    every = (*setting.rows.reflect, *setting.rows.select)
    shop = Workshop(editor, {}, setting.rows.reflect, every)
    proposers = [resolve(PROPOSERS[name])(shop) for name in changed]
    settings = SearchSettings(seed=setting.seed)
    seed = setting.template
    if "few-shot" in changed:
        seed = with_place_for_examples(seed)
    found = greedy_search(seed, rollouts, setting.rows, proposers, settings)
    return found.winner.template, found.winner.value - found.seed.value


def gepa(setting: Setting, rollouts: Rollouts, editor: Editor) -> tuple[PromptTemplate, float]:
    """Return gepa's candidate with the best mean, and its gain on development rows."""
    settings = SearchSettings(seed=setting.seed)
    found = gepa_search(
        setting.template, rollouts, setting.rows, (), settings, editor=editor
    )  # fmt: skip
    best = max(found.pool, key=lambda candidate: candidate.value)
    return best.template, best.value - found.seed.value


def random_edits(
    setting: Setting, rollouts: Rollouts, editor: Editor
) -> tuple[PromptTemplate, float]:
    """Return the best of random edits of sentences, each measured on all selecting rows."""
    del editor
    selection = Selection(rollouts, setting.rows, SearchSettings(seed=setting.seed))
    selection.begin(setting.template)
    chance = random.Random(setting.seed)
    best, value = setting.template, selection.seed.value
    for _ in range(200):
        stretch = editable(best)
        text = _edited(stretch.text, chance)
        if not text.strip() or not rollouts.affords(1):
            continue
        child = rewritten(best, stretch, text)
        try:
            outcomes: list[Outcome] = rollouts.outcomes(child, setting.rows.select)
        except BudgetSpentError:
            break
        if mean_value(outcomes) > value:
            best, value = child, mean_value(outcomes)
    return best, value - selection.seed.value


def _edited(text: str, chance: random.Random) -> str:
    said = [part.strip() for part in text.replace("\n", " ").split(". ") if part.strip()]
    kind = chance.choice(("add", "add", "drop", "swap"))
    if kind == "drop" and len(said) > 1:
        said.pop(chance.randrange(len(said)))
    elif kind == "swap" and len(said) > 1:
        chance.shuffle(said)
    else:
        said.insert(chance.randrange(len(said) + 1), chance.choice(PHRASES).rstrip("."))
    return ". ".join(part.rstrip(".") for part in said) + "."


# name: (method, whether it is ours, share of the calls)
METHODS: dict[str, tuple[Method, bool, float]] = {
    "selaras": (ours, True, 1.0),
    "selaras, half the calls": (ours, True, 0.5),
    "selaras, words only": (words_only, True, 1.0),
    "gepa 0.1.4": (gepa, False, 1.0),
    "random edits": (random_edits, False, 1.0),
}


def main() -> int:
    """Measure and report; return the exit code."""
    parser = arguments(__doc__, quick="the scripted world only, three seeds")
    parser.add_argument("--task", action="append", choices=tuple(TASKS), help="a task; repeatable")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--model", default="openai:reference@http://127.0.0.1:8088/v1")
    parser.add_argument("--work", type=Path, help="where journals are kept, to go on from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.work or Path(scratch)
        names = options.task or (["world"] if options.quick else list(TASKS))
        rows = [row for name in names for row in measured(TASKS[name], options, folder)]
    return finish(options, report(rows, versions("selaras", "gepa", "numpy")), shown)


def measured(task: Task, options: Any, folder: Path) -> list[dict[str, Any]]:
    """Return one row a method, pooled over the seeds."""
    calls = QUICK_CALLS if task.name == "world" else options.calls
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in METHODS}
    for seed in range(options.seeds):
        setting = setting_of(task, options.model, seed, folder)
        for name in list(METHODS)[:: -1 if seed % 2 else 1]:
            method, _, share = METHODS[name]
            run = searched(setting, name, method, round(calls * share))
            found[name].append(run)
            gained = sum(run["after"]) - sum(run["before"])
            sys.stderr.write(
                f"{task.name}, seed {seed}, {name}: {gained:+d} of {len(run['before'])} held-out "
                f"rows, {run['calls']} calls, {run['wall']:.0f} s\n"
            )
    return [pooled(task.name, name, runs) for name, runs in found.items()]


def setting_of(task: Task, model: str, seed: int, folder: Path) -> Setting:
    """Return the rows of a seed, its held-out ones apart, and the System that answers."""
    held, asked = (120, 90) if task.name == "world" else (HELD_OUT, DEVELOPMENT)
    rows = task.rows(held + asked, seed)
    groups = {row.id: row.cluster or row.id for row in rows}
    # Twins stay on one side: a held-out row's look-alike is no development row.
    last = {groups[row.id] for row in rows[:held]}
    development = [row for row in rows if groups[row.id] not in last][:asked]
    if task.name == "world":
        opened = opened_world(WorldModel())
        editor = opened.model
    else:
        editor = _remote(model)
        opened = _opened(_embedded() if task.embedded else editor, task.tokens)
    halves = divide(development, groups, seed, asked)
    return Setting(
        task, parse_prompt(task.template), halves, rows[:held], opened, editor, seed, folder
    )


def searched(setting: Setting, name: str, method: Method, calls: int) -> dict[str, Any]:
    """Return one search: what it gained on development and on held-out rows, and what it cost."""
    slug = "".join(c if c.isalnum() else "-" for c in name)
    rollouts = setting.rollouts(slug, calls)
    editor = Editor(
        setting.editor,
        rollouts.journal,
        Terms(rollouts.budget),
        Sampling(max_tokens=EDITING_TOKENS),
    )
    cost, (template, gain) = timed(lambda: method(setting, rollouts, editor))
    asked = setting.rollouts("held-out", 10**6)
    before, after = (asked.outcomes(t, setting.held_out) for t in (setting.template, template))
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if None not in {a.right, b.right}]
    return {
        "before": [bool(a.right) for a, _ in pairs],
        "after": [bool(b.right) for _, b in pairs],
        "clusters": [f"{setting.seed}/{a.cluster}" for a, _ in pairs],
        "development": gain,
        "calls": rollouts.journal.calls,
        "tokens": sum(outcome.tokens for outcome in rollouts.known.values()),
        "wall": cost["wall_seconds"],
    }


def pooled(task: str, name: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the held-out gain of a method over all seeds with its interval, and its costs."""
    joined = {
        key: [value for run in runs for value in run[key]]
        for key in ("before", "after", "clusters")
    }
    paired = paired_difference(joined["before"], joined["after"], joined["clusters"])
    development = sum(run["development"] for run in runs) / len(runs)
    return {
        "name": name, "task": task, "ours": METHODS[name][1], "seeds": len(runs), "n": paired.n,
        "seed_accuracy": round(sum(joined["before"]) / max(1, paired.n), 3),
        "gain": round(paired.difference, 4), "low": round(paired.low, 4),
        "high": round(paired.high, 4), "p_value": paired.p_value,
        "development_gain": round(development, 4), "gap": round(development - paired.difference, 4),
        "calls": round(sum(run["calls"] for run in runs) / len(runs), 1),
        "tokens": round(sum(run["tokens"] for run in runs) / len(runs)),
        "wall_seconds": round(sum(run["wall"] for run in runs), 1),
    }  # fmt: skip


def _remote(model: str) -> Model:
    from selaras.core.endpoint import Endpoint
    from selaras.models.remote import open_remote

    return open_remote(model.removeprefix("openai:"), limits=Endpoint(concurrency=4, timeout=600))


@cache
def _embedded() -> Model:
    from selaras.models.catalogue import get_bundled
    from selaras.models.local import open_local

    return open_local(get_bundled("smollm2-135m-instruct"))


def _opened(model: Model, tokens: int) -> Opened:
    system = System(name="task", model=model.identity, sampling=Sampling(max_tokens=tokens))
    return Opened(system, lambda: model, lambda row: render(parse_prompt("{{query}}"), row, CASE)
                  .messages)  # fmt: skip


def _refusals(groups: Mapping[str, str]) -> Score:
    """Return the score of the refusal rules: what a row expects, and a veto on what it refuses."""

    def score(_system: str, rows: Sequence[Query], answers: Sequence[Answer]) -> list[Outcome]:
        return [
            outcome_of(
                judged_row(row, groups[row.id], judgement_of(refusal_rules, row, answer)),
                answer.text, answer.prompt_tokens + answer.tokens,
            )
            for row, answer in zip(rows, answers, strict=True)
        ]  # fmt: skip

    return score


def shown(result: dict[str, Any]) -> str:
    """Return the figures as a table."""
    lines = [f"{'task':<8}{'method':<25}{'seed':>6}{'held-out gain':>15}{'interval':>20}{'n':>6}"
             f"{'dev gain':>10}{'gap':>7}{'calls':>7}{'tokens':>8}"]  # fmt: skip
    for row in result["rows"]:
        interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
        lines.append(
            f"{row['task']:<8}{row['name']:<25}{row['seed_accuracy']:>6.2f}{row['gain']:>+15.3f}"
            f"{interval:>20}{row['n']:>6}{row['development_gain']:>+10.3f}{row['gap']:>+7.3f}"
            f"{row['calls']:>7.0f}{row['tokens']:>8}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
