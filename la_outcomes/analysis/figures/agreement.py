"""Two volumes against each other: scatter and Bland-Altman panels, one a cohort."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    """Difference in mL against the mean volume (log axis), with bias and 95 % limits of agreement."""
    with house_style():
        figure, axes = _panels(len(panels), height=2.6)
        for index, (name, pairs) in enumerate(panels.items()):
            own = axes[index]
            difference = (pairs[measured] - pairs[reference]).to_numpy()
            mean = (pairs[measured] + pairs[reference]).to_numpy() / 2
            _points(own, log_volume(mean), difference)
            bias, spread = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
            for level, style in ((bias, "-"), (bias - spread, "--"), (bias + spread, "--")):
                own.axhline(level, color="C1", linewidth=0.9, linestyle=style)
            own.axhline(0, color=GREY, linewidth=0.6)
            own.set_title(f"{letter(index)}  {name} (n = {len(pairs):,})")
            own.set_ylabel("Difference, mL")
            volume_axis(own, "x", "Mean of both")
        figure.suptitle(f"{labels[0]} minus {labels[1]}", fontsize=8)
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
