"""Curves of events over time by group, with the numbers at risk under the axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from la_outcomes.analysis.figures.base import PAGE_INCHES, house_style, new_figure, placed_axes
from la_outcomes.analysis.protected import count_text
from la_outcomes.analysis.results import FloatArray


@dataclass(frozen=True)
class StepCurve:
    """A rising step function in percent, with the number at risk at chosen days."""

    days: FloatArray
    percent: FloatArray
    at_risk: Sequence[int]


def event_figure(curves: Mapping[str, StepCurve], y_label: str, days: Sequence[float]) -> Figure:
    """Draw one curve a group from 0 % on; ``days`` are the axis's ticks and those of the numbers at risk."""
    below = 0.25 + 0.16 * len(curves)
    colours = dict(zip(curves, _ordered_colours(len(curves)), strict=True))
    with house_style():
        figure = new_figure(PAGE_INCHES, 3.35 + below, arranged=False)
        axes = placed_axes(figure, 1.7, 0.15, 5.25, 2.5)
        for name, curve in curves.items():
            axes.step(curve.days, curve.percent, where="post", color=colours[name], label=name)
        highest = max((float(curve.percent.max()) for curve in curves.values()), default=0.0)
        axes.set_ylim(0, max(5.0, 1.1 * highest))
        axes.set_xlim(0, max(days))
        axes.set_xticks(days, [f"{day:g}" for day in days])
        axes.set_xlabel("Days from onset")
        axes.set_ylabel(y_label)
        axes.legend(loc="upper left")
        _numbers_at_risk(placed_axes(figure, 1.7, 3.15, 5.25, below), curves, days, colours)
    return figure


def _numbers_at_risk(
    axes: Axes, curves: Mapping[str, StepCurve], days: Sequence[float], colours: Mapping[str, str]
) -> None:
    axes.axis("off")
    axes.set_xlim(0, max(days))
    axes.set_ylim(len(curves) + 0.6, -0.6)
    left = -0.045 * max(days)
    axes.text(left, 0, "At risk", ha="right", va="center", fontsize=7, weight="bold")
    for line, (name, curve) in enumerate(curves.items(), start=1):
        axes.text(left, line, name, ha="right", va="center", fontsize=7, color=colours[name])
        for day, n in zip(days, curve.at_risk, strict=True):
            axes.text(day, line, count_text(n), ha="center", va="center", fontsize=7)


def _ordered_colours(n: int) -> list[str]:
    """Dark to light for ordered groups, distinct without colour vision."""
    ordered = ["#E0A000", "#ED7953", "#CC4778", "#7E03A8", "#0D0887"]
    return [ordered[round(i)] for i in np.linspace(0, len(ordered) - 1, n)] if n > 1 else ["C0"]
