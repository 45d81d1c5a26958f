"""Is the odds ratio the same at every cut-point? Separate logistic regressions, and Brant's test of them."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from la_outcomes.analysis.cumulative_model import CumulativeModel
from la_outcomes.analysis.model_frame import coefficient_table
from la_outcomes.analysis.ordinal_newton import CumulativeFit, fit_cumulative
from la_outcomes.analysis.results import FloatArray
from la_outcomes.analysis.separation import refuse_separation
from la_outcomes.errors import StatisticsError


def brant_test(model: CumulativeModel) -> pd.DataFrame:
    """Test proportional odds for all terms together (``omnibus``) and for each coefficient.

    The K - 1 logistic regressions of Y > k have coefficients b_k with joint covariance blocks
    (X'W_kk X)^-1 X'W_kl X (X'W_ll X)^-1, W_kk = p_k (1 - p_k), W_kl = p_l - p_k p_l for k < l (Brant 1990,
    Biometrics 46:1171, eq. 3-5); the statistic is the Wald test of b_1 = b_2 = ... on p (K - 2) degrees of
    freedom, or K - 2 for one coefficient. Equals R ``brant::brant`` with the covariance made symmetric (its
    version 0.3-0 leaves a transpose out).

    A small p says that the odds ratio differs between cut-points. It does not make the common odds ratio
    wrong, and choosing the model by this test inflates type I error.

    Returns
    -------
    term (``omnibus`` first), chi2, df, p.

    Raises
    ------
    StatisticsError
        Two levels (a single cut-point), no terms, or separation at a cut-point; the variable is named.
    """
    p, n_cuts = model.design.matrix.shape[1], model.fit.n_thresholds
    if n_cuts < 2:
        raise StatisticsError(
            "two levels have one cut-point: nothing to compare",
            where=model.rows.outcome,
            hint="the test needs at least three levels",
        )
    if p == 0:
        raise StatisticsError(
            "the model has no terms", where=model.rows.outcome, hint="fit one term at least"
        )
    fits = _cutpoint_fits(model, 0.0)
    slopes = np.array([fit.beta for fit in fits])
    covariance = _joint_covariance(model, fits)
    rows = [_compare("omnibus", slopes, covariance)]
    for j, name in enumerate(model.design.columns):
        rows.append(_compare(name, slopes[:, [j]], covariance[:, [j]][:, :, :, [j]]))
    return pd.DataFrame(rows, columns=["term", "chi2", "df", "p"])


def cutpoint_table(model: CumulativeModel, penalty: float) -> pd.DataFrame:
    """Return, for each cut-point k and term, the odds ratio of Y > k from its own logistic regression.

    Columns: cutpoint (``"0|1"``), n_above (patients above it), term, estimate, se, z, p, odds_ratio, ci_low,
    ci_high. ``penalty`` as in `fit_proportional_odds`, for cut-points with separation. Show it beside the
    common odds ratio, which can hide odds ratios that differ.

    Raises
    ------
    StatisticsError
        Separation at a cut-point; the variable and the cut-point are named.
    """
    labels, blocks = model.labels, []
    for cut, fit in enumerate(_cutpoint_fits(model, penalty)):
        errors = np.sqrt(np.diag(fit.covariance))[1:]
        block = coefficient_table(model.design.columns, fit.beta, errors, odds=True)
        block.insert(0, "cutpoint", f"{labels[cut]}|{labels[cut + 1]}")
        block.insert(1, "n_above", int(model.rows.weights[model.codes > cut].sum()))
        blocks.append(block)
    return pd.concat(blocks, ignore_index=True)


def _cutpoint_fits(model: CumulativeModel, penalty: float) -> list[CumulativeFit]:
    x, weights, fits = model.design.matrix, model.rows.weights, []
    for cut in range(model.fit.n_thresholds):
        above = (model.codes > cut).astype(np.int64)
        fit = fit_cumulative(x, above, weights, penalty=penalty)
        if fit.suspect:
            outcome = f"{model.rows.outcome} at the cut-point {model.labels[cut]}|{model.labels[cut + 1]}"
            hint = "pool levels, or ask for penalised cut-points: cutpoint_odds_ratios(penalty=1.0)"
            refuse_separation(x, above, model.design.columns, outcome=outcome, hint=hint)
        fits.append(fit)
    return fits


def _joint_covariance(model: CumulativeModel, fits: list[CumulativeFit]) -> NDArray[np.float64]:
    """Return cov(b_kj, b_li) as an array [k, j, l, i]."""
    x, p = model.design.matrix, model.design.matrix.shape[1]
    full = np.column_stack([np.ones(len(x)), x])
    # The sign of the intercept: the two-level fit has a threshold, -intercept.
    above = [expit(x @ fit.beta - fit.thresholds[0]) for fit in fits]
    breads = []
    for share in above:
        breads.append(np.linalg.inv(full.T @ (full * (model.rows.weights * share * (1 - share))[:, None])))
    joint = np.empty((len(fits), p, len(fits), p))
    for k, m in combinations_with_replacement(range(len(fits)), 2):
        shared = model.rows.weights * (above[m] - above[k] * above[m])
        block = (breads[k] @ (full.T @ (full * shared[:, None])) @ breads[m])[1:, 1:]
        joint[k, :, m], joint[m, :, k] = block, block.T
    return joint


def _compare(name: str, slopes: FloatArray, covariance: FloatArray) -> tuple[str, float, int, float]:
    """Wald test that all rows of ``slopes`` (cut-points by coefficients) are equal."""
    n_cuts, p = slopes.shape
    contrast = np.kron(np.column_stack([np.ones(n_cuts - 1), -np.eye(n_cuts - 1)]), np.eye(p))
    flat = covariance.reshape(n_cuts * p, n_cuts * p)
    difference = contrast @ slopes.ravel()
    chi2 = float(difference @ np.linalg.solve(contrast @ flat @ contrast.T, difference))
    df = len(difference)
    return name, chi2, df, float(stats.chi2.sf(chi2, df))
