"""From a model's CT volume to the volume MRI would show: one straight line on the log scale, in the card.

ln(wmh_volume_ml + 1) = intercept + slope * ln(la_volume_ml + 1) + normal error, by least squares. The
calibrated volume is the fitted median; its interval is the 95 % prediction interval for one patient
(t distribution, n - 2 degrees of freedom), which holds for patients like those it was fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from la_outcomes.errors import InputError
from la_outcomes.segmentation.bundle import load_bundle, write_card
from la_outcomes.shards import read_shard

SHARD_PATTERN = "la_measurement-*.json"
FEWEST_PAIRS = 10
_LEVEL = 0.95


@dataclass(frozen=True)
class Calibration:
    """The fitted line, what its prediction interval needs, and the CT volumes it was fitted on (mL)."""

    intercept: float
    slope: float
    residual_sd: float
    n: int
    mean_x: float
    sum_squares_x: float
    low_ml: float
    high_ml: float

    @classmethod
    def from_card(cls, values: Mapping[str, Any]) -> Calibration:
        """Read the card's section; raises ``InputError`` where it is incomplete or not numeric."""
        try:
            found = cls(**{name: float(value) for name, value in values.items()})  # type: ignore[arg-type]
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError("the model card's calibration cannot be read") from error
        if not all(math.isfinite(value) for value in asdict(found).values()) or found.n < FEWEST_PAIRS:
            raise InputError("the model card's calibration cannot be used")
        return found

    def volumes(self, la_volume_ml: float) -> dict[str, float]:
        """Columns of ``la_measurements``: calibrated volume and its 95 % prediction interval, mL."""
        x = math.log1p(la_volume_ml)
        middle = self.intercept + self.slope * x
        spread = math.sqrt(1 + 1 / self.n + (x - self.mean_x) ** 2 / self.sum_squares_x)
        reach = float(stats.t.ppf(0.5 + _LEVEL / 2, self.n - 2)) * self.residual_sd * spread
        low, centre, high = (
            max(math.expm1(value), 0.0) for value in (middle - reach, middle, middle + reach)
        )
        return {
            "la_volume_calibrated_ml": centre,
            "la_volume_calibrated_low_ml": low,
            "la_volume_calibrated_high_ml": high,
        }


def fit_line(ct_ml: npt.ArrayLike, mri_ml: npt.ArrayLike) -> Calibration:
    """Fit the line; raises ``InputError`` for fewer than 10 pairs, negative or not finite volumes, or CT
    volumes that are all the same.
    """
    ct, mri = np.asarray(ct_ml, dtype=float), np.asarray(mri_ml, dtype=float)
    if ct.shape != mri.shape or ct.ndim != 1 or len(ct) < FEWEST_PAIRS:
        raise InputError(f"a calibration needs at least {FEWEST_PAIRS} pairs of volumes, not {len(ct)}")
    both = np.concatenate([ct, mri])
    if not np.isfinite(both).all() or both.min() < 0:
        raise InputError("volumes must be finite and not negative")
    x, y = np.log1p(ct), np.log1p(mri)
    if np.ptp(x) < 1e-9:
        raise InputError("the CT volumes are all the same: nothing can be fitted")
    fit = stats.linregress(x, y)
    residuals = y - fit.intercept - fit.slope * x
    return Calibration(
        intercept=float(fit.intercept),
        slope=float(fit.slope),
        residual_sd=float(np.sqrt((residuals**2).sum() / (len(x) - 2))),
        n=len(x),
        mean_x=float(x.mean()),
        sum_squares_x=float(((x - x.mean()) ** 2).sum()),
        low_ml=float(ct.min()),
        high_ml=float(ct.max()),
    )


def calibrate(bundle_path: Path, predictions: Path, mri_table: Path) -> Calibration:
    """Fit on measured scans of ``predictions`` that ``mri_table`` lists, and write it into the card.

    ``mri_table`` is a CSV with scan_id (of the CT) and wmh_volume_ml. Raises ``InputError`` as
    ``fit_line``, and where the table lacks a column or the volumes come from another model.
    """
    bundle = load_bundle(bundle_path)
    try:
        table = pd.read_csv(mri_table, dtype={"scan_id": str})[["scan_id", "wmh_volume_ml"]].dropna()
    except (OSError, KeyError, ValueError) as error:
        raise InputError("the table needs columns scan_id and wmh_volume_ml", where=mri_table) from error
    if table["scan_id"].duplicated().any():
        raise InputError("a scan stands in the table twice", where=mri_table)
    measured = _volumes(predictions, bundle.model_sha256)
    pairs = table[table["scan_id"].isin(measured)]
    found = fit_line(pairs["scan_id"].map(measured).to_numpy(), pairs["wmh_volume_ml"].to_numpy())
    write_card(bundle.path, {**bundle.card, "calibration": asdict(found)})
    return found


def _volumes(predictions: Path, model_sha256: str) -> dict[str, float]:
    """CT volume of each measured scan of this model."""
    rows = [
        row
        for path in sorted((predictions / "shards").glob(SHARD_PATTERN))
        for row in read_shard(path)["rows"]["la_measurements"]
    ]
    if any(row["model_sha256"] != model_sha256 for row in rows):
        raise InputError("the volumes were measured with another model", where=predictions)
    return {row["scan_id"]: row["la_volume_ml"] for row in rows if row.get("la_volume_ml") is not None}
