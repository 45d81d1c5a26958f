"""Refitting many resamples at once gives what refitting each gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.linear import fit_linear, fit_logistic
from la_outcomes.analysis.ordinal import fit_proportional_odds

TERMS = ["volume", "age", "treated"]
MODELS = {
    "ordinal": (fit_proportional_odds, "mrs"),
    "two levels": (fit_proportional_odds, "dead"),
    "logistic": (fit_logistic, "dead"),
    "linear": (fit_linear, "volume2"),
}


def cohort(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"volume": rng.gamma(2, 5, n), "age": rng.normal(68, 12, n), "treated": rng.integers(0, 2, n)}
    )
    score = 0.05 * frame["volume"] + 0.03 * (frame["age"] - 68) + 0.5 * frame["treated"]
    latent = score + rng.logistic(size=n)
    return frame.assign(
        mrs=np.digitize(latent, [-1.5, 0, 0.8, 1.5, 3]),
        dead=(latent > 1).astype(int),
        volume2=score + rng.normal(size=n),
    )


def resamples(n: int, times: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(times)])


def each(fit, counts: np.ndarray) -> list[np.ndarray]:
    return [found for found in (fit.refit(row) for row in counts) if found is not None]


@pytest.mark.parametrize("name", MODELS)
def test_equals_one_by_one(name):
    model, outcome = MODELS[name]
    fit, counts = model(cohort(300), outcome, TERMS), resamples(300, 25)
    assert np.array(fit.refit_many(counts)) == pytest.approx(np.array(each(fit, counts)), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("name", ["ordinal", "logistic"])
def test_small_samples_in_which_levels_vanish_and_variables_separate(name):
    model, outcome = MODELS[name]
    fit, counts = model(cohort(30, 5), outcome, TERMS), resamples(30, 300)
    together, alone = fit.refit_many(counts), each(fit, counts)
    assert len(together) == len(alone)
    assert np.array(together) == pytest.approx(np.array(alone), rel=1e-6, abs=1e-8)
    if name == "logistic":
        assert len(alone) < 300, "no resample separates: choose smaller data"


def test_a_variable_that_is_constant_in_a_resample_has_no_estimate():
    frame = cohort(40).assign(treated=(np.arange(40) == 0).astype(int))
    fit, counts = fit_proportional_odds(frame, "mrs", TERMS), resamples(40, 60)
    assert len(fit.refit_many(counts)) == len(each(fit, counts)) < 60


def test_a_penalised_fit_goes_one_by_one():
    fit, counts = fit_proportional_odds(cohort(100), "mrs", TERMS, penalty=2.0), resamples(100, 5)
    assert np.array(fit.refit_many(counts)) == pytest.approx(np.array(each(fit, counts)), rel=1e-12)


def test_frequencies_multiply():
    frame = cohort(60)
    times = np.random.default_rng(4).integers(1, 4, 60)
    fit, counts = fit_proportional_odds(frame, "mrs", TERMS, weights=times), resamples(60, 5)
    expected = [fit_proportional_odds(frame, "mrs", TERMS, weights=times * row).slopes for row in counts]
    assert np.array(fit.refit_many(counts)) == pytest.approx(np.array(expected), rel=1e-8)
