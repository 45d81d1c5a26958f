"""Random streams, smooth fields and sets of a given volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from la_outcomes.errors import InputError
from la_outcomes.simulation.fields import (
    bounding_box,
    drawn,
    linear_basis,
    separable,
    smooth_field,
    smoothstep,
    stream,
    threshold_for_volume,
)


def test_streams_repeat_and_do_not_share_numbers() -> None:
    first = stream(7, "P1", "head").random(5)
    assert np.array_equal(first, stream(7, "P1", "head").random(5))
    for other in (stream(8, "P1", "head"), stream(7, "P2", "head"), stream(7, "P1", "ct")):
        assert not np.array_equal(first, other.random(5))


@pytest.mark.parametrize("control_mm", [4.0, 11.5, 30.0])
def test_a_smooth_field_has_unit_spread_and_is_smooth(control_mm: float) -> None:
    values = [smooth_field((60, 61, 62), control_mm, np.random.default_rng(seed)) for seed in range(12)]
    assert np.std(values) == pytest.approx(1.0, abs=0.25)
    step = np.abs(np.diff(values, axis=1)).mean()
    assert step < 2.5 / control_mm


def test_linear_interpolation_is_exact_on_a_plane_and_holds_the_ends() -> None:
    i, j, k = np.indices((5, 6, 7))
    plane = (1 + 2 * i - 3 * j + 0.5 * k).astype(np.float32)
    bases = [linear_basis(9, n, np.linspace(0, n - 1, 9)) for n in plane.shape]
    a, b, c = np.meshgrid(*[np.linspace(0, n - 1, 9) for n in plane.shape], indexing="ij")
    assert separable(plane, bases) == pytest.approx(1 + 2 * a - 3 * b + 0.5 * c, abs=1e-4)
    assert linear_basis(1, 4, np.array([9.0])) @ np.arange(4.0) == pytest.approx(3.0)


@settings(max_examples=30, deadline=None)
@given(volume=st.floats(0.01, 7.9), edge=st.floats(0.01, 1.0), seed=st.integers(0, 99))
def test_a_threshold_gives_the_asked_volume(volume: float, edge: float, seed: int) -> None:
    score = np.random.default_rng(seed).standard_normal(8000)
    soft = threshold_for_volume(score, np.ones(8000, np.float32), volume, edge)
    assert soft.sum(dtype=float) / 1000 == pytest.approx(volume, rel=1e-3)
    assert soft.min() >= 0
    assert soft.max() <= 1


def test_a_larger_set_contains_the_smaller() -> None:
    score = np.random.default_rng(0).standard_normal(5000)
    weight = np.ones(5000, np.float32)
    small, large = (threshold_for_volume(score, weight, ml, 0.1) for ml in (1.0, 3.0))
    assert (large >= small - 1e-6).all()


def test_no_volume_is_an_empty_set_and_too_much_is_refused() -> None:
    score, weight = np.arange(100.0), np.ones(100, np.float32)
    assert threshold_for_volume(score, weight, 0.0, 1.0).sum() == 0
    with pytest.raises(InputError, match="do not fit"):
        threshold_for_volume(score, weight, 0.2, 1.0)


def test_a_box_holds_the_mask_and_an_empty_mask_the_corner() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[5:8, 9, 15:19] = True
    assert bounding_box(mask, margin=1) == (slice(4, 9), slice(8, 11), slice(14, 20))
    assert mask[bounding_box(np.zeros((9, 9, 9), bool))].size == 27


def test_drawn_values_stay_inside_their_range() -> None:
    rng = np.random.default_rng(1)
    values = [drawn({"mean": 5.0, "sd": 3.0, "range": [4.0, 6.0]}, rng) for _ in range(200)]
    assert min(values) == 4.0
    assert max(values) == 6.0
    assert smoothstep(np.array([-1.0, 0.5, 2.0])) == pytest.approx([0, 0.5, 1])
