"""Quality figures of labels and segmentations, and how bad the worst of them is.

A figure's badness is 0 at the good end of its plausible range (data dictionary), 1 at the limit and above
1 outside. A case's concern is the badness of its worst figure, at least 1 where the scan has a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from la_outcomes.dictionary import load_dictionary

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Figure:
    """One figure: its column, on which side it is bad, and its name on the page."""

    table: str
    column: str
    bad: Literal["low", "high", "both"]
    name: str

    @property
    def limits(self) -> tuple[float, float]:
        """Plausible range, from the data dictionary."""
        limits = load_dictionary().column(self.table, self.column).plausible
        assert limits is not None, self.column
        return limits

    def badness(self, values: Floats) -> Floats:
        """0 good, 1 at the limit, above 1 outside; NaN stays NaN."""
        low, high = self.limits
        width = high - low
        sides = {"low": high - values, "high": values - low}
        near = {name: side / width for name, side in sides.items()}
        if self.bad == "both":
            return np.asarray(2 * np.maximum(near["low"], near["high"]) - 1)
        outside = np.maximum(near["low"], near["high"])
        return np.where(outside > 1, outside, near[self.bad])


FIGURES: dict[str, tuple[Figure, ...]] = {
    "pseudo_label": (
        Figure("pseudo_labels", "csf_correlation", "low", "CSF correlation"),
        Figure("pseudo_labels", "brain_dice", "low", "Brain Dice"),
        Figure("pseudo_labels", "jacobian_p01", "low", "Jacobian, 1st percentile"),
        Figure("pseudo_labels", "jacobian_p99", "high", "Jacobian, 99th percentile"),
        Figure("pseudo_labels", "label_outside_brain_fraction", "high", "Label outside brain"),
    ),
    "la_measurement": (
        Figure("la_measurements", "la_volume_ml", "high", "LA volume, mL"),
        Figure("la_measurements", "icv_ml", "both", "Intracranial volume, mL"),
        Figure("segmentation_scores", "dsc", "low", "Dice with pseudo-label"),
    ),
}
ALL_FIGURES = tuple(figure for figures in FIGURES.values() for figure in figures)


def figure(column: str) -> Figure:
    """The figure of that column; ``KeyError`` where there is none."""
    return {one.column: one for one in ALL_FIGURES}[column]


def add_concern(items: pd.DataFrame) -> pd.DataFrame:
    """Items with ``concern``, ``worst`` (column of the worst figure or None) and ``out`` (list of columns).

    ``items`` has a column a figure (NULL where it does not apply) and ``has_warning``.
    """
    badness = np.column_stack(
        [one.badness(items[one.column].to_numpy(dtype=np.float64)) for one in ALL_FIGURES]
    )
    filled = np.where(np.isnan(badness), -np.inf, badness)
    names = [one.column for one in ALL_FIGURES]
    worst = [names[int(row.argmax())] if np.isfinite(row.max()) else None for row in filled]
    warned = items["has_warning"].to_numpy(dtype=bool)
    concern = np.maximum(filled.max(axis=1, initial=0.0), np.where(warned, 1.0, 0.0))
    out = [[name for name, value in zip(names, row, strict=True) if value > 1] for row in filled]
    return items.assign(concern=concern, worst=pd.Series(worst, items.index), out=pd.Series(out, items.index))
