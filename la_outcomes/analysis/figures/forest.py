"""Forest plots: an estimate with its interval on each line, the numbers printed beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from la_outcomes.analysis.figures.base import (
    GREY,
    PAGE_INCHES,
    house_style,
    new_figure,
    placed_axes,
    ratio_axis,
)
from la_outcomes.analysis.protected import count_text
from la_outcomes.analysis.results import FloatArray
from la_outcomes.analysis.tables import interval, number


@dataclass(frozen=True)
class ForestLine:
    """A line of a forest plot; without an interval it is a heading (estimate None) or a reference."""

    label: str
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    marked: bool = False


def forest_figure(
    lines: Sequence[ForestLine], x_label: str, *, ratio: bool = True, reference: float | None = None
) -> Figure:
    """Draw lines from top to bottom, on one page at most; ``marked`` ones (a truth) are drawn as diamonds.

    ``ratio`` gives a logarithmic axis with a line at 1; else a linear one with a line at ``reference``.
    """
    height = min(0.23, 7.9 / len(lines)) * len(lines)
    with house_style():
        figure = new_figure(PAGE_INCHES, height + 0.85, arranged=False)
        axes = placed_axes(figure, 2.35, 0.3, 2.95, height)
        for place, line in enumerate(lines):
            _draw(axes, line, place)
        axes.set_ylim(len(lines) - 0.5, -0.5)
        axes.set_yticks(range(len(lines)), [line.label for line in lines])
        for line, text in zip(lines, axes.get_yticklabels(), strict=True):
            text.set_fontweight("bold" if line.estimate is None else "normal")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        limits = _all_values(lines)
        if ratio:
            ratio_axis(axes, limits[limits > 0], x_label)
        else:
            axes.set_xlabel(x_label)
            if reference is not None:
                axes.axvline(reference, color=GREY, linewidth=0.7, linestyle="--", zorder=0)
        _print_numbers(placed_axes(figure, 5.4, 0.3, 1.75, height), lines)
    return figure


def _all_values(lines: Sequence[ForestLine]) -> FloatArray:
    values = [value for line in lines for value in (line.estimate, line.low, line.high)]
    return np.array([value for value in values if value is not None])


def _draw(axes: Axes, line: ForestLine, place: int) -> None:
    if line.estimate is None:
        return
    colour = "C1" if line.marked else "C0"
    if line.low is not None and line.high is not None:
        axes.plot([line.low, line.high], [place, place], color=colour, linewidth=1.2, zorder=2)
    axes.plot(line.estimate, place, "D" if line.marked else "s", color=colour, markersize=4.5, zorder=3)


def _print_numbers(axes: Axes, lines: Sequence[ForestLine]) -> None:
    """Estimates and numbers in columns, in line with the plot to their left."""
    axes.set_xlim(0, 1)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.axis("off")
    axes.text(0, -1, "Estimate (95 % CI)", va="center", fontsize=7, weight="bold")
    if any(line.n is not None for line in lines):
        axes.text(1, -1, "n", va="center", ha="right", fontsize=7, weight="bold")
    for place, line in enumerate(lines):
        axes.text(0, place, _in_words(line), va="center", fontsize=7)
        if line.n is not None:
            axes.text(1, place, count_text(line.n), va="center", ha="right", fontsize=7)


def _in_words(line: ForestLine) -> str:
    if line.estimate is None:
        return ""
    if line.low is None or line.high is None:
        return number(line.estimate)
    return interval(line.estimate, line.low, line.high)
