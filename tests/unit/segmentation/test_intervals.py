"""Conformal intervals of a volume."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.segmentation.intervals import Interval, VolumeReading, fit_interval


def drawn(n: int, seed: int, shift: float = 0.0) -> tuple[list[VolumeReading], np.ndarray]:
    """Readings whose error on the log scale grows with their doubt, and the truth."""
    rng = np.random.default_rng(seed)
    measured = rng.lognormal(2, 1, n)
    doubt = rng.uniform(0.1, 0.8, n)
    truth = np.expm1(np.maximum(np.log1p(measured) + shift + (0.1 + doubt) * rng.normal(0, 0.7, n), 0))
    middle = np.log1p(measured)
    return [
        VolumeReading(float(v), float(np.expm1(max(m - d / 2, 0))), float(np.expm1(m + d / 2)))
        for v, m, d in zip(measured, middle, doubt, strict=True)
    ], truth


def coverage(interval: Interval, readings: list[VolumeReading], truth: np.ndarray) -> float:
    limits = np.array([interval.limits_ml(reading) for reading in readings])
    return float(((limits[:, 0] <= truth) & (truth <= limits[:, 1])).mean())


def test_ninety_percent_of_new_heads_lie_inside() -> None:
    found = [
        coverage(fit_interval(*drawn(60, seed), ["a"] * 60), *drawn(400, 1000 + seed)) for seed in range(60)
    ]
    assert 0.89 < np.mean(found) < 0.96


def test_the_worst_anatomy_decides() -> None:
    good, true_good = drawn(60, 1)
    bad, true_bad = drawn(60, 2, shift=0.6)
    both = fit_interval([*good, *bad], [*true_good, *true_bad], ["a"] * 60 + ["b"] * 60)
    assert coverage(both, *drawn(400, 3)) > 0.9
    assert coverage(both, *drawn(400, 4, shift=0.6)) > 0.88
    assert both.anatomies == 2


def test_more_doubt_means_a_wider_interval_that_is_never_negative() -> None:
    interval = Interval(below=2.0, above=2.0, base=0.1, level=0.9, n=60, anatomies=2)
    sure, unsure = VolumeReading(10, 9, 11), VolumeReading(10, 4, 20)
    assert interval.limits_ml(unsure)[0] < interval.limits_ml(sure)[0] < 10
    assert 10 < interval.limits_ml(sure)[1] < interval.limits_ml(unsure)[1]
    assert interval.limits_ml(VolumeReading(0, 0, 3))[0] == 0


def test_too_few_heads_and_broken_cards_are_refused() -> None:
    readings, truth = drawn(18, 0)
    with pytest.raises(InputError, match="18 heads, 19 are needed"):
        fit_interval(readings, truth, ["a"] * 18)
    with pytest.raises(InputError, match="needs a true volume"):
        fit_interval(readings, truth[:3], ["a"] * 18)
    values = asdict(Interval(1.0, 1.0, 0.1, 0.9, 60, 2))
    assert asdict(Interval.from_card(values)) == values
    for broken in ({}, {**values, "base": 0}, {**values, "below": "x"}):
        with pytest.raises(InputError):
            Interval.from_card(broken)
