"""Selection weights: known selection is undone, figures by hand, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.linear import fit_linear, fit_logistic
from la_outcomes.analysis.ordinal import fit_proportional_odds
from la_outcomes.analysis.selection import compare_weighted, selection_weights
from la_outcomes.errors import StatisticsError


def patients(n: int = 6000, seed: int = 1) -> pd.DataFrame:
    """The effect of x is 0.2 + 0.6 z; those with z = 1 are imaged far more often."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": rng.integers(0, 2, n)})
    eta = (0.2 + 0.6 * frame["z"]) * frame["x"] + frame["z"]
    frame["y"] = eta + rng.normal(size=n)
    frame["binary"] = (rng.logistic(size=n) < eta).astype(int)
    frame["ordinal"] = np.searchsorted([-1, 0, 1, 2], eta + rng.logistic(size=n))
    frame["imaged"] = (rng.random(n) < np.where(frame["z"] == 1, 0.9, 0.2)).astype(int)
    return frame


DATA = patients()


def test_weights_restore_the_effect_in_everybody() -> None:
    weights = selection_weights(DATA, "imaged", ["z"])
    result = compare_weighted(DATA.drop(columns="z"), "y", ["x"], weights)
    estimate = result.coefficients.set_index("estimate_of")["estimate"]
    everyone = fit_linear(DATA, "y", ["x"]).coefficients["estimate"][1]
    assert estimate["weighted"] == pytest.approx(everyone, abs=0.04)
    assert estimate["plain"] > everyone + 0.1
    assert weights.balance["smd_before"].abs().max() > 0.3
    assert weights.balance["smd_after"].abs().max() < 1e-6
    assert weights.mean_weight == pytest.approx(1, abs=0.02)
    assert weights.effective_n < weights.n_selected


def test_weights_by_hand_and_stabilisation_is_a_factor() -> None:
    frame = pd.DataFrame({"z": np.repeat([0, 1], 50), "s": [1] * 10 + [0] * 40 + [1] * 40 + [0] * 10})
    plain = selection_weights(frame, "s", ["z"], numerator_terms=None).weights
    assert plain[0] == pytest.approx(5)
    assert plain[60] == pytest.approx(1.25)
    assert plain.notna().sum() == 50
    stable = selection_weights(frame, "s", ["z"])
    assert (stable.weights / plain).dropna().to_numpy() == pytest.approx(0.5)
    assert stable.effective_n == pytest.approx(
        selection_weights(frame, "s", ["z"], numerator_terms=None).effective_n
    )
    within = selection_weights(frame, "s", ["z"], numerator_terms=["z"]).weights.dropna()
    assert within.to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["linear", "binary", "ordinal"])
def test_equal_weights_give_the_robust_plain_fit(kind) -> None:
    data = DATA[:800]
    weights = selection_weights(data, "imaged", ["z"], numerator_terms=["z"])
    outcome = "y" if kind == "linear" else kind
    table = compare_weighted(data, outcome, ["x"], weights, kind).coefficients.set_index("estimate_of")
    fit = {"linear": fit_linear, "binary": fit_logistic, "ordinal": fit_proportional_odds}[kind]
    chosen = data[data["imaged"] == 1]
    expected = fit(chosen, outcome, ["x"], covariance="HC0").coefficients.set_index("term").loc["x"]
    for name in ("plain", "weighted"):
        assert table.loc[name, ["estimate", "se"]].to_list() == pytest.approx(
            [expected["estimate"], expected["se"]], rel=1e-6
        )


def test_whole_weights_are_repeated_rows() -> None:
    data = DATA[:300].assign(imaged=1)
    data.loc[data.index[:5], "imaged"] = 0
    weights = selection_weights(data, "imaged", ["x"])
    doubled = weights.weights.where(weights.weights.isna(), 1.0 + (DATA["z"][:300] == 1))
    object.__setattr__(weights, "weights", doubled)
    estimate = compare_weighted(data, "ordinal", ["x"], weights, "ordinal").coefficients["estimate"][1]
    chosen = data[data["imaged"] == 1]
    again = pd.concat([chosen, chosen[chosen["z"] == 1]])
    assert estimate == pytest.approx(fit_proportional_odds(again, "ordinal", ["x"]).slopes[0], rel=1e-6)


def test_truncation_is_counted() -> None:
    frame = DATA.assign(u=np.random.default_rng(0).normal(size=len(DATA)))
    loose = selection_weights(frame, "imaged", ["z", "x", "u"])
    cut = selection_weights(frame, "imaged", ["z", "x", "u"], truncate=0.05)
    assert cut.largest_weight < loose.largest_weight
    assert cut.n_truncated > 0 == loose.n_truncated


def test_what_cannot_be_weighted_is_refused() -> None:
    with pytest.raises(StatisticsError, match="one level only"):
        selection_weights(DATA.assign(imaged=1), "imaged", ["z"])
    with pytest.raises(StatisticsError, match="separates"):
        selection_weights(DATA, "imaged", [*["x"], "same"]) if "same" in DATA else selection_weights(
            DATA.assign(same=DATA["imaged"]), "imaged", ["same"]
        )
    with pytest.raises(StatisticsError, match="truncate"):
        selection_weights(DATA, "imaged", ["z"], truncate=0.7)
    weights = selection_weights(DATA, "imaged", ["z"])
    with pytest.raises(StatisticsError, match="not unique"):
        compare_weighted(pd.concat([DATA, DATA]), "y", ["x"], weights)
    with pytest.raises(StatisticsError, match="no row"):
        compare_weighted(DATA.set_index(DATA.index + 10**6), "y", ["x"], weights)
