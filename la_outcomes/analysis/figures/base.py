"""What every figure shares: size, style, volume axes in mL, and files that are the same twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from la_outcomes.analysis.results import FloatArray
from la_outcomes.shards import atomic_path

COLUMN_INCHES = 3.5
PAGE_INCHES = 7.2
FIGURE_DPI = 300
GREY = "#666666"
_FORMATS: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}
_VOLUME_TICKS = (0, 1, 3, 10, 30, 100, 300)


@contextmanager
def house_style() -> Iterator[None]:
    """Everything drawn inside follows ``style.mplstyle`` and nothing else."""
    style = resources.files("la_outcomes.analysis.figures").joinpath("style.mplstyle")
    with resources.as_file(style) as path, mpl.rc_context():
        mpl.rcdefaults()
        matplotlib.style.use(str(path))
        yield


def new_figure(width: float = COLUMN_INCHES, height: float = 2.8, *, arranged: bool = True) -> Figure:
    """Return an empty figure (inches) that needs no display; call inside ``house_style``.

    ``arranged`` lets the layout be found; without it, axes stay where they are put.
    """
    margin = 0.14 / height  # inches below, where "Simulated data" stands
    layout = ConstrainedLayoutEngine(rect=(0, margin, 1, 1 - margin)) if arranged else None
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def placed_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches from the figure's left and top, for text that must line up."""
    across, down = figure.get_size_inches()
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def save_figure(figure: Figure, stem: Path, *, simulated: bool) -> None:
    """Write ``stem.png`` (300 dpi), ``.svg`` and ``.pdf`` without dates: equal figures are equal files."""
    with house_style():
        _settle(figure)
        if simulated:
            figure.text(0.995, 0.006, "Simulated data", ha="right", va="bottom", fontsize=6, color=GREY)
        for suffix, metadata in _FORMATS.items():
            with atomic_path(stem.with_name(stem.name + suffix)) as temporary:
                figure.savefig(temporary, metadata=metadata, dpi=FIGURE_DPI)


def _settle(figure: Figure) -> None:
    """Fix the layout that was found, rounded: its solver differs in the last digits from run to run."""
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(tuple(np.round(axes.get_position(original=True).bounds, 4)))


def log_volume(values: FloatArray) -> FloatArray:
    """Position of volumes (mL) on an axis made by ``volume_axis``: ln(mL + 1), so that 0 mL has a place."""
    return np.log1p(np.asarray(values, dtype=float))


def volume_axis(axes: Axes, which: str, label: str) -> None:
    """Label an axis that holds ``log_volume`` positions in mL."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator([float(np.log1p(tick)) for tick in _VOLUME_TICKS]))
    axis.set_major_formatter(FuncFormatter(lambda position, _: f"{np.expm1(position):.3g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_label_text(f"{label}, mL (log scale)")


def ratio_axis(axes: Axes, values: FloatArray, label: str) -> None:
    """Make the x axis logarithmic for ratios, with ticks that read as ratios and a line at 1."""
    low, high = min(0.8, float(np.min(values)) * 0.95), max(1.25, float(np.max(values)) * 1.05)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    candidates = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50]
    ticks = _thinned([tick for tick in candidates if low <= tick <= high])
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.axvline(1, color=GREY, linewidth=0.7, linestyle="--", zorder=0)
    axes.set_xlabel(label)


def _thinned(ticks: list[float], most: int = 7) -> list[float]:
    """Drop every other tick, keeping 1, until they fit."""
    while len(ticks) > most:
        one = ticks.index(1) if 1 in ticks else 0
        ticks = ticks[one % 2 :: 2]
    return ticks


def letter(index: int) -> str:
    """Panel letter: A, B, C ..."""
    return chr(ord("A") + index)
