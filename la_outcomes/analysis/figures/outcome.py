"""Figures of the modified Rankin scale: stacked bars and the shape of the effect of volume."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from la_outcomes.analysis.figures.base import (
    COLUMN_INCHES,
    GREY,
    PAGE_INCHES,
    house_style,
    log_volume,
    new_figure,
    volume_axis,
)
from la_outcomes.analysis.protected import count_text, is_protected

_SMALLEST_LABELLED = 0.045


def grotta_figure(shares: pd.DataFrame, group_label: str, outcome_label: str) -> Figure:
    """Stacked ("Grotta") bars of mRS 0 to 6: one a row of ``shares``, which has its number as ``n``."""
    with house_style():
        figure = new_figure(PAGE_INCHES, 1.1 + 0.36 * len(shares))
        axes = figure.add_subplot()
        colours = colormaps["cividis"](np.linspace(1.0, 0.0, 7))
        left = np.zeros(len(shares))
        for grade in range(7):
            width = shares[grade].to_numpy()
            axes.barh(range(len(shares)), width, left=left, color=colours[grade], edgecolor="white",
                      linewidth=0.6, height=0.72, label=str(grade))  # fmt: skip
            for place, (start, share) in enumerate(zip(left, width, strict=True)):
                if share >= _SMALLEST_LABELLED:
                    ink = "black" if grade < 4 else "white"
                    axes.text(start + share / 2, place, f"{100 * share:.0f}", ha="center", va="center",
                              color=ink, fontsize=7)  # fmt: skip
            left += width
        labels = [
            f"{group} (n = {count_text(n)})" for group, n in zip(shares.index, shares["n"], strict=True)
        ]
        axes.set_yticks(range(len(shares)), labels)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}"))
        axes.set_xlabel("Patients, %")
        axes.set_ylabel(group_label)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.legend(title=outcome_label, ncols=7, loc="lower center", bbox_to_anchor=(0.5, 1.0),
                    handlelength=1.0, handleheight=1.0, columnspacing=1.0)  # fmt: skip
    return figure


def shape_figure(curve: pd.DataFrame, volumes: pd.Series, volume_label: str, reference_ml: float) -> Figure:
    """Odds ratio against the reference volume (mL) along the volume, with patients as a rug."""
    with house_style():
        figure = new_figure(COLUMN_INCHES, 2.8)
        axes = figure.add_subplot()
        x = log_volume(curve["volume_ml"].to_numpy())
        axes.fill_between(x, curve["ci_low"], curve["ci_high"], color="C0", alpha=0.2, linewidth=0)
        axes.plot(x, curve["odds_ratio"], color="C0")
        axes.axhline(1, color=GREY, linewidth=0.7, linestyle="--", zorder=0)
        axes.axvline(np.log1p(reference_ml), color=GREY, linewidth=0.7, linestyle=":", zorder=0)
        inside = volumes[(volumes >= curve["volume_ml"].min()) & (volumes <= curve["volume_ml"].max())]
        rug = log_volume(np.quantile(inside, np.linspace(0, 1, min(len(inside), 300))))
        if not is_protected():
            axes.plot(rug, np.full(len(rug), 0.015), "|", color="black", markersize=5, alpha=0.35,
                      transform=axes.get_xaxis_transform())  # fmt: skip
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"Common odds ratio (reference {reference_ml:.1f} mL)")
        volume_axis(axes, "x", volume_label)
    return figure
