"""The ruler: suites, the journalled runner, figures with intervals, paired comparison."""

from selaras.core.errors import BudgetSpentError
from selaras.evaluate.assertion import assert_policy
from selaras.evaluate.budget import Budget
from selaras.evaluate.calls import Terms
from selaras.evaluate.checks import load_checks
from selaras.evaluate.compare import Comparison, compare
from selaras.evaluate.flips import Flip, flips
from selaras.evaluate.forecast import (
    Forecast,
    forecast,
    forecast_guard,
    forecast_judge,
    forecast_wordings,
)
from selaras.evaluate.gate import gate_state, gate_states, gate_summary, passed
from selaras.evaluate.gate_state import GateState
from selaras.evaluate.gate_words import gate_words
from selaras.evaluate.judging import DEFAULT_JUDGE, open_judges
from selaras.evaluate.named_runs import gate_runs, reference_of, runs_named
from selaras.evaluate.named_suites import named_suite, transfer_suite
from selaras.evaluate.run import evaluate
from selaras.evaluate.same_question import same_question
from selaras.evaluate.spent import open_rows, opened_rows
from selaras.evaluate.store import Evaluation, newest_together, read_evaluation, summary
from selaras.evaluate.suite import Suite, development_suite, held_out_suite
from selaras.evaluate.systems import Opened, named_systems, open_system, renderer

__all__ = [
    "DEFAULT_JUDGE",
    "Budget",
    "BudgetSpentError",
    "Comparison",
    "Evaluation",
    "Flip",
    "Forecast",
    "GateState",
    "Opened",
    "Suite",
    "Terms",
    "assert_policy",
    "compare",
    "development_suite",
    "evaluate",
    "flips",
    "forecast",
    "forecast_guard",
    "forecast_judge",
    "forecast_wordings",
    "gate_runs",
    "gate_state",
    "gate_states",
    "gate_summary",
    "gate_words",
    "held_out_suite",
    "load_checks",
    "named_suite",
    "named_systems",
    "newest_together",
    "open_judges",
    "open_rows",
    "open_system",
    "opened_rows",
    "passed",
    "read_evaluation",
    "reference_of",
    "renderer",
    "runs_named",
    "same_question",
    "summary",
    "transfer_suite",
]
