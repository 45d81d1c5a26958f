"""Cox regression (lifelines, Efron's ties), with clusters, strata and splines."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from numpy.typing import NDArray

from la_outcomes.analysis.covariance import sum_by
from la_outcomes.analysis.event_times import require_events, times_and_events
from la_outcomes.analysis.model_frame import coefficient_table
from la_outcomes.analysis.proportional_hazards import proportional_hazards_test
from la_outcomes.analysis.results import FloatArray, Missing, Result, complete_rows
from la_outcomes.analysis.terms import Design, Term, build_design, term_variables
from la_outcomes.errors import StatisticsError


@dataclass(frozen=True)
class CoxFit(Result):
    """A Cox regression (see `cox_regression`).

    Attributes
    ----------
    coefficients : term, estimate (log hazard ratio), se, z, p, hazard_ratio, ci_low, ci_high.
    proportional_hazards : term, chi2, df, p (`la_outcomes.analysis.proportional_hazards`; one row a column,
        one a term of several columns, and ``global``). Shown, never a gate.
    cov : p by p covariance of the coefficients, of the kind ``covariance``.
    covariance : "classical", or "cluster" (robust, n_clusters).
    strata : columns whose groups have a baseline hazard each.
    """

    coefficients: pd.DataFrame
    proportional_hazards: pd.DataFrame
    loglik: float
    c_index: float
    n: int
    n_events: int
    n_dropped: int
    covariance: str
    n_clusters: int | None
    cov: FloatArray
    strata: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return the table of coefficients."""
        return self.coefficients.copy()


def cox_regression(
    frame: pd.DataFrame,
    days: str,
    event: str,
    terms: Sequence[Term],
    *,
    cluster: str | None = None,
    strata: Sequence[str] = (),
    missing: Missing = "raise",
) -> CoxFit:
    """Cox proportional hazards with Efron's ties (R ``survival::coxph``); terms are coded as in R.

    Parameters
    ----------
    terms : `la_outcomes.analysis.terms`, splines among them (test their later columns with
        `la_outcomes.analysis.wald.nonlinearity_test`).
    cluster : column; the covariance is then the robust one of ``coxph(cluster = )``: dfbeta residuals summed
        by cluster, without a factor.
    strata : columns; each combination of values has a baseline hazard of its own.

    Raises
    ------
    StatisticsError
        Nobody had the event, fewer events than terms, a constant or collinear term, one cluster, or no
        convergence.
    """
    needed = [days, event, *term_variables(terms), *([cluster] if cluster else []), *strata]
    rows, dropped = complete_rows(frame, needed, missing)
    (time, happened), _ = times_and_events(rows[days], rows[event], "raise", {0.0, 1.0})
    require_events(happened)
    design = build_design(rows, terms)
    if happened.sum() <= len(design.columns):
        raise StatisticsError(
            f"{int(happened.sum())} events cannot estimate {len(design.columns)} coefficients",
            where=event,
            hint="use fewer terms",
        )
    groups = _stratum_codes(rows, strata)
    fitter = _fit_cox(design, time, happened, groups)
    slopes = fitter.params_.to_numpy()
    cov, n_clusters = fitter.variance_matrix_.to_numpy(), None
    if cluster:
        codes = pd.factorize(rows[cluster])[0].astype(np.int64)
        n_clusters = int(codes.max()) + 1
        cov = _clustered(cov, dfbeta_scores(design.matrix, time, happened, slopes, groups), codes)
    table = coefficient_table(design.columns, slopes, np.sqrt(np.diag(cov)), odds=True)
    return CoxFit(
        coefficients=table.rename(columns={"odds_ratio": "hazard_ratio"}),
        proportional_hazards=proportional_hazards_test(design, time, happened, slopes, groups),
        loglik=float(fitter.log_likelihood_),
        c_index=float(fitter.concordance_index_),
        n=len(rows),
        n_events=int(happened.sum()),
        n_dropped=dropped,
        covariance="cluster" if cluster else "classical",
        n_clusters=n_clusters,
        cov=cov,
        strata=tuple(strata),
    )


def _stratum_codes(rows: pd.DataFrame, strata: Sequence[str]) -> NDArray[np.int64]:
    if not strata:
        return np.zeros(len(rows), dtype=np.int64)
    return rows.groupby(list(strata), sort=True, observed=True).ngroup().to_numpy().astype(np.int64)


def _fit_cox(
    design: Design, time: FloatArray, happened: FloatArray, groups: NDArray[np.int64]
) -> CoxPHFitter:
    table = pd.DataFrame(design.matrix, columns=list(design.columns)).assign(_days=time, _event=happened)
    many = bool(groups.max() > 0)
    if many:
        table["_stratum"] = groups
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            return CoxPHFitter().fit(
                table,
                "_days",
                "_event",
                strata=["_stratum"] if many else None,
                fit_options={"precision": 1e-12},
            )
    except (ConvergenceError, ConvergenceWarning) as error:
        raise StatisticsError(
            "the Cox regression did not converge",
            where=", ".join(design.columns),
            hint="look for a term that separates events from non-events, or use fewer terms",
        ) from error


def _clustered(inverse: FloatArray, scores: FloatArray, codes: NDArray[np.int64]) -> FloatArray:
    if codes.max() < 1:
        raise StatisticsError("one cluster only", where="cluster", hint="leave cluster= out")
    sums = sum_by(scores, codes)
    return np.asarray(inverse @ (sums.T @ sums) @ inverse)


def dfbeta_scores(
    x: FloatArray, time: FloatArray, happened: FloatArray, slopes: FloatArray, groups: NDArray[np.int64]
) -> FloatArray:
    """Return each row's score residual with Efron's ties (n by p), as R ``residuals(fit, "score")``.

    Of d tied deaths, step k = 0..d-1 has the risk set in which those d count 1 - k/d; each of them gets the
    average residual of all steps (Therneau and Grambsch 2000, Modeling Survival Data, p. 82-83).
    """
    scores = np.empty_like(x)
    for group in np.unique(groups):
        inside = groups == group
        scores[inside] = _stratum_scores(x[inside], time[inside], happened[inside], slopes)
    return scores


def _stratum_scores(x: FloatArray, time: FloatArray, happened: FloatArray, slopes: FloatArray) -> FloatArray:
    x = x - x.mean(axis=0)
    risk = np.exp(x @ slopes)
    scores = np.zeros_like(x)
    for day in np.unique(time[happened == 1]):
        at_risk, died = time >= day, (time == day) & (happened == 1)
        count = int(died.sum())
        for step in range(count):
            weight = risk * (at_risk - step / count * died)
            total = weight.sum()
            mean = weight @ x / total
            scores -= (x - mean) * (weight / total)[:, None]
            scores[died] += (x[died] - mean) / count
    return scores
