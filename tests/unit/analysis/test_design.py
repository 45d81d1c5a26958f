"""Power by simulation against closed forms, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from la_outcomes.analysis.design import (
    Power,
    power_ccc,
    power_common_odds_ratio,
    power_subgroup,
    sample_size,
    simulate_power,
)
from la_outcomes.errors import StatisticsError

MRS = [0.2, 0.25, 0.15, 0.15, 0.12, 0.05, 0.08]


def near(power: Power, expected: float) -> None:
    assert power.power == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / power.n_sim))


def test_difference_of_correlations_equals_fishers_formula() -> None:
    power = power_subgroup(200, 0.9, 0.8, measure="pearson", n_sim=800)
    shift = (np.arctanh(0.9) - np.arctanh(0.8)) / np.sqrt(2 / 97)
    near(power, float(stats.norm.sf(1.96 - shift)))


def test_common_odds_ratio_equals_whiteheads_formula() -> None:
    """Whitehead 1993 (Stat Med 12:2257) for a normal exposure: variance 3 / (n (1 - sum of cubed shares))."""
    power = power_common_odds_ratio(300, 1.3, MRS, n_sim=500)
    variance = 3 / (300 * (1 - np.sum(np.array(MRS) ** 3)))
    expected = float(stats.norm.sf(1.96 - np.log(1.3) / np.sqrt(variance)))
    assert power.power == pytest.approx(expected, abs=0.07)
    near(power_common_odds_ratio(200, 1.0001, MRS, n_sim=500), 0.05)


def test_measurement_error_and_covariates_cost_power() -> None:
    whole = power_common_odds_ratio(250, 1.35, MRS, n_sim=300).power
    noisy = power_common_odds_ratio(250, 1.35, MRS, reliability=0.5, n_sim=300).power
    adjusted = power_common_odds_ratio(250, 1.35, MRS, reliability=0.5, r2_covariates=0.5, n_sim=300).power
    assert whole > noisy + 0.1 > adjusted + 0.1


def test_ccc_just_at_the_limit_is_shown_rarely_and_well_above_nearly_always() -> None:
    near(power_ccc(100, 0.9001, 0.9, n_sim=400), 0.025)
    assert power_ccc(200, 0.95, 0.9, n_sim=200).power > 0.97
    biased = power_ccc(60, 0.8, 0.7, location_shift=0.3, scale_shift=1.2, n_sim=200)
    assert 0.2 < biased.power < 0.95
    with pytest.raises(StatisticsError, match="at most"):
        power_ccc(60, 0.95, 0.7, location_shift=1.0)


def test_sample_size_meets_its_target() -> None:
    def at(n: int) -> Power:
        return power_subgroup(n, 0.9, 0.8, measure="pearson", n_sim=400)

    found = sample_size(at, 0.8, low=40, high=800)
    exact = 2 * (3 + 2 * (2.8016 / (np.arctanh(0.9) - np.arctanh(0.8))) ** 2)
    assert found.n == pytest.approx(exact, rel=0.2)
    assert found.power >= 0.8
    assert len(found.to_frame()) >= 3
    with pytest.raises(StatisticsError, match="give a power"):
        sample_size(at, 0.99, low=20, high=40)


def test_seeds_and_refusals() -> None:
    assert power_ccc(50, 0.9, 0.8, n_sim=60, seed=3) == power_ccc(50, 0.9, 0.8, n_sim=60, seed=3)
    with pytest.raises(StatisticsError, match="sum to 1"):
        power_common_odds_ratio(100, 1.3, [0.5, 0.6])
    with pytest.raises(StatisticsError, match="reliability"):
        power_common_odds_ratio(100, 1.3, MRS, reliability=0)
    with pytest.raises(StatisticsError, match="at_least"):
        power_ccc(100, 0.8, 0.9)
    with pytest.raises(StatisticsError, match="fewer than 5"):
        power_subgroup(20, 0.9, 0.8, share_a=0.1)
    with pytest.raises(StatisticsError, match="no result"):
        simulate_power(_never, 20, "nothing", n_sim=50)


def _never(rng: np.random.Generator, n: int) -> bool:
    raise StatisticsError("nothing to see")
