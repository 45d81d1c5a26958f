"""Volume along age and other factors: patients and the adjusted mean with its band."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from la_outcomes.analysis.figures.base import (
    COLUMN_INCHES,
    GREY,
    PAGE_INCHES,
    house_style,
    log_volume,
    new_figure,
    volume_axis,
)
from la_outcomes.analysis.protected import is_protected

_MOST_POINTS = 3000
_FINE_TICKS = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)


def age_figure(patients: pd.DataFrame, volume: str, curve: pd.DataFrame, volume_label: str) -> Figure:
    """``curve`` has age_years, volume_ml, ci_low, ci_high."""
    shown = patients.iloc[:: max(1, len(patients) // _MOST_POINTS)]
    with house_style():
        figure = new_figure(COLUMN_INCHES, 2.9)
        axes = figure.add_subplot()
        if not is_protected():
            points = log_volume(shown[volume].to_numpy())
            axes.plot(
                shown["age_years"], points, "o", color=GREY, markersize=2, alpha=0.35, markeredgewidth=0
            )
        low, high = log_volume(curve["ci_low"].to_numpy()), log_volume(curve["ci_high"].to_numpy())
        axes.fill_between(curve["age_years"], low, high, color="C0", alpha=0.3, linewidth=0)
        axes.plot(curve["age_years"], log_volume(curve["volume_ml"].to_numpy()), color="C0")
        axes.set_xlabel("Age, years")
        volume_axis(axes, "y", volume_label)
    return figure


def partial_figure(curves: Mapping[str, pd.DataFrame], volume_label: str) -> Figure:
    """One panel a factor on one common axis: ``value``, ``volume_ml``, ``ci_low``, ``ci_high``.

    Two rows are drawn as "no" and "yes" with bars, more as a line with its band.
    """
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    with house_style():
        figure = new_figure(PAGE_INCHES, 1.9 * rows + 0.3)
        first = None
        for place, (name, curve) in enumerate(curves.items()):
            axes = figure.add_subplot(rows, columns, place + 1, sharey=first)
            first = first or axes
            middle, low, high = (
                log_volume(curve[end].to_numpy()) for end in ("volume_ml", "ci_low", "ci_high")
            )
            if len(curve) == 2:
                axes.errorbar([0, 1], middle, np.array([middle - low, high - middle]), fmt="s", markersize=4)
                axes.set_xticks([0, 1], ["no", "yes"])
                axes.set_xlim(-0.6, 1.6)
            else:
                factor = 10 if name.endswith(", per 10 years") or name.endswith(", per 10 mmHg") else 1
                axes.fill_between(factor * curve["value"], low, high, color="C0", alpha=0.25, linewidth=0)
                axes.plot(factor * curve["value"], middle, color="C0")
            volume_axis(axes, "y", volume_label if place % columns == 0 else "")
            axes.yaxis.set_major_locator(FixedLocator(list(log_volume(np.array(_FINE_TICKS)))))
            if place % columns:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
            axes.set_title(name.replace("per 10 ", "").replace(", ", ",\n"), fontsize=7)
    return figure
