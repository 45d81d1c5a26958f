"""Decision curves: net benefit over the threshold probability."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from la_outcomes.analysis.figures.base import GREY, PAGE_INCHES, house_style, new_figure

_STYLES = {
    "treat none": (GREY, "-"),
    "treat all": (GREY, ":"),
    "covariates alone": ("black", "--"),
}


def decision_figure(curves: pd.DataFrame) -> Figure:
    """One line a column of ``curves``, indexed by threshold probability."""
    with house_style():
        figure = new_figure(PAGE_INCHES, 3.2)
        axes = figure.add_subplot()
        models = [name for name in curves if name not in _STYLES]
        styles = {name: (f"C{place}", ("-", "--", "-.")[place % 3]) for place, name in enumerate(models)}
        for name in curves:
            colour, line = (_STYLES | styles)[str(name)]
            axes.plot(curves.index, curves[name], color=colour, linestyle=line, label=str(name))
        shown = curves.drop(columns=["treat all"])
        axes.set_ylim(-0.02, 1.1 * float(shown.to_numpy().max()) + 0.02)
        axes.set_xlabel("Threshold probability of mRS 3-6")
        axes.set_ylabel("Net benefit")
        axes.legend(loc="upper right")
    return figure
