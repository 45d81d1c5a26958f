"""Missing data: multiple imputation and the pooling of what is fitted to it."""

from la_outcomes.analysis.impute import Imputations, impute
from la_outcomes.analysis.imputed_bootstrap import (
    BootstrappedImputations,
    BootstrapThenImpute,
    bootstrap_imputed,
    bootstrap_then_impute,
)
from la_outcomes.analysis.imputed_fit import ImputedFit, fit_imputed
from la_outcomes.analysis.pooled_tests import PooledTest, pool_d2, pool_likelihood_ratio, pool_wald
from la_outcomes.analysis.pooling import Pooled, pool

__all__ = [
    "BootstrapThenImpute",
    "BootstrappedImputations",
    "Imputations",
    "ImputedFit",
    "Pooled",
    "PooledTest",
    "bootstrap_imputed",
    "bootstrap_then_impute",
    "fit_imputed",
    "impute",
    "pool",
    "pool_d2",
    "pool_likelihood_ratio",
    "pool_wald",
]
