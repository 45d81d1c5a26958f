"""Volume by grade: boxes with the patients as points."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from la_outcomes.analysis.figures.base import COLUMN_INCHES, house_style, log_volume, new_figure, volume_axis

_MOST_POINTS = 400


def grade_figure(known: pd.DataFrame, volume_label: str) -> Figure:
    """Boxes (quartiles, whiskers to 1.5 quartile distances on the log scale) of ``volume`` by ``grade``."""
    groups = {int(str(grade)): log_volume(own["volume"].to_numpy()) for grade, own in known.groupby("grade")}
    with house_style():
        figure = new_figure(COLUMN_INCHES, 3.0)
        axes = figure.add_subplot()
        axes.boxplot(
            list(groups.values()), positions=list(groups), widths=0.55, showfliers=False,
            medianprops={"color": "C1", "linewidth": 1.6}, boxprops={"linewidth": 0.9},
        )  # fmt: skip
        for grade, values in groups.items():
            shown = values[:: max(1, len(values) // _MOST_POINTS)]
            across = grade + np.random.default_rng(grade).uniform(-0.2, 0.2, len(shown))
            axes.plot(across, shown, "o", color="C0", markersize=2, alpha=0.35, markeredgewidth=0, zorder=0)
        axes.set_xticks(list(groups), [f"{grade}\nn = {len(values):,}" for grade, values in groups.items()])
        axes.set_xlabel("Fazekas grade on CT (maximum)")
        volume_axis(axes, "y", volume_label)
    return figure
