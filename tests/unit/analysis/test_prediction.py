"""Prediction: definitions, laws and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from la_outcomes.analysis.linear import fit_logistic
from la_outcomes.analysis.ordinal import fit_proportional_odds
from la_outcomes.analysis.prediction import (
    apply_cutoff,
    auc,
    binary_performance,
    calibration,
    choose_cutoff,
    compare_auc,
    compare_concordance,
    concordance,
    idi,
    net_benefit,
    nri,
    optimism_bootstrap,
    ordinal_performance,
)
from la_outcomes.errors import StatisticsError


def test_auc_equals_the_published_figures_of_proc() -> None:
    folder = os.environ.get("LA_OUTCOMES_REFERENCE")
    if not folder:
        pytest.skip("LA_OUTCOMES_REFERENCE is not set: the published data are not at hand")
    data = pd.read_csv(Path(folder) / "statistics" / "aSAH.csv")
    area = auc(data["poor"], data["s100b"])
    assert (area.auc, area.ci_low, area.ci_high) == pytest.approx((0.7314, 0.6301, 0.8326), abs=6e-5)
    assert auc(data["poor"], data["wf"]).auc == pytest.approx(0.8237, abs=6e-5)
    assert (area.n_positive, area.n_negative) == (41, 72)


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=15), st.lists(st.integers(0, 5), min_size=2, max_size=15)
)
def test_auc_is_the_share_of_pairs_in_the_right_order(positive: list[int], negative: list[int]) -> None:
    difference = np.subtract.outer(positive, negative)
    share = (difference > 0).mean() + 0.5 * (difference == 0).mean()
    outcome = [1] * len(positive) + [0] * len(negative)
    assert auc(outcome, positive + negative).auc == pytest.approx(share)


def test_missing_patients_are_counted_and_bad_outcomes_refused() -> None:
    assert auc([0, 0, 1, 1, None], [1, 2, 2, 3, 4], missing="drop").n_missing == 1
    with pytest.raises(StatisticsError, match="other than 0 and 1"):
        auc([0, 0, 1, 2], [1, 2, 3, 4])
    with pytest.raises(StatisticsError, match="1 patients with"):
        auc([0, 0, 1], [1, 2, 3])


def patients(n: int = 400, seed: int = 1) -> pd.DataFrame:
    """A binary outcome whose risk is expit(x + z), an ordered one with the same predictor, and noise."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 6)), columns=["x", "z", "n1", "n2", "n3", "n4"])
    frame["risk"] = 1 / (1 + np.exp(-(frame["x"] + frame["z"])))
    frame["weak"] = 1 / (1 + np.exp(-frame["x"]))
    frame["y"] = (rng.random(n) < frame["risk"]).astype(int)
    frame["level"] = np.searchsorted([-1.5, 0, 1.5], frame["x"] + frame["z"] + rng.logistic(size=n))
    return frame


DATA = patients()


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_swapping_scores_turns_the_difference_and_order_alone_counts(seed: int) -> None:
    data = patients(60, seed)
    forth, back = compare_auc(data["y"], data["x"], data["z"]), compare_auc(data["y"], data["z"], data["x"])
    assert (forth.difference, forth.p) == pytest.approx((-back.difference, back.p))
    monotone = compare_auc(data["y"], np.exp(data["x"]), 3 + 2 * data["z"])
    assert (monotone.z, monotone.ci_low) == pytest.approx((forth.z, forth.ci_low))


def test_scores_that_order_alike_are_not_compared() -> None:
    with pytest.raises(StatisticsError, match="order the patients alike"):
        compare_auc(DATA["y"], DATA["x"], 2 * DATA["x"])
    with pytest.raises(StatisticsError, match="order the patients alike"):
        compare_concordance(DATA["level"], DATA["x"], 2 * DATA["x"])


def test_concordance_of_two_levels_is_the_area() -> None:
    assert concordance(DATA["y"], DATA["x"]).c_index == pytest.approx(auc(DATA["y"], DATA["x"]).auc)
    fit = fit_proportional_odds(DATA, "level", ["x", "z"])
    assert concordance(DATA["level"], fit.model.linear_predictor()).c_index == pytest.approx(fit.c_index)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=4, max_size=25).filter(
        lambda rows: len({level for level, _ in rows}) > 1
    )
)
def test_concordance_counts_pairs(rows: list[tuple[int, int]]) -> None:
    level, score = np.array(rows, dtype=float).T
    worse = level[:, None] > level[None, :]
    gap = score[:, None] - score[None, :]
    expected = ((gap > 0) + 0.5 * (gap == 0))[worse].mean()
    result = concordance(level, score)
    assert result.c_index == pytest.approx(expected)
    assert result.n_pairs == worse.sum()


def test_a_cutoff_is_chosen_on_one_sample_and_applied_to_another() -> None:
    chosen = choose_cutoff(DATA["y"], DATA["risk"])
    table = apply_cutoff(DATA["y"], DATA["risk"], chosen.cutoff).table.set_index("measure")
    assert table.loc["sensitivity", "estimate"] == pytest.approx(chosen.sensitivity)
    assert table.loc["specificity", "estimate"] == pytest.approx(chosen.specificity)
    other = patients(seed=2)
    elsewhere = apply_cutoff(other["y"], other["risk"], chosen.cutoff).table.set_index("measure")
    youden = elsewhere.loc["sensitivity", "estimate"] + elsewhere.loc["specificity", "estimate"]
    assert youden <= sum(
        choose_cutoff(other["y"], other["risk"]).__dict__[k] for k in ("sensitivity", "specificity")
    )
    safe = choose_cutoff(DATA["y"], DATA["risk"], "sensitivity", minimum=0.95)
    assert safe.sensitivity >= 0.95
    assert safe.cutoff < chosen.cutoff
    with pytest.raises(StatisticsError, match="one side"):
        apply_cutoff(DATA["y"], DATA["risk"], 5.0)


def test_categories_move_as_counted_by_hand() -> None:
    outcome = [1, 1, 1, 1, 0, 0, 0, 0]
    old, new = [0.1, 0.3, 0.4, 0.6], [0.3, 0.3, 0.6, 0.4]
    result = nri(outcome, old + old, [*new, 0.1, 0.1, 0.4, 0.4], [0.2, 0.5])
    table = result.table.set_index("term")
    # events: 2 up, 1 down of 4; non-events: 2 down of 4
    assert table.loc["events", "estimate"] == pytest.approx(0.25)
    assert table.loc["non-events", "estimate"] == pytest.approx(0.5)
    assert table.loc["overall", "estimate"] == pytest.approx(0.75)
    assert table.loc["events", "se"] == pytest.approx(np.sqrt((0.75 - 0.25**2) / 4))
    assert result.counts["n"].sum() == 8
    forth, back = (nri(DATA["y"], *risks, [0.35]).table for risks in _both_ways("weak", "risk"))
    assert list(forth["estimate"]) == pytest.approx(list(-back["estimate"]))


def _both_ways(*names: str) -> tuple[list[pd.Series], list[pd.Series]]:
    return [DATA[name] for name in names], [DATA[name] for name in reversed(names)]


def test_a_useless_change_is_refused_and_risks_are_checked() -> None:
    with pytest.raises(StatisticsError, match="do not differ"):
        idi(DATA["y"], DATA["risk"], DATA["risk"])
    with pytest.raises(StatisticsError, match="outside 0 to 1"):
        nri(DATA["y"], DATA["x"], DATA["risk"])
    with pytest.raises(StatisticsError, match="cut-offs must rise"):
        nri(DATA["y"], DATA["weak"], DATA["risk"], [0.5, 0.2])
    with pytest.raises(StatisticsError, match="both of them"):
        idi(np.ones(len(DATA)), DATA["weak"], DATA["risk"])


def test_true_risks_are_calibrated_and_sharper_ones_have_a_flat_slope() -> None:
    data = patients(4000)
    table = calibration(data["y"], data["risk"]).table.set_index("term")
    assert (table["ci_low"] < [0, 1]).all()
    assert (table["ci_high"] > [0, 1]).all()
    sharp = 1 / (1 + np.exp(-2 * (data["x"] + data["z"]) - 0.5))
    fit = calibration(data["y"], sharp)
    assert fit.table.set_index("term").loc["slope", "estimate"] == pytest.approx(0.5, abs=0.06)
    assert fit.ratio < 1
    assert fit.groups["n"].sum() == 4000
    near = calibration(data["y"], data["risk"]).curve
    assert np.abs(near["observed"] - near["risk"]).max() < 0.06
    with pytest.raises(StatisticsError, match="exactly 0 or 1"):
        calibration(data["y"], np.where(data["x"] > 2, 1.0, data["risk"]))


def test_net_benefit_by_hand_and_its_limits() -> None:
    table = net_benefit([1, 1, 0, 0], {"model": [0.9, 0.4, 0.6, 0.1]}, [0.5, 0.2]).table
    value = table.set_index(["model", "threshold"])["net_benefit"]
    assert value["model", 0.5] == pytest.approx(0.25 - 0.25)
    assert value["model", 0.2] == pytest.approx(0.5 - 0.25 * 0.25)
    assert value["treat all", 0.5] == pytest.approx(0.0)
    assert (value["treat none"] == 0).all()
    with pytest.raises(StatisticsError, match="between 0 and 1"):
        net_benefit([1, 0], {"model": [0.9, 0.4]}, [1.0])
    with pytest.raises(StatisticsError, match="name each set"):
        net_benefit([1, 0], {"treat all": [0.9, 0.4]}, [0.5])


def test_a_model_full_of_noise_is_optimistic_and_a_seed_repeats_it() -> None:
    data = patients(120)
    terms = ["x", "n1", "n2", "n3", "n4"]

    def run(seed: int) -> pd.DataFrame:
        return optimism_bootstrap(
            data, lambda f: fit_logistic(f, "y", terms), binary_performance("y"), n_boot=60, seed=seed
        ).table.set_index("measure")

    table = run(1)
    assert table.loc["slope", "apparent"] == pytest.approx(1)
    assert table.loc["slope", "corrected"] < 0.97
    assert table.loc["c_index", "optimism"] > 0
    assert table.loc["brier", "optimism"] < 0
    assert (
        table.loc["c_index", "ci_low"] < table.loc["c_index", "corrected"] < table.loc["c_index", "ci_high"]
    )
    assert table.equals(run(1))
    assert not table.equals(run(2))


def test_optimism_of_an_ordinal_model_by_clusters() -> None:
    data = patients(150).assign(centre=lambda f: np.arange(len(f)) % 15)
    result = optimism_bootstrap(
        data,
        lambda f: fit_proportional_odds(f, "level", ["z", "n1", "n2", "n3", "n4"]),
        ordinal_performance("level"),
        n_boot=40,
        cluster="centre",
    )
    table = result.table.set_index("measure")
    assert (table["corrected"] < table["apparent"]).all()
    with pytest.raises(StatisticsError, match="have no estimate"):
        optimism_bootstrap(data, _fails_on_resamples(data), ordinal_performance("level"), n_boot=40)


def _fails_on_resamples(data: pd.DataFrame):
    def fit(frame: pd.DataFrame):
        if frame is not data:
            raise StatisticsError("no fit")
        return fit_proportional_odds(frame, "level", ["x"])

    return fit
