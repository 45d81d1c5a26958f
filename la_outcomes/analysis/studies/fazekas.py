"""Fazekas grades on CT: do readers agree, does volume follow the grade, does it find grade 2 and above?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.agreement import weighted_kappa
from la_outcomes.analysis.correlation import correlate
from la_outcomes.analysis.names import cohort_label
from la_outcomes.analysis.prediction import auc, choose_cutoff
from la_outcomes.analysis.results import Interval, require_rows
from la_outcomes.analysis.trend import jonckheere_terpstra
from la_outcomes.errors import StatisticsError

GRADES = (0, 1, 2, 3)
FEWEST_GRADED = 10
SCORES = {
    "fazekas_periventricular": "periventricular",
    "fazekas_deep": "deep",
    "fazekas_max": "maximum of both",
}
PUBLISHED_R = {"external_test": 0.832, "us_test": 0.891}
DEVELOPMENT = ("training", "internal_validation")
TESTED = ("external_test", "us_test", "clinical")


def reader_agreement(frame: pd.DataFrame) -> pd.DataFrame:
    """First readings of both readers: same grade, within one, linear and quadratic weighted kappa.

    Raises
    ------
    StatisticsError
        No patient was graded by two readers.
    """
    rows = []
    for column, printed in SCORES.items():
        both = frame[[f"{column}_r1", f"{column}_r2"]].dropna()
        if both.empty:
            raise StatisticsError("no patient was graded by two readers", where="fazekas_ratings")
        first, second = both.iloc[:, 0].astype(int), both.iloc[:, 1].astype(int)
        row: dict[str, object] = {"score": printed, "n": len(both)}
        row["same_grade_percent"] = 100 * float((first == second).mean())
        row["within_one_percent"] = 100 * float(((first - second).abs() <= 1).mean())
        for weights in ("linear", "quadratic"):
            kappa = weighted_kappa(first, second, GRADES, weights)
            row |= _with_interval(f"kappa_{weights}", kappa.kappa, (kappa.ci_low, kappa.ci_high))
        rows.append(row)
    return pd.DataFrame(rows)


def _with_interval(name: str, estimate: float, interval: Interval) -> dict[str, object]:
    return {name: estimate, f"{name}_ci_low": interval[0], f"{name}_ci_high": interval[1]}


def graded(frame: pd.DataFrame, volume: str) -> pd.DataFrame:
    """Patients with a volume and a maximal grade.

    Raises
    ------
    StatisticsError
        Fewer than 4.
    """
    known = frame.dropna(subset=[volume, "fazekas_max"])
    require_rows(len(known), 4, f"{volume} and fazekas_max")
    return known.assign(grade=known["fazekas_max"].astype(int), volume=known[volume].astype(float))


def volume_by_grade(known: pd.DataFrame) -> pd.DataFrame:
    """Volume in mL at each grade: n, median, quartiles."""
    rows = []
    for grade, own in known.groupby("grade"):
        low, middle, high = own["volume"].quantile([0.25, 0.5, 0.75])
        rows.append(
            {"grade": grade, "n": len(own), "median_ml": middle, "quartiles_ml": f"{low:.1f} to {high:.1f}"}
        )
    return pd.DataFrame(rows)


def association_rows(known: pd.DataFrame, population: str) -> list[dict[str, object]]:
    """Rank and linear correlation of volume with grade, and the trend test, for one population."""
    volume, grade = known["volume"], known["grade"]
    rows: list[dict[str, object]] = []
    for method in ("spearman", "kendall", "pearson"):
        found = correlate(volume, grade, method)
        interval = found.ci_low, found.ci_high
        rows.append(
            {"population": population, "statistic": f"{method.capitalize()} correlation", "n": found.n}
            | _with_interval("estimate", found.estimate, interval)
            | {"p_value": found.p}
        )
    trend = jonckheere_terpstra(volume, grade)
    rows.append(
        {"population": population, "statistic": "Jonckheere-Terpstra z", "n": trend.n, "estimate": trend.z,
         "p_value": trend.p}
    )  # fmt: skip
    return rows


@dataclass(frozen=True)
class CutOff:
    """A volume above which a patient is called grade >= ``grade``, fixed on the named patients."""

    grade: int
    volume_ml: float
    fixed_on: str
    n: int


def fix_cut_off(known: pd.DataFrame, grade: int) -> CutOff:
    """The cut-off with the highest Youden index on the development cohorts.

    Raises
    ------
    StatisticsError
        The development cohorts have fewer than two patients on one side of the grade.
    """
    development = known[known["cohort"].isin(DEVELOPMENT)]
    positive = development["grade"] >= grade
    if min(int(positive.sum()), int((~positive).sum())) < 2:
        raise StatisticsError(f"no cut-off for grade >= {grade} without development patients on both sides",
                              where="training, internal_validation")  # fmt: skip
    best = choose_cutoff(positive.astype(int), development["volume"])
    return CutOff(grade, best.cutoff, "training and internal validation", len(development))


def derived_grade(volume: pd.Series, cut_offs: Sequence[CutOff]) -> pd.Series:
    """Grade by volume: the highest grade whose cut-off the volume reaches; cut-offs are made to rise."""
    ordered = sorted(cut_offs, key=lambda cut: cut.grade)
    limits = np.maximum.accumulate([cut.volume_ml for cut in ordered])
    return pd.Series(np.searchsorted(limits, volume.to_numpy(dtype=float), side="right"), index=volume.index)


def derived_agreement(known: pd.DataFrame, cut_offs: Sequence[CutOff]) -> pd.DataFrame:
    """Quadratic kappa of the grade derived from volume with the reader, beside that of both readers.

    One row a tested cohort; all on the patients of that cohort with a volume, the readers' kappa on those
    whom both graded.

    Raises
    ------
    StatisticsError
        No tested cohort has 10 graded patients, or one of the three cut-offs could not be fixed.
    """
    if {cut.grade for cut in cut_offs} != {1, 2, 3}:
        raise StatisticsError("a grade needs cut-offs for 1, 2 and 3", where="fazekas_max")
    rows: list[dict[str, object]] = []
    for code in TESTED:
        own = known[known["cohort"] == code]
        if len(own) < FEWEST_GRADED:
            continue
        grade = derived_grade(own["volume"], cut_offs)
        row: dict[str, object] = {"population": cohort_label(code), "n": len(own)}
        row["same_grade_percent"] = 100 * float((grade == own["grade"]).mean())
        row["within_one_percent"] = 100 * float(((grade - own["grade"]).abs() <= 1).mean())
        row |= _kappa("kappa_volume_v_reader", grade, own["grade"])
        both = own[["fazekas_max_r1", "fazekas_max_r2"]].dropna().astype(int)
        row |= {"n_two_readers": len(both)}
        if len(both) >= FEWEST_GRADED:
            row |= _kappa("kappa_reader_v_reader", both.iloc[:, 0], both.iloc[:, 1])
        rows.append(row)
    if not rows:
        raise StatisticsError(f"no tested cohort has {FEWEST_GRADED} graded patients", where="fazekas_max")
    return pd.DataFrame(rows)


def _kappa(name: str, first: pd.Series, second: pd.Series) -> dict[str, object]:
    found = weighted_kappa(first.to_numpy(), second.to_numpy(), GRADES, "quadratic")
    return _with_interval(name, found.kappa, (found.ci_low, found.ci_high))


def roc_points(known: pd.DataFrame, grade: int, code: str) -> pd.DataFrame | None:
    """Sensitivity and 1 - specificity at every cut-off of one cohort; None without both sides."""
    own = known[known["cohort"] == code]
    positive = (own["grade"] >= grade).to_numpy()
    if min(positive.sum(), (~positive).sum()) < 2:
        return None
    order = np.argsort(-own["volume"].to_numpy(), kind="stable")
    volume, hit = own["volume"].to_numpy()[order], positive[order]
    last = np.append(np.diff(volume) != 0, True)
    sensitivity = np.concatenate([[0.0], (np.cumsum(hit) / hit.sum())[last]])
    false_alarm = np.concatenate([[0.0], (np.cumsum(~hit) / (~hit).sum())[last]])
    return pd.DataFrame({"false_positive_share": false_alarm, "sensitivity": sensitivity})


def discrimination_rows(known: pd.DataFrame, cut_off: CutOff) -> list[dict[str, object]]:
    """AUC, sensitivity and specificity at the fixed cut-off in each tested cohort that has both sides."""
    rows: list[dict[str, object]] = []
    for code in TESTED:
        own = known[known["cohort"] == code]
        positive = own["grade"] >= cut_off.grade
        if min(int(positive.sum()), int((~positive).sum())) < 2:
            continue
        area = auc(positive.astype(int), own["volume"])
        called = own["volume"] >= cut_off.volume_ml
        rows.append(
            {"population": cohort_label(code),
             "grade": "= 3" if cut_off.grade == 3 else f"≥ {cut_off.grade}", "n": len(own),
             "n_with_grade": int(positive.sum())}
            | _with_interval("auc", area.auc, (area.ci_low, area.ci_high))
            | {"cut_off_ml": cut_off.volume_ml}
            | _share("sensitivity", called[positive])
            | _share("specificity", ~called[~positive])
        )  # fmt: skip
    return rows


def _share(name: str, right: pd.Series) -> dict[str, object]:
    """A share with Wilson's interval."""
    n, share, z2 = len(right), float(right.mean()), 1.959964**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    margin = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return _with_interval(name, share, (float(centre - margin), float(centre + margin)))
