"""The causal diagram that the adjusted specifications assume."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from la_outcomes.analysis.figures.base import GREY, PAGE_INCHES, house_style, new_figure

_HEIGHT = 3.9
_NODES = {
    "age": (0.85, 1.95, "Age, sex"),
    "risk": (2.1, 0.75, "Hypertension, diabetes,\nAF, prior stroke, glucose"),
    "la": (2.35, 1.95, "LA (true)"),
    "ct": (2.35, 3.15, "LA volume\non CT"),
    "pre": (4.45, 0.75, "Pre-stroke mRS"),
    "infarct": (4.15, 1.95, "Final infarct\nvolume"),
    "nihss": (4.15, 3.15, "NIHSS"),
    "treatment": (5.6, 3.15, "Reperfusion"),
    "mrs": (6.45, 1.95, "mRS"),
}
_ARROWS = (
    ("age", "la"), ("age", "risk"), ("risk", "la"), ("risk", "pre"), ("la", "infarct"), ("la", "nihss"),
    ("nihss", "infarct"),
    ("treatment", "infarct"), ("nihss", "mrs"), ("infarct", "mrs"), ("pre", "mrs"), ("la", "pre"),
    ("nihss", "treatment"), ("treatment", "mrs"),
)  # fmt: skip
_CURVED = {("age", "mrs"): -0.5, ("la", "mrs"): -0.3, ("risk", "mrs"): -0.35}
_ERROR = (("la", "ct"), ("infarct", "ct"))
_BEFORE, _MEDIATOR = "#0072B2", "#D55E00"
_COLOURS = {"la": "black", "mrs": "black", "ct": GREY, "infarct": _MEDIATOR, "nihss": _MEDIATOR}

ALT = (
    "Causal diagram: age, sex and risk factors cause LA and a worse mRS; LA acts on the mRS directly, "
    "through pre-stroke mRS, NIHSS and final infarct volume; true LA and infarct volume both cause "
    "the LA volume measured on CT; NIHSS decides on reperfusion, which acts on infarct volume and mRS."
)
CAPTION = (
    "The causal structure that is assumed, not tested. Blue: adjusted for as confounder. Orange: may be a "
    "mediator, so specifications before and after it are shown. Dashed: measurement; where an infarct is "
    "taken for LA the error is differential, since infarct also drives the mRS. Whether a patient was imaged "
    "and measurable may depend on all of these."
)


def dag_figure() -> Figure:
    """Draw the diagram; nothing in it depends on the data."""
    with house_style():
        figure = new_figure(PAGE_INCHES, _HEIGHT, arranged=False)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, PAGE_INCHES)
        axes.set_ylim(_HEIGHT, 0)
        axes.axis("off")
        boxes = {name: _node(axes, place, _COLOURS.get(name, _BEFORE)) for name, place in _NODES.items()}
        bends = {**dict.fromkeys(_ARROWS, 0.0), **_CURVED, **dict.fromkeys(_ERROR, 0.0)}
        for (start, end), bend in bends.items():
            _arrow(axes, boxes[start], boxes[end], bend, "--" if (start, end) in _ERROR else "-")
    return figure


def _node(axes: Axes, place: tuple[float, float, str], colour: str) -> FancyBboxPatch:
    """A box around its text, and its centre as ``x, y`` in the place."""
    x, y, text = place
    width = 0.22 + 0.07 * max(len(line) for line in text.split("\n"))
    height = 0.32 + 0.13 * text.count("\n")
    box = FancyBboxPatch(
        (x - width / 2, y - height / 2), width, height, boxstyle="round,pad=0.02", facecolor="white",
        edgecolor=colour, linewidth=1.4, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", fontsize=7.5, zorder=4)
    return box


def _arrow(axes: Axes, start: FancyBboxPatch, end: FancyBboxPatch, bend: float, style: str) -> None:
    centres = [
        (box.get_x() + box.get_width() / 2, box.get_y() + box.get_height() / 2) for box in (start, end)
    ]
    arrow = FancyArrowPatch(
        centres[0], centres[1], patchA=start, patchB=end, shrinkA=1, shrinkB=2, arrowstyle="-|>",
        mutation_scale=9, connectionstyle=f"arc3,rad={bend}", linestyle=style, linewidth=0.9,
        color=GREY if style == "--" else "#333333", zorder=1,
    )  # fmt: skip
    axes.add_patch(arrow)
