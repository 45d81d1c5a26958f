"""The rows a regression uses: complete, weighted, with their clusters, and the table of its coefficients."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from la_outcomes.analysis.results import FloatArray, Missing, complete_rows, require_spread
from la_outcomes.analysis.terms import Design, Term, build_design, term_variables
from la_outcomes.errors import StatisticsError

IntArray = NDArray[np.int64]
ColumnOrArray = str | Sequence[Any] | NDArray[Any] | pd.Series
Clusters = tuple[IntArray, ...]
_LARGEST_LOG = 700.0
_WEIGHTS = "(weights)"
_CLUSTER = "(cluster {})"


@dataclass(frozen=True)
class ModelRows:
    """Rows a model is fitted to.

    Attributes
    ----------
    frame : the complete rows, all columns the model needs.
    outcome : the outcome's name.
    weights : frequencies, one a row (1 when none were given).
    clusters : codes 0..G-1 of each clustering, one array a clustering.
    positions : place of each row in the frame the caller gave.
    n_dropped : rows left out because a value was missing.
    """

    frame: pd.DataFrame
    outcome: str
    weights: FloatArray
    clusters: Clusters
    positions: IntArray
    n_dropped: int

    @property
    def n(self) -> int:
        """Number of patients: the sum of the frequencies."""
        return int(self.weights.sum())

    def measurement(self) -> FloatArray:
        """Return the outcome as numbers.

        Raises
        ------
        StatisticsError
            It does not hold numbers, or is constant.
        """
        values = self.frame[self.outcome]
        if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype.kind not in "biuf":
            raise StatisticsError(
                f"{self.outcome} does not hold numbers", where=self.outcome, hint="fit_proportional_odds?"
            )
        y: FloatArray = values.to_numpy(dtype=float)
        require_spread(y, self.outcome)
        return y

    def design(self, terms: Sequence[Term], *, intercepts: int = 1) -> Design:
        """Encode ``terms`` for these rows."""
        if self.outcome in term_variables(terms):
            raise StatisticsError("the outcome is also a term", where=self.outcome, hint="leave it out")
        return build_design(self.frame, terms, intercepts=intercepts)

    def regrouped(self, frame: pd.DataFrame | None, cluster: ColumnOrArray | None) -> ModelRows:
        """Return the same rows with other clusters; ``frame`` is the one the caller gave first.

        Raises
        ------
        StatisticsError
            A cluster is missing in a row, a column is absent, or clusters come without the frame.
        """
        if cluster is None:
            return replace(self, clusters=())
        if frame is None or len(frame) <= self.positions.max():
            raise StatisticsError(
                "clusters need the frame that was fitted", where="cluster", hint="pass frame="
            )
        kept = _cluster_columns(frame, cluster).iloc[self.positions]
        return replace(self, clusters=_codes(complete_rows(kept, list(kept.columns))[0]))


def model_rows(
    frame: pd.DataFrame,
    outcome: str,
    terms: Sequence[Term],
    *,
    weights: ColumnOrArray | None = None,
    cluster: ColumnOrArray | None = None,
    missing: Missing = "raise",
) -> ModelRows:
    """Collect the complete rows with weight above 0.

    ``weights`` is a column or one number a row; ``cluster`` a column, several columns (multi-way), or one
    label a row.

    Raises
    ------
    StatisticsError
        Missing values while ``missing="raise"``, infinite values, absent columns, weights that are not
        frequencies.
    """
    needed = list(dict.fromkeys([outcome, *term_variables(terms)]))
    absent = [name for name in needed if name not in frame.columns]
    if absent:
        raise StatisticsError(f"there is no column {absent[0]!r}", where=absent[0], hint="check its name")
    used = frame[needed]
    groups = pd.DataFrame() if cluster is None else _cluster_columns(frame, cluster)
    if weights is not None or len(groups.columns):
        added = (
            groups.set_axis(frame.index, axis=0) if len(groups.columns) else pd.DataFrame(index=frame.index)
        )
        used = used.assign(
            **added, **({} if weights is None else {_WEIGHTS: _values(frame, weights, "weights")})
        )
    kept, positions = _complete(used, missing)
    n_dropped = len(used) - len(kept)
    counts = _frequencies(kept)
    if (counts == 0).any():
        kept, positions, counts = kept[counts > 0], positions[counts > 0], counts[counts > 0]
    return ModelRows(kept, outcome, counts, _codes(kept[list(groups.columns)]), positions, n_dropped)


def _complete(used: pd.DataFrame, missing: Missing) -> tuple[pd.DataFrame, IntArray]:
    """Return complete rows and their positions; a frame without gaps, the usual case, is passed through."""
    columns = [used[name] for name in used.columns]
    if len(used) and missing in ("raise", "drop") and all(_is_whole(column) for column in columns):
        return used, np.arange(len(used))
    kept, _ = complete_rows(used.reset_index(drop=True), list(used.columns), missing)
    positions = kept.index.to_numpy()
    return kept.set_axis(used.index[positions], axis=0), positions


def _is_whole(column: pd.Series) -> bool:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return bool(np.isfinite(column.to_numpy()).all())
    if column.dtype.kind == "f":
        return bool(np.isfinite(column.to_numpy(dtype=float, na_value=np.nan)).all())
    return not column.isna().any()


def _values(frame: pd.DataFrame, source: ColumnOrArray, role: str) -> NDArray:
    if isinstance(source, str):
        if source not in frame.columns:
            raise StatisticsError(
                f"there is no column {source!r} ({role})", where=source, hint="check its name"
            )
        return frame[source].to_numpy()
    values = np.asarray(source)
    if values.shape != (len(frame),):
        raise StatisticsError(f"{role} must have one value a row", where=role, hint=f"{len(frame)} rows")
    return values


def _cluster_columns(frame: pd.DataFrame, cluster: ColumnOrArray) -> pd.DataFrame:
    """Return one column a clustering; a list of names is multi-way unless it has one label a row."""
    is_names = isinstance(cluster, list | tuple) and all(
        isinstance(name, str) and name in frame.columns for name in cluster
    )
    sources: list[ColumnOrArray] = list(cluster) if is_names else [cluster]
    columns = {_CLUSTER.format(i): _values(frame, source, "cluster") for i, source in enumerate(sources)}
    return pd.DataFrame(columns)


def _codes(groups: pd.DataFrame) -> Clusters:
    return tuple(pd.factorize(groups[name])[0].astype(np.int64) for name in groups.columns)


def _frequencies(kept: pd.DataFrame) -> FloatArray:
    if _WEIGHTS not in kept:
        return np.ones(len(kept))
    weights = kept[_WEIGHTS].to_numpy(dtype=float)
    if (weights < 0).any() or (weights != np.round(weights)).any():
        raise StatisticsError(
            "weights are frequencies: whole numbers of patients",
            where="weights",
            hint="sampling or propensity weights need another variance; do not pass them as frequencies",
        )
    if not (weights > 0).any():
        raise StatisticsError("all weights are 0", where="weights", hint="check the selection of rows")
    return weights


def coefficient_table(
    terms: Sequence[Hashable],
    estimates: FloatArray,
    errors: FloatArray,
    *,
    df: FloatArray | float | None = None,
    odds: bool = False,
) -> pd.DataFrame:
    """Return term, estimate, se, z (or t with df), p, [odds_ratio,] ci_low, ci_high, at 95 %.

    With ``odds`` the interval is that of the odds ratio exp(estimate).

    Raises
    ------
    StatisticsError
        A standard error is not a positive number.
    """
    for term, error in zip(terms, errors, strict=True):
        if not (np.isfinite(error) and error > 0):
            raise StatisticsError(
                f"the standard error of {term} is not defined",
                where=term,
                hint="too few clusters or rows for this covariance, or separation",
            )
    ratio = estimates / errors
    margin = (ndtri(0.975) if df is None else stdtrit(df, 0.975)) * errors
    low, high = estimates - margin, estimates + margin
    columns = {"term": list(terms), "estimate": estimates, "se": errors}
    columns |= {"z": ratio} if df is None else {"t": ratio, "df": np.broadcast_to(df, ratio.shape)}
    columns["p"] = 2 * ndtr(-np.abs(ratio)) if df is None else 2 * stdtr(df, -np.abs(ratio))
    if odds:
        columns["odds_ratio"], low, high = (_odds(terms, values) for values in (estimates, low, high))
    return pd.DataFrame(columns | {"ci_low": low, "ci_high": high})


def _odds(terms: Sequence[Hashable], logarithms: FloatArray) -> FloatArray:
    beyond = np.abs(logarithms) > _LARGEST_LOG
    # The intercept's odds are those of a patient whose values are all 0, however far that is from the data.
    refused = [name for name, far in zip(terms, beyond, strict=True) if far and name != "(Intercept)"]
    if refused:
        raise StatisticsError(
            f"the odds ratio of {refused[0]} per unit, or its limit, is beyond what a computer can print",
            where=refused[0],
            hint="give the variable in larger units, or per SD",
        )
    with np.errstate(over="ignore"):
        return np.exp(logarithms)
