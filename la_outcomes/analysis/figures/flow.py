"""The flow diagram: boxes downwards, those left out to the right with their reasons."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from la_outcomes.analysis.figures.base import GREY, PAGE_INCHES, house_style, new_figure
from la_outcomes.analysis.studies.cohort_flow import Step

_LINE = 0.17
_GAP = 0.28


def flow_figure(boxes: Sequence[Step]) -> Figure:
    """Draw a STROBE diagram; heights are in inches, so that text fits whatever the number of reasons."""
    heights = [0.45] * len(boxes)
    gaps = [max(_GAP, _LINE * len(box.lost) + 0.36) if box.lost else _GAP for box in boxes[1:]]
    total = sum(heights) + sum(gaps) + 0.2
    with house_style():
        figure = new_figure(PAGE_INCHES, total, arranged=False)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, PAGE_INCHES)
        axes.set_ylim(total, 0)
        axes.axis("off")
        top = 0.1
        for index, box in enumerate(boxes):
            if index:
                _arrow(axes, top, top + gaps[index - 1])
                _lost(axes, box, top + gaps[index - 1] / 2)
                top += gaps[index - 1]
            _box(axes, 0.3, top, 2.9, heights[index], f"{box.name}\nn = {box.n:,}", centred=True)
            top += heights[index]
    return figure


def _arrow(axes: Axes, start: float, end: float) -> None:
    axes.annotate(
        "", (1.75, end), (1.75, start), arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 0.8}
    )


def _lost(axes: Axes, box: Step, middle: float) -> None:
    if not box.lost:
        return
    lines = [f"Not included: n = {sum(box.lost.values()):,}"]
    lines += [f"   {reason}: {n:,}" for reason, n in box.lost.items()]
    height = _LINE * len(lines) + 0.1
    axes.annotate(
        "", (3.5, middle), (1.75, middle), arrowprops={"arrowstyle": "-|>", "color": GREY, "linewidth": 0.8}
    )
    _box(axes, 3.5, middle - height / 2, 3.5, height, "\n".join(lines), centred=False)


def _box(
    axes: Axes, left: float, top: float, width: float, height: float, text: str, *, centred: bool
) -> None:
    axes.add_patch(Rectangle((left, top), width, height, fill=False, linewidth=0.8))
    x = left + width / 2 if centred else left + 0.08
    axes.text(
        x,
        top + height / 2,
        text,
        ha="center" if centred else "left",
        va="center",
        fontsize=7.5,
        linespacing=1.35,
    )
