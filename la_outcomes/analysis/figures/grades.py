"""Volume by grade: boxes with the patients as points."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from la_outcomes.analysis.figures.base import (
    COLUMN_INCHES,
    GREY,
    PAGE_INCHES,
    house_style,
    letter,
    log_volume,
    new_figure,
    volume_axis,
)
from la_outcomes.analysis.protected import count_text, is_protected

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
            if is_protected():
                continue
            shown = values[:: max(1, len(values) // _MOST_POINTS)]
            across = grade + np.random.default_rng(grade).uniform(-0.2, 0.2, len(shown))
            axes.plot(across, shown, "o", color="C0", markersize=2, alpha=0.35, markeredgewidth=0, zorder=0)
        axes.set_xticks(
            list(groups), [f"{grade}\nn = {count_text(len(values))}" for grade, values in groups.items()]
        )
        axes.set_xlabel("Fazekas grade on CT (maximum)")
        volume_axis(axes, "y", volume_label)
    return figure


def roc_figure(panels: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """One panel a grade, one curve a cohort: ``false_positive_share`` and ``sensitivity``."""
    styles = ("-", "--", ":", "-.")
    with house_style():
        figure = new_figure(PAGE_INCHES, 2.7)
        for index, (name, curves) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), index + 1)
            for place, (cohort, points) in enumerate(curves.items()):
                shown = points.iloc[:: max(1, len(points) // 500)]
                axes.step(
                    shown["false_positive_share"], shown["sensitivity"], where="post",
                    linestyle=styles[place % len(styles)], label=cohort,
                )  # fmt: skip
            axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, zorder=0)
            axes.set_aspect("equal")
            axes.set_title(f"{letter(index)}  {name}")
            axes.set_xlabel("1 − specificity")
            if index == 0:
                axes.set_ylabel("Sensitivity")
            axes.legend(loc="lower right")
    return figure
