"""Volume along age: patients and the adjusted mean with its band."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from la_outcomes.analysis.figures.base import (
    COLUMN_INCHES,
    GREY,
    house_style,
    log_volume,
    new_figure,
    volume_axis,
)

_MOST_POINTS = 3000


def age_figure(patients: pd.DataFrame, volume: str, curve: pd.DataFrame, volume_label: str) -> Figure:
    """``curve`` has age_years, volume_ml, ci_low, ci_high."""
    shown = patients.iloc[:: max(1, len(patients) // _MOST_POINTS)]
    with house_style():
        figure = new_figure(COLUMN_INCHES, 2.9)
        axes = figure.add_subplot()
        points = log_volume(shown[volume].to_numpy())
        axes.plot(shown["age_years"], points, "o", color=GREY, markersize=2, alpha=0.35, markeredgewidth=0)
        low, high = log_volume(curve["ci_low"].to_numpy()), log_volume(curve["ci_high"].to_numpy())
        axes.fill_between(curve["age_years"], low, high, color="C0", alpha=0.3, linewidth=0)
        axes.plot(curve["age_years"], log_volume(curve["volume_ml"].to_numpy()), color="C0")
        axes.set_xlabel("Age, years")
        volume_axis(axes, "y", volume_label)
    return figure
