"""The ruler: suites, the journalled runner, figures with intervals, paired comparison."""

from selaras.evaluate.budget import Budget, BudgetSpentError
from selaras.evaluate.calls import Terms
from selaras.evaluate.compare import Comparison, compare
from selaras.evaluate.forecast import Forecast, forecast
from selaras.evaluate.run import evaluate
from selaras.evaluate.store import Evaluation, newest_together, read_evaluation, summary
from selaras.evaluate.suite import Suite, development_suite, held_out_suite, load_checks
from selaras.evaluate.systems import Opened, named_systems, open_system, renderer

__all__ = [
    "Budget",
    "BudgetSpentError",
    "Comparison",
    "Evaluation",
    "Forecast",
    "Opened",
    "Suite",
    "Terms",
    "compare",
    "development_suite",
    "evaluate",
    "forecast",
    "held_out_suite",
    "load_checks",
    "named_systems",
    "newest_together",
    "open_system",
    "read_evaluation",
    "renderer",
    "summary",
]
