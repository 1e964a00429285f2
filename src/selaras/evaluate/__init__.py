"""The ruler: suites, the journalled runner, figures with intervals, paired comparison."""

from selaras.evaluate.compare import Comparison, compare
from selaras.evaluate.run import Opened, evaluate, named_systems, open_system, renderer
from selaras.evaluate.store import Evaluation, newest_together, read_evaluation, summary
from selaras.evaluate.suite import Suite, development_suite, held_out_suite, load_checks

__all__ = [
    "Comparison",
    "Evaluation",
    "Opened",
    "Suite",
    "compare",
    "development_suite",
    "evaluate",
    "held_out_suite",
    "load_checks",
    "named_systems",
    "newest_together",
    "open_system",
    "read_evaluation",
    "renderer",
    "summary",
]
