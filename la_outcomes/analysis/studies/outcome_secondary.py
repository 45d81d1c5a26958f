"""The mRS question asked in other ways: partial proportional odds, two groups of grades, interactions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from la_outcomes.analysis.covariance import FewClustersWarning
from la_outcomes.analysis.linear import fit_logistic, wald_test
from la_outcomes.analysis.ordinal import fit_partial_proportional_odds, likelihood_ratio
from la_outcomes.analysis.results import require_rows
from la_outcomes.analysis.studies.common import Exposure, cluster_column, usable_terms
from la_outcomes.analysis.studies.outcome_mrs import (
    FittedSpecification,
    cut_point_names,
    fit_specification,
    same_patients,
)

DICHOTOMIES = {"mRS 3-6 v 0-2": 3, "mRS 2-6 v 0-1": 2}
MODIFIERS = {"nihss_admission": "NIHSS", "ln_infarct": "ln(infarct mL + 1)", "reperfusion": "reperfusion"}
_Z = 1.959964


@dataclass(frozen=True)
class PartialOdds:
    """Odds ratio of the exposure at each cut-point, other terms with one odds ratio; test of that freedom."""

    table: pd.DataFrame
    p_equal: float
    n: int


def partial_odds(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, full: FittedSpecification
) -> PartialOdds:
    """Let the exposure alone have an odds ratio at each cut-point (Peterson and Harrell 1990).

    Raises
    ------
    StatisticsError
        Cut-points cross or a covariate separates one: then the model has no estimate.
    """
    rows = same_patients(frame, outcome, exposure.name, full.covariates)
    rows = rows.assign(**{outcome: rows[outcome].astype("Float64").astype(float)})
    partial = fit_partial_proportional_odds(
        rows, outcome, [exposure.name, *full.covariates], nonparallel=[exposure.name]
    )
    own = partial.coefficients[partial.coefficients["term"] == exposure.name]
    table = pd.DataFrame(
        {
            "cut_point": cut_point_names(own["cutpoint"]),
            "odds_ratio": own["odds_ratio"].to_numpy(),
            "odds_ratio_ci_low": own["ci_low"].to_numpy(),
            "odds_ratio_ci_high": own["ci_high"].to_numpy(),
            "p_value": own["p"].to_numpy(),
        }
    )
    return PartialOdds(table, likelihood_ratio(partial, full.fit).p, partial.n)


def dichotomies(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, nested: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Odds ratio of a worse group of grades, crude and fully adjusted, on the same patients."""
    widest = max(nested.values(), key=len)
    rows = same_patients(frame, outcome, exposure.name, widest)
    cluster = cluster_column(rows)
    table = []
    for name, worse in DICHOTOMIES.items():
        event = (rows[outcome].astype(float) >= worse).astype(float)
        both = rows.assign(event=event)
        for specification in (next(iter(nested)), list(nested)[-1]):
            kept, _ = usable_terms(both, list(nested[specification]))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FewClustersWarning)  # captions say it: see errors_in_words
                fit = fit_logistic(
                    both, "event", [exposure.name, *kept], covariance="cluster" if cluster else "classical",
                    cluster=cluster,
                )  # fmt: skip
            own = fit.coefficients.set_index("term").loc[exposure.name]
            table.append(
                {"outcome": name, "specification": specification, "odds_ratio": own["odds_ratio"],
                 "odds_ratio_ci_low": own["ci_low"], "odds_ratio_ci_high": own["ci_high"],
                 "p_value": own["p"], "n": fit.n, "n_worse": int(event.sum())}
            )  # fmt: skip
    return pd.DataFrame(table)


def interactions(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, covariates: Sequence[str]
) -> pd.DataFrame:
    """The exposure's common odds ratio at a low and a high value of severity and treatment.

    Each from one model with exposure x modifier, fully adjusted; ``interaction_p`` is the Wald test of that
    product. Low and high: no and yes, or the quartiles of the patients.

    Raises
    ------
    StatisticsError
        No modifier varies.
    """
    kept, _ = usable_terms(frame[frame[outcome].notna()], list(covariates))
    rows: list[dict[str, object]] = []
    for modifier, printed in MODIFIERS.items():
        if modifier not in kept:
            continue
        product = f"{exposure.name}:{modifier}"
        fitted = fit_specification(frame, outcome, "interaction", [exposure.name, *kept, product], [])
        p = wald_test(fitted.fit, [product]).p
        values = frame[modifier].dropna()
        is_yes_no = set(values.unique()) <= {0.0, 1.0}
        low, high = (0.0, 1.0) if is_yes_no else np.quantile(values, [0.25, 0.75])
        for value in (low, high):
            name = f"{printed}: {'yes' if value else 'no'}" if is_yes_no else f"{printed} {value:.3g}"
            rows.append(
                {"modifier": name} | _at(fitted, exposure.name, product, float(value))
                | {"interaction_p": p, "n": fitted.fit.n}
            )  # fmt: skip
    require_rows(len(rows), 1, "severity or treatment")
    return pd.DataFrame(rows)


def _at(fitted: FittedSpecification, term: str, product: str, value: float) -> dict[str, object]:
    """Common odds ratio of the exposure where the modifier has a value: exp(b + value * b_product)."""
    names = list(fitted.fit.coefficients["term"])
    contrast = np.zeros(len(names))
    contrast[names.index(term)], contrast[names.index(product)] = 1.0, value
    mean = float(contrast @ fitted.fit.coefficients["estimate"].to_numpy())
    error = float(np.sqrt(contrast @ fitted.fit.cov @ contrast))
    return {
        "common_odds_ratio": float(np.exp(mean)),
        "common_odds_ratio_ci_low": float(np.exp(mean - _Z * error)),
        "common_odds_ratio_ci_high": float(np.exp(mean + _Z * error)),
        "p_value": float(2 * stats.norm.sf(abs(mean / error))),
    }
