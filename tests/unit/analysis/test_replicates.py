"""Resampling gives the same numbers wherever it runs, and says so when too few resamples have an estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.linear import fit_linear
from la_outcomes.analysis.measurement_error import (
    ErrorSpecification,
    impute_true_exposure,
    regression_calibration,
)
from la_outcomes.analysis.missing import bootstrap_then_impute
from la_outcomes.analysis.replicates import replicate
from la_outcomes.errors import StatisticsError


def draw(rng: np.random.Generator) -> float | None:
    value = float(rng.random())
    return value if value > 0.02 else None


def never(rng: np.random.Generator) -> float | None:
    return None


def fit(frame: pd.DataFrame):
    return fit_linear(frame, "y", ["x", "z"])


def study() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(5)
    x, age = rng.normal(size=(2, 500))
    frame = pd.DataFrame({"x": x, "age": age, "w": x + 0.5 * rng.normal(size=500)})
    frame["y"] = 0.4 * frame["x"] + 0.2 * frame["age"] + rng.normal(size=500)
    return frame.iloc[:350].drop(columns="x"), frame.iloc[350:].drop(columns="y")


def test_replicates_do_not_depend_on_where_they_run() -> None:
    here = replicate(draw, 200, seed=3, hint="")
    assert here == replicate(draw, 200, seed=3, hint="", jobs=2)
    assert here != replicate(draw, 200, seed=4, hint="")
    assert len(set(here)) == len(here)


def test_too_many_failures_are_an_error_with_the_hint() -> None:
    with pytest.raises(StatisticsError, match="more pairs"):
        replicate(never, 10, seed=0, hint="more pairs")


def test_corrections_are_the_same_in_two_processes() -> None:
    cohort, pairs = study()
    specification = ErrorSpecification("w", "x", offset=None)
    tables = []
    for jobs in (1, 2):
        calibrated = regression_calibration(cohort, pairs, "y", ["age"], specification, n_boot=40, jobs=jobs)
        imputed = impute_true_exposure(cohort, pairs, "y", ["age"], specification, m=3, nested=2, jobs=jobs)
        tables.append(pd.concat([calibrated.coefficients, imputed.coefficients]))
    pd.testing.assert_frame_equal(*tables)


def test_imputing_inside_the_bootstrap_is_the_same_in_two_processes() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=["x", "y", "z"])
    frame.loc[:15, "z"] = np.nan
    here, there = (
        bootstrap_then_impute(fit, frame, 8, 2, options={"iterations": 2}, jobs=jobs).coefficients
        for jobs in (1, 2)
    )
    pd.testing.assert_frame_equal(here, there)
