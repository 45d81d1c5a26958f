"""The modified Rankin scale on LA volume: common odds ratios, cut-points, fifths, shape, truth."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.analysis.covariance import FewClustersWarning
from la_outcomes.analysis.names import in_words
from la_outcomes.analysis.ordinal import ProportionalOddsFit, fit_proportional_odds, likelihood_ratio
from la_outcomes.analysis.results import complete_rows, require_rows
from la_outcomes.analysis.studies.common import Exposure, cluster_column, quintiles, usable_terms
from la_outcomes.analysis.terms import CategoricalTerm, SplineTerm, Term
from la_outcomes.errors import StatisticsError

FIFTH = "fifth"
RIDGE = 1.0


@dataclass(frozen=True)
class FittedSpecification:
    """A fitted specification: its name, covariates, those left out because they do not vary, and the fit."""

    name: str
    covariates: list[str]
    left_out: list[str]
    fit: ProportionalOddsFit

    @property
    def adjustment(self) -> str:
        """Covariates in words."""
        return in_words(self.covariates) or "none"

    def number(self, term: str, column: str) -> float:
        """One number of the table of coefficients."""
        found = self.fit.coefficients.set_index("term")[column]
        return float(found.loc[term])

    def row(self, term: str) -> dict[str, Any]:
        """One row of a table: the common odds ratio of ``term``."""
        return {
            "specification": self.name,
            "common_odds_ratio": self.number(term, "odds_ratio"),
            "common_odds_ratio_ci_low": self.number(term, "ci_low"),
            "common_odds_ratio_ci_high": self.number(term, "ci_high"),
            "p_value": self.number(term, "p"),
            "n": self.fit.n,
            "adjustment": self.adjustment,
        }


def fit_specification(
    frame: pd.DataFrame, outcome: str, name: str, terms: Sequence[Term], covariates: Sequence[str]
) -> FittedSpecification:
    """Fit a proportional-odds model on the patients complete for it; errors clustered by centre if enough.

    Raises
    ------
    StatisticsError
        The outcome is unknown for everybody or has one level, or the model cannot be estimated.
    """
    if frame[outcome].notna().sum() == 0:
        raise StatisticsError(f"{outcome} is not known for anybody", where=outcome)
    kept, left_out = usable_terms(frame[frame[outcome].notna()], list(covariates))
    cluster = cluster_column(frame)
    ordered = frame.assign(**{outcome: frame[outcome].astype("Float64").astype(float)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)  # captions say it: see errors_in_words
        fit = fit_proportional_odds(
            ordered,
            outcome,
            [*terms, *kept],
            covariance="cluster" if cluster else "classical",
            cluster=cluster,
            missing="drop",
        )
    return FittedSpecification(name, kept, left_out, fit)


def same_patients(
    frame: pd.DataFrame, outcome: str, exposure: str | None, covariates: Sequence[str]
) -> pd.DataFrame:
    """The patients complete for the fullest specification, so that nested ones differ in terms alone."""
    kept, _ = usable_terms(frame, list(covariates))
    needed = [outcome, *([exposure] if exposure else []), *kept]
    complete, _ = complete_rows(frame, needed, "drop")
    return frame.loc[complete.index].reset_index(drop=True)


def nested_specifications(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, nested: Mapping[str, Sequence[str]]
) -> list[FittedSpecification]:
    """Fit each specification on the same patients, the crude one also on everybody who has the exposure."""
    first = next(iter(nested))
    everybody = fit_specification(
        frame, outcome, f"{first} (all with volume)", [exposure.name], nested[first]
    )
    widest = max(nested.values(), key=len)
    complete = same_patients(frame, outcome, exposure.name, widest)
    return [
        everybody,
        *(fit_specification(complete, outcome, name, [exposure.name], nested[name]) for name in nested),
    ]


def cut_points(fitted: FittedSpecification, term: str) -> tuple[pd.DataFrame, str]:
    """Odds ratio of being above each cut-point of the mRS, each from its own logistic regression.

    Where a covariate separates a cut-point, all cut-points are fitted with a small ridge penalty. Returns
    the table and how it was fitted, in words.
    """
    try:
        table, how = fitted.fit.cutpoint_odds_ratios(), "maximum likelihood"
    except StatisticsError:
        table = fitted.fit.cutpoint_odds_ratios(penalty=RIDGE)
        how = f"ridge penalty {RIDGE:g}, because a covariate separates a cut-point"
    own = table[table["term"] == term]
    shown = pd.DataFrame(
        {
            "cut_point": cut_point_names(own["cutpoint"]),
            "odds_ratio": own["odds_ratio"].to_numpy(),
            "odds_ratio_ci_low": own["ci_low"].to_numpy(),
            "odds_ratio_ci_high": own["ci_high"].to_numpy(),
            "p_value": own["p"].to_numpy(),
            "n_above": own["n_above"].to_numpy(),
        }
    )
    return shown, how


def cut_point_names(cutpoints: Iterable[object]) -> list[str]:
    """``1.0|2.0`` becomes ``0-1 v 2-6``."""
    below = [int(float(str(cut).split("|")[0])) for cut in cutpoints]
    return [f"{_grades(0, grade)} v {_grades(grade + 1, 6)}" for grade in below]


def _grades(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def fifth_table(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, covariates: Sequence[str]
) -> tuple[pd.DataFrame, float]:
    """Common odds ratios of fifths 2 to 5 against the first, and p of a linear trend over 1 to 5."""
    with_fifths = frame.assign(**{FIFTH: quintiles(frame[exposure.column])})
    fitted = fit_specification(
        with_fifths, outcome, "fifths", [CategoricalTerm(FIFTH, reference=1.0)], covariates
    )
    trend = fit_specification(with_fifths, outcome, "trend", [FIFTH], covariates)
    rows = fitted.fit.coefficients.set_index("term")
    used = same_patients(with_fifths, outcome, FIFTH, covariates)[FIFTH].value_counts()
    table = [{"fifth": "Q1 (reference)", "common_odds_ratio": 1.0, "n": int(used[1.0])}]
    for level in (2.0, 3.0, 4.0, 5.0):
        row = rows.loc[f"{FIFTH}{level}"]
        table.append(
            {
                "fifth": f"Q{level:g}",
                "common_odds_ratio": row["odds_ratio"],
                "common_odds_ratio_ci_low": row["ci_low"],
                "common_odds_ratio_ci_high": row["ci_high"],
                "p_value": row["p"],
                "n": int(used.get(level, 0)),
            }
        )
    return pd.DataFrame(table), trend.number(FIFTH, "p")


@dataclass(frozen=True)
class Shape:
    """The effect of volume without assuming a straight line.

    Attributes
    ----------
    curve : volume_ml, odds_ratio, ci_low, ci_high against the median volume.
    p_nonlinear : likelihood-ratio test of the spline against the line.
    """

    curve: pd.DataFrame
    p_nonlinear: float
    n: int
    reference_ml: float


def shape_of_effect(
    frame: pd.DataFrame, outcome: str, exposure: Exposure, covariates: Sequence[str], knots: int = 4
) -> Shape:
    """Restricted cubic spline of ln(mL + 1) in the proportional-odds model, tested against the line."""
    complete = same_patients(frame, outcome, exposure.name, covariates)
    line = fit_specification(complete, outcome, "line", [exposure.name], covariates)
    spline = fit_specification(complete, outcome, "spline", [SplineTerm(exposure.name, knots)], covariates)
    test = likelihood_ratio(spline.fit, line.fit)
    design = spline.fit.model.design
    columns = design.columns_of(exposure.name)
    low, middle, high = np.quantile(complete[exposure.name], [0.02, 0.5, 0.98])
    grid = np.linspace(low, high, 80)
    coding = next(part for part in design.codings if part.variables == (exposure.name,))
    basis = coding.encode(pd.DataFrame({exposure.name: grid}))
    contrast = basis - coding.encode(pd.DataFrame({exposure.name: [middle]}))
    beta = spline.fit.coefficients["estimate"].to_numpy()[columns]
    cov = spline.fit.cov[np.ix_(columns, columns)]
    log_or, error = contrast @ beta, np.sqrt(np.einsum("ij,jk,ik->i", contrast, cov, contrast))
    curve = pd.DataFrame(
        {
            "volume_ml": np.expm1(grid * exposure.sd),
            "odds_ratio": np.exp(log_or),
            "ci_low": np.exp(log_or - 1.96 * error),
            "ci_high": np.exp(log_or + 1.96 * error),
        }
    )
    return Shape(curve, test.p, spline.fit.n, float(np.expm1(middle * exposure.sd)))


def grotta_shares(frame: pd.DataFrame, outcome: str, groups: pd.Series) -> pd.DataFrame:
    """Share of patients at each mRS 0 to 6 (columns) in each group (rows), with n a group.

    Raises
    ------
    StatisticsError
        Nobody has an outcome and a group.
    """
    known = frame[outcome].notna() & groups.notna()
    require_rows(int(known.sum()), 1, outcome)
    counts = pd.crosstab(groups[known], frame.loc[known, outcome].astype(int)).reindex(
        columns=range(7), fill_value=0
    )
    return counts.div(counts.sum(axis=1), axis=0).assign(n=counts.sum(axis=1))
