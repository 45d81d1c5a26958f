"""The flow diagram: boxes downwards, those left out to the right with their reasons; by cohort, by centre."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from la_outcomes.analysis.figures.base import GREY, PAGE_INCHES, house_style, new_figure, placed_axes
from la_outcomes.analysis.protected import count_text, shown_count
from la_outcomes.analysis.studies.cohort_flow import Step

_LINE = 0.17
_GAP = 0.28
_BOX = 0.45


def flow_figure(boxes: Sequence[Step]) -> Figure:
    """Draw a STROBE diagram; heights are in inches, so that text fits whatever the number of reasons."""
    gaps = [max(_GAP, _LINE * len(box.lost) + 0.36) if box.lost else _GAP for box in boxes[1:]]
    total = _BOX * len(boxes) + sum(gaps) + 0.3
    with house_style():
        figure = new_figure(PAGE_INCHES, total, arranged=False)
        axes = _canvas(figure, PAGE_INCHES, total)
        top = 0.1
        for index, box in enumerate(boxes):
            if index:
                _arrow(axes, 1.75, top, top + gaps[index - 1])
                _lost(axes, box, top + gaps[index - 1] / 2)
                top += gaps[index - 1]
            _box(axes, (0.3, top, 2.9, _BOX), f"{box.name}\nn = {count_text(box.n)}", centred=True)
            top += _BOX
    return figure


def cohorts_figure(by_cohort: Mapping[str, Sequence[Step]]) -> Figure:
    """The same boxes for each cohort side by side; those left out stand between the boxes.

    ``by_cohort`` holds the same steps, in the same order, for each cohort (printed name).
    """
    flows = list(by_cohort.values())
    width = min(1.75, (PAGE_INCHES - 0.1) / len(flows))
    reasons = [[_reasons(flow[step], width) for flow in flows] for step in range(1, len(flows[0]))]
    gaps = [max(_GAP, 0.125 * max(len(lines) for lines in step) + 0.16) for step in reasons]
    total = 0.35 + 0.55 * len(flows[0]) + sum(gaps) + 0.3
    with house_style():
        figure = new_figure(PAGE_INCHES, total, arranged=False)
        axes = _canvas(figure, PAGE_INCHES, total)
        for column, (name, flow) in enumerate(by_cohort.items()):
            left = 0.05 + column * width
            axes.text(left + (width - 0.1) / 2, 0.2, name, ha="center", weight="bold", fontsize=8)
            top = 0.35
            for step, box in enumerate(flow):
                if step:
                    _arrow(axes, left + 0.12, top, top + gaps[step - 1])
                    text = "\n".join(reasons[step - 1][column])
                    axes.text(
                        left + 0.22, top + gaps[step - 1] / 2, text, va="center", fontsize=6, color=GREY
                    )
                    top += gaps[step - 1]
                said = "\n".join([*wrap(box.name, int(13 * width)), f"n = {count_text(box.n)}"])
                _box(axes, (left, top, width - 0.1, 0.55), said, centred=True, size=6.5)
                top += 0.55
    return figure


def _reasons(step: Step, width: float) -> list[str]:
    """Lines of text that say who was left out before a step."""
    lines = []
    for reason, n in step.lost.items():
        lines += wrap(f"− {count_text(n)} {reason}", int(14 * width), subsequent_indent="   ")
    return lines


def centres_figure(table: pd.DataFrame) -> Figure:
    """Bars of patients by centre, one inside the other, for each step.

    ``table`` has one row a cohort and centre, columns ``cohort``, ``centre``, then one a step.
    """
    steps = list(table.columns[2:])
    height = 0.21 * len(table)
    with house_style():
        figure = new_figure(PAGE_INCHES, height + 1.1, arranged=False)
        axes = placed_axes(figure, 1.9, 0.55, 4.4, height)
        places = np.arange(len(table))
        shades = ["#c9dbe9", "#7fb0d3", "#2f7fb8", "#0b3c61"][-len(steps) :] if len(steps) < 5 else None
        for index, step in enumerate(steps):
            colour = shades[index] if shades else f"C{index}"
            bars = [shown_count(int(n)) for n in table[step]]
            axes.barh(places, bars, height=0.8 - 0.15 * index, color=colour, label=step)
        axes.set_yticks(places, [f"{row[0]}, {row[1]}" for row in table.itertuples(index=False)])
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("Patients")
        for place, n in enumerate(table[steps[-1]]):
            axes.text(
                1.01, place, count_text(int(n)), va="center", fontsize=7, transform=axes.get_yaxis_transform()
            )
        axes.text(1.01, -1.0, "at last step", va="center", fontsize=7, transform=axes.get_yaxis_transform())
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.4, 1.0), fontsize=6.5)
    return figure


def _canvas(figure: Figure, width: float, height: float) -> Axes:
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return axes


def _arrow(axes: Axes, x: float, start: float, end: float) -> None:
    axes.annotate(
        "", (x, end), (x, start), arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 0.8}
    )


def _lost(axes: Axes, box: Step, middle: float) -> None:
    if not box.lost:
        return
    lines = [f"Not included: n = {count_text(sum(box.lost.values()))}"]
    lines += [f"   {reason}: {count_text(n)}" for reason, n in box.lost.items()]
    height = _LINE * len(lines) + 0.1
    axes.annotate(
        "", (3.5, middle), (1.75, middle), arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 0.8}
    )
    _box(axes, (3.5, middle - height / 2, 3.5, height), "\n".join(lines), centred=False)


def _box(
    axes: Axes, place: tuple[float, float, float, float], text: str, *, centred: bool, size: float = 7.5
) -> None:
    """A box at (left, top, width, height) in inches."""
    left, top, width, height = place
    axes.add_patch(Rectangle((left, top), width, height, fill=False, linewidth=0.8))
    x = left + width / 2 if centred else left + 0.08
    ha = "center" if centred else "left"
    axes.text(x, top + height / 2, text, ha=ha, va="center", fontsize=size, linespacing=1.35)
