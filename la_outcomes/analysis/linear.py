"""Linear, logistic and quantile regression, their covariances and tests: the names that analyses import."""

from la_outcomes.analysis.covariance import FewClustersWarning
from la_outcomes.analysis.least_squares import LinearFit, fit_linear
from la_outcomes.analysis.logistic import LogisticFit, fit_logistic
from la_outcomes.analysis.mantel_haenszel import MantelHaenszel, mantel_haenszel
from la_outcomes.analysis.quantile import NonuniqueSolutionWarning, QuantileFit, fit_quantile
from la_outcomes.analysis.splines import SplineBasis, restricted_cubic_spline
from la_outcomes.analysis.terms import CategoricalTerm, SplineTerm
from la_outcomes.analysis.wald import WaldTest, nonlinearity_test, wald_test
from la_outcomes.analysis.wild_bootstrap import WildClusterBootstrap, wild_cluster_bootstrap

__all__ = [
    "CategoricalTerm",
    "FewClustersWarning",
    "LinearFit",
    "LogisticFit",
    "MantelHaenszel",
    "NonuniqueSolutionWarning",
    "QuantileFit",
    "SplineBasis",
    "SplineTerm",
    "WaldTest",
    "WildClusterBootstrap",
    "fit_linear",
    "fit_logistic",
    "fit_quantile",
    "mantel_haenszel",
    "nonlinearity_test",
    "restricted_cubic_spline",
    "wald_test",
    "wild_cluster_bootstrap",
]
