"""GEPA (Agrawal et al. 2025, arXiv:2507.19457) behind the same protocol, from the package `gepa`.

It looks for the candidate with the best mean on the selecting rows and knows no vetoes and no test;
what it found is put through ours here, so that it too can end in "no significant improvement".
Its `run_dir` is never used (it resumes by pickle; our journal of calls resumes it all the same, as
its chance is seeded), nor its cache of evaluations (in 0.1.4 train scores leak into validation).
"""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from selaras.core.errors import BudgetSpentError, MissingExtraError
from selaras.core.progress import SILENT, Progress
from selaras.core.records import Message, Query
from selaras.evaluate.judging import given_by_user
from selaras.prompt.asking import Editor, reply_of
from selaras.prompt.material import cut
from selaras.prompt.objective import Outcome
from selaras.prompt.rewrite import editable, rewritten
from selaras.prompt.rollouts import Rollouts
from selaras.prompt.search import Proposer
from selaras.prompt.selection import Rows, SearchResult, SearchSettings, Selection
from selaras.template import PromptTemplate

COMPONENT = "instructions"


class _Quiet:
    def log(self, message: str) -> None:
        """Say nothing: progress is ours."""


def gepa_search(
    seed: PromptTemplate,
    rollouts: Rollouts,
    rows: Rows,
    proposers: Sequence[Proposer],  # noqa: ARG001 - gepa proposes by its own reflection
    settings: SearchSettings | None = None,
    progress: Progress = SILENT,
    *,
    editor: Editor,
) -> SearchResult:
    """Return what gepa found within the rollouts' budget, tested as our own search tests.

    Raises MissingExtraError where the package is not installed.
    """
    if importlib.util.find_spec("gepa") is None:
        raise MissingExtraError("gepa", "search")
    import gepa

    settings = settings or SearchSettings()
    selection = Selection(rollouts, rows, settings)
    with progress.task("searching with gepa", float(rollouts.budget.max_calls or 0)) as task:
        selection.begin(seed)
        adapter = _Adapter(seed, selection)

        def reflect(asked: Any) -> str:
            text = asked if isinstance(asked, str) else str(asked[-1]["content"])
            task.advance(0, f"best {selection.best.value:.3f}")
            talk = (Message(role="user", content=text),)
            return str(reply_of(editor, talk, None)["text"]) or adapter.stretch.text

        def spent(_state: Any) -> bool:
            return not rollouts.affords(6, others=1)

        try:
            gepa.optimize(
                seed_candidate={COMPONENT: adapter.stretch.text},
                trainset=list(rows.reflect),
                valset=list(rows.select),
                adapter=adapter,
                reflection_lm=reflect,
                candidate_selection_strategy="pareto",
                stop_callbacks=[spent],
                logger=_Quiet(),
                cache_evaluation=False,
                run_dir=None,
                seed=settings.seed,
            )
            selection.ended = "gepa has ended"
        except BudgetSpentError:
            selection.ended = "the budget is spent"
        task.advance(rollouts.journal.calls)
    return selection.result()


class _Adapter:
    """What gepa runs candidates with; it keeps those that were measured on all selecting rows."""

    propose_new_texts = None

    def __init__(self, seed: PromptTemplate, selection: Selection) -> None:
        self.seed, self.selection = seed, selection
        self.stretch = editable(seed)

    def evaluate(
        self, batch: list[Query], candidate: Mapping[str, str], capture_traces: bool = False
    ) -> Any:
        """Return scores in [0, 1]; a text that cannot stand in the template scores 0."""
        from gepa.core.adapter import EvaluationBatch

        try:
            template = rewritten(self.seed, self.stretch, candidate[COMPONENT])
        except ValueError as error:
            words = f"the text cannot be used: {error}"
            outcomes = [Outcome(row.id, row.id, False, words=words) for row in batch]
        else:
            outcomes = self.selection.rollouts.outcomes(template, batch)
            if [row.id for row in batch] == [row.id for row in self.selection.rows.select]:
                self.selection.finalist(template, "gepa", tuple(outcomes))
        traces = list(zip(batch, outcomes, strict=True)) if capture_traces else None
        scores = [outcome.value or 0.0 for outcome in outcomes]
        return EvaluationBatch(outputs=outcomes, scores=scores, trajectories=traces)

    def make_reflective_dataset(
        self,
        candidate: Mapping[str, str],  # noqa: ARG002 - gepa's protocol
        eval_batch: Any,
        components_to_update: list[str],
    ) -> dict[str, list[dict[str, str]]]:
        """Return what gepa shows its reflecting model of each row."""
        shown = [
            {
                "Inputs": cut(given_by_user(row)),
                "Generated Outputs": cut(outcome.said),
                "Feedback": outcome.words,
            }
            for row, outcome in eval_batch.trajectories
        ]
        return dict.fromkeys(components_to_update, shown)
