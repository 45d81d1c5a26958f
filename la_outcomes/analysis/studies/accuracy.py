"""Agreement of volumes, three steps apart: WMH on MRI, pseudo-label on CT, LA on CT; Dice by lesion load."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from la_outcomes.analysis.agreement import bland_altman, lins_ccc
from la_outcomes.analysis.bootstrap import bootstrap
from la_outcomes.analysis.cohort import load_pairs
from la_outcomes.analysis.correlation import correlate
from la_outcomes.analysis.linear import fit_linear
from la_outcomes.analysis.names import cohort_label, label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.results import FloatArray, require_rows
from la_outcomes.analysis.study import Request
from la_outcomes.errors import StatisticsError

TESTED = ("internal_validation", "external_test", "us_test", "clinical")
LOAD_BANDS_ML = (5.0, 10.0, 20.0)
LOG_OFFSET_ML = 1.0
MOST_BOOTSTRAPPED = 20_000


@dataclass(frozen=True)
class Comparison:
    """Two volumes of the same patients: ``measured`` is judged against ``reference``."""

    name: str
    measured: str
    reference: str

    @property
    def printed(self) -> str:
        """``LA volume on CT v pseudo-label volume``."""
        return f"{label(self.measured)} v {label(self.reference)}"


COMPARISONS = (
    Comparison("label_v_mri", "label_volume_ml", "wmh_volume_ml"),
    Comparison("prediction_v_label", "la_volume_ml", "label_volume_ml"),
    Comparison("prediction_v_mri", "la_volume_ml", "wmh_volume_ml"),
)


def tested_pairs(request: Request, outputs: Outputs) -> pd.DataFrame:
    """One pair a patient (the shortest interval) of every cohort that the model was not trained on.

    Raises
    ------
    StatisticsError
        There is no such pair.
    """
    pairs = load_pairs(request.registry, request.population)
    pairs = pairs[pairs["cohort"].isin(TESTED)].sort_values(["patient_id", "days_between", "scan_id"])
    pairs = pairs.drop_duplicates("patient_id").reset_index(drop=True)
    if pairs.empty:
        raise StatisticsError("there is no CT-FLAIR pair outside the training cohort", where="pairs")
    outputs.narrow(pairs, "pairs outside the training cohort")
    return pairs


def cohorts_of(pairs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The pairs of each tested cohort that has any, in the order of the study."""
    return {code: pairs[pairs["cohort"] == code] for code in TESTED if (pairs["cohort"] == code).any()}


def both_known(pairs: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """The pairs with both volumes."""
    return pairs.dropna(subset=[comparison.measured, comparison.reference])


def agreement_row(pairs: pd.DataFrame, comparison: Comparison, seed: int) -> dict[str, object]:
    """Agreement of both volumes in mL: correlation, concordance, slope, bias and limits, raw and as ratios.

    ``ccc_bootstrap`` and the interval of the mean absolute error come from resampling patients.

    Raises
    ------
    StatisticsError
        Fewer than 4 pairs, or a volume without spread.
    """
    known = both_known(pairs, comparison)
    require_rows(len(known), 4, comparison.printed)
    measured, reference = known[comparison.measured], known[comparison.reference]
    concordance = lins_ccc(measured, reference)
    raw = bland_altman(measured, reference)
    ratio = bland_altman(measured, reference, scale="log", offset=LOG_OFFSET_ML)
    slope = fit_linear(
        known, comparison.measured, [comparison.reference], covariance="HC3"
    ).coefficients.iloc[1]
    row: dict[str, object] = {"n": len(known)}
    row |= with_interval("ccc", concordance.ccc, concordance.ci_low, concordance.ci_high)
    for name, method in (("pearson_r", "pearson"), ("spearman_rho", "spearman")):
        found = correlate(measured, reference, method)  # type: ignore[arg-type]
        row |= with_interval(name, found.estimate, found.ci_low, found.ci_high)
    row |= with_interval("slope", slope["estimate"], slope["ci_low"], slope["ci_high"])
    row |= with_interval("bias_ml", raw.bias, *raw.bias_ci)
    row |= {"limits_ml": f"{raw.loa_low:.1f} to {raw.loa_high:.1f}"}
    row |= {
        "ratio": ratio.bias_ratio,
        "ratio_limits": f"{ratio.loa_low_ratio:.2f} to {ratio.loa_high_ratio:.2f}",
    }
    row |= absolute_error(measured, reference, seed)
    row |= {
        "sd_difference_ml": float((measured - reference).std()),
        "sd_reference_ml": float(reference.std()),
    }
    row |= {"ccc_bootstrap": _ccc_bootstrap(measured, reference, seed)}
    return row


def absolute_error(measured: pd.Series, reference: pd.Series, seed: int) -> dict[str, object]:
    """Mean absolute error in mL; its interval by bootstrap over patients, of very many by the normal law."""
    error = (measured - reference).abs().to_numpy(dtype=float)
    mean, margin = float(error.mean()), 1.959964 * float(error.std(ddof=1)) / np.sqrt(len(error))
    if len(error) > MOST_BOOTSTRAPPED:
        return with_interval("mean_absolute_error_ml", mean, mean - margin, mean + margin)
    found = bootstrap(
        error,
        lambda x: x.mean(axis=1),
        method="percentile",
        n_boot=resamples(len(measured)),
        seed=seed,
        vectorized=True,
    )
    return with_interval("mean_absolute_error_ml", mean, found.ci_low, found.ci_high)


def resamples(n: int) -> int:
    """2000, fewer for many pairs, whose intervals need no such precision; never below 400."""
    return int(np.clip(1e7 / n, 400, 2000))


def _ccc_bootstrap(measured: pd.Series, reference: pd.Series, seed: int) -> str:
    """Percentile interval of the CCC over patients; empty for very many, where Fisher's agrees with it."""
    if len(measured) > MOST_BOOTSTRAPPED:
        return ""
    both = np.column_stack([measured, reference]).astype(float)
    found = bootstrap(
        both, _ccc_of, method="percentile", n_boot=resamples(len(measured)), seed=seed, vectorized=True
    )
    return f"{found.ci_low:.3f} to {found.ci_high:.3f}"


def _ccc_of(resamples: FloatArray) -> FloatArray:
    """CCC of each resample (resamples, n, 2)."""
    centre = resamples.mean(axis=1)
    away = resamples - centre[:, None, :]
    products = (away[..., 0] * away[..., 1]).mean(axis=1)
    spread = (away**2).mean(axis=1).sum(axis=1) + (centre[:, 0] - centre[:, 1]) ** 2
    return np.asarray(2 * products / spread)


def with_interval(name: str, estimate: float, low: float, high: float) -> dict[str, object]:
    """Three cells of a table: the estimate and the limits of its interval."""
    return {name: estimate, f"{name}_ci_low": low, f"{name}_ci_high": high}


def dice_row(dice: pd.Series, seed: int) -> dict[str, object]:
    """Median Dice with a bootstrap interval over patients, quartiles, and the share of 0."""
    known = dice.dropna()
    require_rows(len(known), 4, "dsc")
    interval = bootstrap(
        known.to_numpy(),
        lambda draws: np.median(draws, axis=1),
        method="percentile",
        seed=seed,
        vectorized=True,
    )
    low, high = known.quantile([0.25, 0.75])
    return {
        "n": len(known),
        **with_interval("median_dice", interval.estimate, interval.ci_low, interval.ci_high),
        "quartiles": f"{low:.3f} to {high:.3f}",
        "dice_0_percent": 100 * float((known == 0).mean()),
    }


def load_band(volume: pd.Series) -> pd.Series:
    """Band of lesion load by the pseudo-label's volume; None where there is no label."""
    names = [f"≤{LOAD_BANDS_ML[0]:g} mL"]
    names += [f">{low:g} to {high:g} mL" for low, high in pairwise(LOAD_BANDS_ML)]
    names.append(f">{LOAD_BANDS_ML[-1]:g} mL")
    codes = np.searchsorted(LOAD_BANDS_ML, volume.fillna(0).to_numpy(), side="left")
    return pd.Series([names[code] for code in codes], index=volume.index).where(volume.notna())


def dice_table(pairs: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Dice with the pseudo-label by cohort, overall and by lesion load; groups below 4 are left out."""
    rows = []
    for code, own in cohorts_of(pairs).items():
        known = own.dropna(subset=["dsc"])
        by_load = known.sort_values("label_volume_ml", kind="stable")
        bands = by_load.groupby(load_band(by_load["label_volume_ml"]), sort=False)
        groups = {"all": known, **dict(iter(bands))}
        rows += [
            {"cohort": cohort_label(code), "lesion_load": band, **dice_row(part["dsc"], seed)}
            for band, part in groups.items()
            if len(part) >= 4
        ]
    if not rows:
        raise StatisticsError("no scan has a Dice with a usable pseudo-label", where="dsc")
    return pd.DataFrame(rows)
