"""A specification curve: estimates in order of size, and below them which choice each stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from la_outcomes.analysis.figures.base import GREY, PAGE_INCHES, house_style, new_figure, placed_axes

_TICKS = (0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 1.75, 2, 2.5, 3, 5, 10)


def curve_figure(table: pd.DataFrame, printed: str, *, ratio: bool) -> Figure:
    """``table`` has choice ("main" is filled), alternative, estimate, ci_low, ci_high, in any order."""
    ordered = table.sort_values("estimate", kind="stable").reset_index(drop=True)
    rows = table.reset_index(drop=True)
    below = 0.17 * len(rows)
    with house_style():
        figure = new_figure(PAGE_INCHES, 2.75 + below, arranged=False)
        above = placed_axes(figure, 2.6, 0.2, 4.4, 2.1)
        matrix = placed_axes(figure, 2.6, 2.4, 4.4, below)
        for place, row in enumerate(ordered.to_dict("records")):
            is_main = row["choice"] == "main"
            colour = "C1" if is_main else "C0"
            above.plot([place, place], [row["ci_low"], row["ci_high"]], color=colour, linewidth=1.2)
            above.plot(place, row["estimate"], "D" if is_main else "o", color=colour, markersize=4.5)
            matrix.plot(place, rows.index[rows["alternative"] == row["alternative"]][0], "s", color=colour)
        if ratio:
            _log_axis(above, ordered)
            above.axhline(1, color=GREY, linewidth=0.7, linestyle="--", zorder=0)
        main = ordered.loc[ordered["choice"] == "main", "estimate"].iloc[0]
        above.axhline(main, color="C1", linewidth=0.6, zorder=0)
        above.set_ylabel("\n".join(_two_lines(printed)))
        above.set_xticks([])
        matrix.set_xlim(above.get_xlim())
        matrix.set_xticks([])
        matrix.set_yticks(range(len(rows)), [f"{row.choice}: {row.alternative}" for row in rows.itertuples()])
        matrix.set_ylim(len(rows) - 0.5, -0.5)
        matrix.tick_params(axis="y", length=0, labelsize=6.5)
        for place in range(0, len(rows), 2):
            matrix.axhspan(place - 0.5, place + 0.5, color="#f1f1f1", zorder=0)
    return figure


def _log_axis(axes: Axes, ordered: pd.DataFrame) -> None:
    low, high = float(ordered["ci_low"].min()), float(ordered["ci_high"].max())
    axes.set_yscale("log")
    shown = [tick for tick in _TICKS if low * 0.97 <= tick <= high * 1.03] or [1.0]
    axes.yaxis.set_major_locator(FixedLocator(shown))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _two_lines(text: str) -> list[str]:
    words = text.split(" ")
    half = int(np.ceil(len(words) / 2))
    return [" ".join(words[:half]), " ".join(words[half:])]
