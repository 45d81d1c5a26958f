"""Is the agreement of LA volume the same in subgroups? One homogeneity test for each division."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.analysis.correlation import ccc_homogeneity, correlate
from la_outcomes.analysis.linear import fit_linear
from la_outcomes.analysis.studies.accuracy import (
    COMPARISONS,
    Comparison,
    absolute_error,
    both_known,
    resamples,
    with_interval,
)
from la_outcomes.analysis.terms import CategoricalTerm
from la_outcomes.errors import StatisticsError

INFARCT_ML = 10.0
SMALLEST_GROUP = 10


@dataclass(frozen=True)
class Division:
    """A way to divide patients: its printed name and the group of each (None where unknown)."""

    name: str
    groups: Callable[[pd.DataFrame], pd.Series]
    order: tuple[str, ...] = ()

    def in_order(self, found: Iterable[str]) -> list[str]:
        """Groups in their natural order, or sorted by name."""
        return [name for name in self.order if name in set(found)] or sorted(found)


def _by(column: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda frame: frame[column].astype(object).where(frame[column].notna(), None)


def _cut(name: str, column: str, edges: tuple[float, ...], groups: tuple[str, ...]) -> Division:
    """Groups by limits; a value on a limit belongs to the lower group."""

    def divide(frame: pd.DataFrame) -> pd.Series:
        values = frame[column].astype(float)
        codes = np.searchsorted(edges, values.fillna(0).to_numpy(), side="left")
        return pd.Series([groups[code] for code in codes], index=frame.index).where(values.notna(), None)

    return Division(name, divide, groups)


DIVISIONS = (
    Division("CT vendor", _by("manufacturer")),
    _cut("Infarct volume", "infarct_volume_ml", (INFARCT_ML,), ("≤10 mL", ">10 mL")),
    _cut("Slice thickness", "slice_thickness_mm", (3.0, 5.0), ("≤3 mm", ">3 to 5 mm", ">5 mm")),
    Division("Kernel", _by("kernel")),
    Division("Sex", _by("sex")),
    _cut("Age", "age_years", (60.0, 75.0), ("≤60 years", ">60 to 75 years", ">75 years")),
    Division("Centre", _by("site")),
)


def best_comparison(pairs: pd.DataFrame) -> Comparison:
    """Against the pseudo-label where there is one for enough pairs, else against WMH on MRI.

    Raises
    ------
    StatisticsError
        Too few pairs have either.
    """
    _, against_label, against_mri = COMPARISONS
    for comparison in (against_label, against_mri):
        if len(both_known(pairs, comparison)) >= 2 * SMALLEST_GROUP:
            return comparison
    raise StatisticsError(
        f"fewer than {2 * SMALLEST_GROUP} pairs have an LA volume and a reference", where="agreement_pairs"
    )


def subgroup_rows(pairs: pd.DataFrame, comparison: Comparison, division: Division, seed: int) -> pd.DataFrame:
    """Agreement in each group with its spread, bias and absolute error, and one test over the groups.

    Groups of fewer than ``SMALLEST_GROUP`` are left out and counted in ``n_left_out``.

    Raises
    ------
    StatisticsError
        Fewer than two groups are large enough.
    """
    known = both_known(pairs, comparison)
    groups = division.groups(known)
    sizes = groups.value_counts()
    large = groups.isin(sizes[sizes >= SMALLEST_GROUP].index)
    if groups[large].nunique() < 2:
        raise StatisticsError(
            f"fewer than two groups of {SMALLEST_GROUP} or more; found: {', '.join(map(str, sizes.index))}",
            where=division.name,
        )
    used = known[large].assign(group=groups[large])
    n_boot = resamples(len(used))
    measured, reference = used[comparison.measured], used[comparison.reference]
    test = ccc_homogeneity(measured, reference, used["group"], seed=seed, n_boot=n_boot)
    parts = {str(name): own for name, own in used.groupby("group")}
    rows = [_row(name, parts[name], comparison, seed) for name in division.in_order(parts)]
    return pd.DataFrame(rows).assign(
        division=division.name,
        homogeneity_p=test.p,
        n_boot=n_boot,
        n_left_out=int((~large & groups.notna()).sum()),
    )


def _row(name: str, own: pd.DataFrame, comparison: Comparison, seed: int) -> dict[str, object]:
    measured, reference = own[comparison.measured], own[comparison.reference]
    ccc, r = lins_ccc(measured, reference), correlate(measured, reference)
    slope = fit_linear(own, comparison.measured, [comparison.reference], covariance="HC3").coefficients.iloc[
        1
    ]
    difference = (measured - reference).astype(float)
    bias, error = float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))
    margin = float(stats.t.ppf(0.975, len(difference) - 1)) * error
    return {
        "group": name,
        "n": len(own),
        "ccc": ccc.ccc,
        "ccc_ci_low": ccc.ci_low,
        "ccc_ci_high": ccc.ci_high,
        "pearson_r": r.estimate,
        "pearson_r_ci_low": r.ci_low,
        "pearson_r_ci_high": r.ci_high,
        "slope": slope["estimate"],
        "slope_ci_low": slope["ci_low"],
        "slope_ci_high": slope["ci_high"],
        **with_interval("bias_ml", bias, bias - margin, bias + margin),
        **absolute_error(measured, reference, seed),
        "sd_difference_ml": float(difference.std()),
        "sd_reference_ml": float(reference.std()),
    }


def harmonised_by_vendor(pairs: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """The pairs with the measured volume brought to one location and scale over the CT vendors.

    ln(mL + 1) is regressed on vendor, age and sex; each vendor's shift is taken out and its residuals are
    brought to the common SD. This is ComBat (Fortin 2018) for one feature, where its empirical Bayes has
    nothing to borrow from and the libraries for it ask for several. Age and sex differences stay.

    Raises
    ------
    StatisticsError
        Fewer than two vendors with ``SMALLEST_GROUP`` pairs each.
    """
    known = both_known(pairs, comparison).dropna(subset=["manufacturer", "age_years", "sex"])
    sizes = known["manufacturer"].value_counts()
    large = sizes[sizes >= SMALLEST_GROUP].index
    known = known[known["manufacturer"].isin(large)].reset_index(drop=True)
    if len(large) < 2:
        raise StatisticsError(
            f"fewer than two vendors with {SMALLEST_GROUP} pairs", where="manufacturer",
        )  # fmt: skip
    frame = known.assign(
        log_volume=np.log1p(known[comparison.measured].astype(float)),
        female=(known["sex"] == "female").astype(float),
    )
    constant = [name for name in ("age_years", "female") if frame[name].nunique() < 2]
    terms = [CategoricalTerm("manufacturer"), *(n for n in ("age_years", "female") if n not in constant)]
    fit = fit_linear(frame, "log_volume", terms)
    fitted = fit.predict(frame)
    residual = frame["log_volume"] - fitted
    columns = [i + 1 for i in fit.design.columns_of("manufacturer")]
    shift = fit.design.encode(frame)[:, [i - 1 for i in columns]] @ fit.parameters[columns]
    scale = residual.std() / residual.groupby(frame["manufacturer"]).transform("std")
    logs = fitted - shift + shift.mean() + residual * scale
    return known.assign(**{comparison.measured: np.expm1(logs).clip(lower=0)})
