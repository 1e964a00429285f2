"""Small-sample statistics of yes/no evaluations, on numpy alone.

Rates (`intervals`), paired differences (`paired`), several tests at once (`multiple`), agreement
of two raters (`agreement`) and planning (`power`). Left out: models, Bayesian intervals, and
anything that needs scipy.
"""

from selaras.stats.agreement import cohen_kappa
from selaras.stats.intervals import Interval, clopper_pearson, clustered_wilson, wilson
from selaras.stats.multiple import holm
from selaras.stats.paired import PairedDifference, paired_difference
from selaras.stats.power import paired_n, zero_hits_upper

__all__ = [
    "Interval",
    "PairedDifference",
    "clopper_pearson",
    "clustered_wilson",
    "cohen_kappa",
    "holm",
    "paired_difference",
    "paired_n",
    "wilson",
    "zero_hits_upper",
]
