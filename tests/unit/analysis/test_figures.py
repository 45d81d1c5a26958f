"""Figures: print resolution, the same bytes twice, volumes labelled in mL, simulated data marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from la_outcomes.analysis.figures import base, dag
from la_outcomes.analysis.figures.agreement import bland_altman_figure, scatter_figure
from la_outcomes.analysis.figures.base import FIGURE_DPI, save_figure
from la_outcomes.analysis.figures.decision import decision_figure
from la_outcomes.analysis.figures.flow import cohorts_figure, flow_figure
from la_outcomes.analysis.figures.forest import ForestLine, forest_figure
from la_outcomes.analysis.figures.outcome import grotta_figure
from la_outcomes.analysis.figures.specification_curve import curve_figure
from la_outcomes.analysis.studies.cohort_flow import Step


def _scatter() -> Figure:
    random = np.random.default_rng(2)
    pairs = pd.DataFrame({"a": random.exponential(8, 30), "b": random.exponential(8, 30)})
    return scatter_figure({"one": pairs, "two": pairs}, "a", "b", ("LA", "WMH"))


def _texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    labels = [axes.get_xlabel() for axes in figure.axes] + [axes.get_ylabel() for axes in figure.axes]
    ticks = [text.get_text() for axes in figure.axes for text in axes.get_xticklabels()]
    return [*labels, *ticks, *(text.get_text() for text in figure.texts)]


def test_equal_figures_are_equal_files_at_print_resolution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "FIGURE_DPI", FIGURE_DPI)
    for name in ("first", "second"):
        save_figure(_scatter(), tmp_path / name, simulated=True)
    for suffix in (".png", ".svg", ".pdf"):
        first, second = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("first", "second"))
        assert first == second
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.width == pytest.approx(7.2 * FIGURE_DPI, abs=2)


def test_log_axes_are_labelled_in_millilitres_and_hold_zero() -> None:
    texts = _texts(_scatter())
    assert "WMH, mL (log scale)" in texts
    assert {"0", "1", "3", "10"} <= set(texts)


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_data_are_marked_in_the_picture(tmp_path: Path, simulated: bool) -> None:
    figure = forest_figure([ForestLine("a", 1.3, 1.1, 1.5, 20)], "Odds ratio")
    save_figure(figure, tmp_path / "figure", simulated=simulated)
    assert ("Simulated data" in _texts(figure)) == simulated


def test_a_forest_prints_the_numbers_it_draws() -> None:
    lines = [
        ForestLine("heading"),
        ForestLine("a", 1.3, 1.1, 1.5, 20),
        ForestLine("truth", 1.35, marked=True),
    ]
    figure = forest_figure(lines, "Odds ratio")
    printed = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "1.30 (1.10 to 1.50)" in printed
    assert "1.35" in printed
    assert "20" in printed
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["heading", "a", "truth"]


def test_stacked_bars_fill_the_width() -> None:
    shares = pd.DataFrame([[0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1]] * 2, columns=range(7)).assign(n=[10, 12])
    axes = grotta_figure(shares, "Fifth", "mRS").axes[0]
    rows = {place: [bar for bar in axes.patches if round(bar.get_y() + 0.36) == place] for place in (0, 1)}
    for bars in rows.values():
        assert sum(bar.get_width() for bar in bars) == pytest.approx(1.0)


def test_the_flow_diagram_shows_every_number_and_reason() -> None:
    figure = flow_figure([Step("Patients", 10), Step("Measured", 7, {"motion artefact": 2, "no CT": 1})])
    text = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    for wanted in ("n = 10", "n = 7", "Not included: n = 3", "motion artefact: 2", "no CT: 1"):
        assert wanted in text


def test_a_specification_curve_orders_the_estimates_and_fills_the_main_choice() -> None:
    table = pd.DataFrame(
        {"choice": ["main", "scale", "scale"], "alternative": ["ln(mL + 1)", "a", "b"],
         "estimate": [1.2, 1.4, 1.1], "ci_low": [1.0, 1.1, 0.9], "ci_high": [1.4, 1.8, 1.3], "n": [50] * 3}
    )  # fmt: skip
    figure = curve_figure(table, "Odds ratio per SD", ratio=True)
    above, below = figure.axes
    points = [line for line in above.lines if line.get_marker() in ("D", "o")]
    assert [float(np.ravel(line.get_ydata())[0]) for line in points] == [1.1, 1.2, 1.4]
    assert [line.get_marker() for line in points] == ["o", "D", "o"]
    assert next(text.get_text() for text in below.get_yticklabels()) == "main: ln(mL + 1)"


def test_the_causal_diagram_has_no_cycle() -> None:
    edges = {*dag._ARROWS, *dag._CURVED, *dag._ERROR}
    left = {name for edge in edges for name in edge}
    while roots := {name for name in left if not any(end == name and start in left for start, end in edges)}:
        left -= roots
    assert not left


def test_decision_curves_and_flow_by_cohort_say_what_they_show() -> None:
    curves = pd.DataFrame(
        {
            "treat none": [0.0, 0.0],
            "treat all": [0.2, -0.3],
            "covariates alone": [0.2, 0.1],
            "CT": [0.21, 0.12],
        },
        index=[0.1, 0.4],
    )
    (axes,) = decision_figure(curves).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(curves)
    flow = [Step("Patients", 10), Step("CT", 7, {"no CT": 3})]
    figure = cohorts_figure({"clinical": flow, "US test": flow})
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts.count("Patients\nn = 10") == 2
    assert "− 3 no CT" in texts


def test_the_title_of_a_single_bland_altman_panel_stays_inside_the_figure() -> None:
    pairs = pd.DataFrame({"a": [1.0, 2.0, 5.0, 9.0], "b": [1.5, 2.5, 4.0, 8.0]})
    labels = ("Pseudo-label volume", "WMH volume on MRI")
    figure = bland_altman_figure({"external test": pairs}, "a", "b", labels)
    figure.canvas.draw()
    (title,) = [text for text in figure.texts if "minus" in text.get_text()]
    extent = title.get_window_extent()
    assert 0 <= extent.x0 < extent.x1 <= figure.bbox.width
