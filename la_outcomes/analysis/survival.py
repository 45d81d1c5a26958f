"""Time to death or recurrence: the names that analyses import.

Times are days from onset; an event is 1 (happened) or 0 (censored), a competing one 2.
"""

from la_outcomes.analysis.cox import CoxFit, cox_regression
from la_outcomes.analysis.fine_gray import FineGrayFit, fit_fine_gray
from la_outcomes.analysis.incidence import CumulativeIncidence, cumulative_incidence
from la_outcomes.analysis.kaplan_meier import LogRank, SurvivalCurve, kaplan_meier, log_rank
from la_outcomes.analysis.restricted_mean import (
    RestrictedMean,
    RestrictedMeanDifference,
    compare_restricted_mean,
    restricted_mean,
)

__all__ = [
    "CoxFit",
    "CumulativeIncidence",
    "FineGrayFit",
    "LogRank",
    "RestrictedMean",
    "RestrictedMeanDifference",
    "SurvivalCurve",
    "compare_restricted_mean",
    "cox_regression",
    "cumulative_incidence",
    "fit_fine_gray",
    "kaplan_meier",
    "log_rank",
    "restricted_mean",
]
