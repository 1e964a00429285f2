"""Small-sample statistics of yes/no evaluations, on numpy alone.

Rates (`intervals`), paired differences (`paired`), bounds for gates (`bounds`, `means`), several
tests at once (`multiple`), agreement of two raters (`agreement`) or of any number (`krippendorff`),
what raters say together (`dawid_skene`), a judge's rate corrected by labels (`ppi`), anything else
(`bootstrap`) and planning (`power`). Left out: models, Bayesian intervals, and anything that needs
scipy.
"""

from selaras.stats.agreement import cohen_kappa
from selaras.stats.bootstrap import bca
from selaras.stats.bounds import (
    difference_bounds,
    effective_clusters,
    pairs_to_decide,
    rate_bounds,
    rows_to_decide,
)
from selaras.stats.dawid_skene import Consensus, one_coin
from selaras.stats.intervals import Interval, clopper_pearson, clustered_wilson, wilson
from selaras.stats.krippendorff import krippendorff_alpha
from selaras.stats.means import mean_bounds, scores_to_decide
from selaras.stats.multiple import holm
from selaras.stats.paired import PairedDifference, paired_difference, paired_means
from selaras.stats.power import paired_n, smallest_n, zero_hits_upper
from selaras.stats.ppi import PowerTuned, ppi_mean

__all__ = [
    "Consensus",
    "Interval",
    "PairedDifference",
    "PowerTuned",
    "bca",
    "clopper_pearson",
    "clustered_wilson",
    "cohen_kappa",
    "difference_bounds",
    "effective_clusters",
    "holm",
    "krippendorff_alpha",
    "mean_bounds",
    "one_coin",
    "paired_difference",
    "paired_means",
    "paired_n",
    "pairs_to_decide",
    "ppi_mean",
    "rate_bounds",
    "rows_to_decide",
    "scores_to_decide",
    "smallest_n",
    "wilson",
    "zero_hits_upper",
]
