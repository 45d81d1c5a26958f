"""Two volumes against each other: scatter and Bland-Altman panels, one a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from la_outcomes.analysis.figures.base import (
    GREY,
    PAGE_INCHES,
    house_style,
    letter,
    log_volume,
    new_figure,
    volume_axis,
)

_MOST_POINTS = 4000
_TITLE_LETTERS = 80  # that fit over a page's width
_RATIO_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def scatter_figure(
    panels: Mapping[str, pd.DataFrame], measured: str, reference: str, labels: tuple[str, str]
) -> Figure:
    """Measured (y) against reference (x) volume on log axes with the line of identity."""
    with house_style():
        figure, axes = _panels(len(panels))
        for index, (name, pairs) in enumerate(panels.items()):
            own = axes[index]
            x, y = log_volume(pairs[reference].to_numpy()), log_volume(pairs[measured].to_numpy())
            _points(own, x, y)
            highest = float(max(x.max(), y.max())) * 1.03
            own.plot([0, highest], [0, highest], color=GREY, linewidth=0.8, linestyle="--", zorder=1)
            own.set_xlim(0, highest)
            own.set_ylim(0, highest)
            own.set_aspect("equal")
            own.set_title(f"{letter(index)}  {name} (n = {len(pairs):,})")
            volume_axis(own, "x", labels[1])
            volume_axis(own, "y", labels[0])
    return figure


def bland_altman_figure(
    panels: Mapping[str, pd.DataFrame], measured: str, reference: str, labels: tuple[str, str]
) -> Figure:
    """Difference in mL (upper row) and as ratio of (mL + 1) (lower row) against the mean volume (log axis).

    With bias and 95 % limits of agreement; one column a panel.
    """
    with house_style():
        n = len(panels)
        figure = new_figure(PAGE_INCHES if n > 1 else PAGE_INCHES / 2, 5.0)
        first: tuple[Axes | None, Axes | None] = (None, None)
        for index, (name, pairs) in enumerate(panels.items()):
            raw = figure.add_subplot(2, n, index + 1, sharey=first[0])
            ratio = figure.add_subplot(2, n, n + index + 1, sharey=first[1])
            both = pairs[[measured, reference]].to_numpy(dtype=float)
            mean = log_volume(both.mean(axis=1))
            _with_limits(raw, mean, both[:, 0] - both[:, 1])
            _with_limits(ratio, mean, np.diff(log_volume(both[:, ::-1]), axis=1)[:, 0])
            raw.set_title(f"{letter(index)}  {name}\n(n = {len(pairs):,})")
            ratio.yaxis.set_major_locator(FixedLocator([float(np.log(tick)) for tick in _RATIO_TICKS]))
            ratio.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{np.exp(value):.3g}"))
            for axes in (raw, ratio):
                volume_axis(axes, "x", "")
                axes.set_xlabel("")
                axes.tick_params(labelleft=index == 0)
            if index == 0:
                first = (raw, ratio)
                raw.set_ylabel("Difference, mL")
                ratio.set_ylabel("Ratio of (mL + 1)")
        figure.supxlabel("Mean of both volumes, mL (log scale)", fontsize=8)
        title = f"{labels[0]} minus (above) or over (below) {labels[1]}"
        figure.suptitle(fill(title, _TITLE_LETTERS if n > 1 else _TITLE_LETTERS // 2), fontsize=8)
    return figure


def _with_limits(axes: Axes, x: np.ndarray, difference: np.ndarray) -> None:
    """Points, bias and 95 % limits."""
    _points(axes, x, difference)
    bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
        axes.axhline(level, color="C1", linewidth=0.9, linestyle=style)
    axes.axhline(0, color=GREY, linewidth=0.6)


def dice_figure(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Dice (``dsc``) against the label's volume (log axis), with the median of each third of the volumes."""
    with house_style():
        figure, axes = _panels(len(panels), height=2.5)
        for index, (name, pairs) in enumerate(panels.items()):
            own, volume = axes[index], pairs["label_volume_ml"].to_numpy(dtype=float)
            _points(own, log_volume(volume), pairs["dsc"].to_numpy(dtype=float))
            edges = np.quantile(volume, [0, 1 / 3, 2 / 3, 1])
            for low, high in pairwise(edges):
                inside = pairs.loc[(volume >= low) & (volume <= high), "dsc"]
                own.plot(log_volume(np.array([low, high])), [inside.median()] * 2, color="C1", linewidth=1.6)
            own.set_ylim(0, 1)
            own.set_title(f"{letter(index)}  {name} (n = {len(pairs):,})")
            own.set_ylabel("Dice with the pseudo-label")
            volume_axis(own, "x", "Pseudo-label volume")
    return figure


def _panels(n: int, height: float = 3.0) -> tuple[Figure, list[Axes]]:
    columns = min(n, 2)
    rows = -(-n // columns)
    figure = new_figure(PAGE_INCHES if columns > 1 else PAGE_INCHES / 2, height * rows)
    return figure, [figure.add_subplot(rows, columns, place + 1) for place in range(n)]


def _points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Points; of very many an even selection in order of the data, so that the file stays small."""
    step = max(1, len(x) // _MOST_POINTS)
    alpha = 0.5 if len(x) < 500 else 0.25
    axes.plot(x[::step], y[::step], "o", color="C0", markersize=2.4, alpha=alpha, markeredgewidth=0)
