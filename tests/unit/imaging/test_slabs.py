"""Each millimetre is counted once: laws of the apportionment, and the GE scan's two stacks by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from la_outcomes.errors import InputError
from la_outcomes.imaging.slabs import EvenGrid, apportion, even_grid, is_even

GE_CENTRES = np.concatenate([np.arange(14) * 4.0, 53.081 + np.arange(14) * 7.0])
GE_THICKNESSES = np.repeat([4.0, 7.0], 14)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Slabs that touch, overlap or leave small gaps."""
    thicknesses = np.array(
        draw(st.lists(st.sampled_from([1.0, 2.5, 4.0, 5.0, 7.0]), min_size=2, max_size=12))
    )
    joints = draw(st.lists(st.floats(-0.6, 0.4), min_size=len(thicknesses), max_size=len(thicknesses)))
    centres = [0.0]
    for index in range(1, len(thicknesses)):
        reach = (thicknesses[index - 1] + thicknesses[index]) / 2
        centres.append(
            centres[-1] + max(reach + joints[index] * thicknesses[index - 1 : index + 1].min(), 0.2)
        )
    return np.array(centres), thicknesses


def grid_or_skip(stack: tuple[np.ndarray, np.ndarray]) -> EvenGrid:
    try:
        return even_grid(*stack)
    except InputError:
        reject()


def test_the_two_stacks_of_a_real_scan() -> None:
    grid = even_grid(GE_CENTRES, GE_THICKNESSES)
    assert grid.step_mm == pytest.approx(4)
    assert grid.owned_mm[:14] == pytest.approx([4.0] * 14), "thin slices keep their slabs"
    assert grid.owned_mm[14] == pytest.approx(53.081 + 3.5 - 54), "the thick one gets what is left"
    assert grid.owned_mm[15:] == pytest.approx([7.0] * 13)
    np.testing.assert_allclose(grid.weights[:14, :14], np.eye(14), atol=1e-9)
    assert len(grid.weights) == 37


def test_weights_equal_a_count_of_hundredths_of_millimetres() -> None:
    grid = even_grid(GE_CENTRES, GE_THICKNESSES)
    places = np.arange(-2, 147.581, 0.01) + 0.005
    covering = np.abs(places[:, None] - GE_CENTRES) <= GE_THICKNESSES / 2 + 1e-9
    owner = np.where(covering, GE_THICKNESSES + 1e-3 * np.abs(places[:, None] - GE_CENTRES), np.inf).argmin(
        axis=1
    )
    slab = np.floor((places - (grid.first_mm - grid.step_mm / 2)) / grid.step_mm).astype(int)
    for k in range(len(grid.weights)):
        counted = np.bincount(owner[slab == k], minlength=28)
        np.testing.assert_allclose(grid.weights[k], counted / counted.sum(), atol=0.01)


@given(stack=stacks())
@settings(max_examples=150)
def test_pieces_adjoin_and_cover_everything_once(stack: tuple[np.ndarray, np.ndarray]) -> None:
    centres, thicknesses = stack
    try:
        pieces = apportion(centres, thicknesses)
    except InputError:
        reject()
    assert pieces[0].low == pytest.approx((centres - thicknesses / 2).min())
    assert pieces[-1].high == pytest.approx((centres + thicknesses / 2).max())
    for first, second in pairwise(pieces):
        assert first.high == second.low
        assert first.owner != second.owner


@given(stack=stacks())
@settings(max_examples=150)
def test_weights_are_shares_and_the_grid_ends_within_half_a_step(
    stack: tuple[np.ndarray, np.ndarray],
) -> None:
    grid = grid_or_skip(stack)
    assert (grid.weights >= 0).all()
    np.testing.assert_allclose(grid.weights.sum(axis=1), 1)
    centres, thicknesses = stack
    assert grid.scanned_mm == pytest.approx(
        (centres + thicknesses / 2).max() - (centres - thicknesses / 2).min()
    )
    assert abs(len(grid.weights) * grid.step_mm - grid.scanned_mm) <= grid.step_mm + 1e-6


@given(stack=stacks(), seed=st.integers(0, 99))
@settings(max_examples=80)
def test_sums_over_inner_slices_are_kept(stack: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    """Σ value x mm is conserved for tissue that the ends of the grid do not touch."""
    grid = grid_or_skip(stack)
    values = np.random.default_rng(seed).uniform(0, 100, len(stack[0]))
    edges = grid.first_mm + (np.arange(len(grid.weights) + 1) - 0.5) * grid.step_mm
    pieces = apportion(*stack)
    for index, value in enumerate(values):
        own = [piece for piece in pieces if piece.owner == index]
        if own and edges[1] <= own[0].low and own[-1].high <= edges[-2]:
            share = (grid.weights[:, index] * value * grid.step_mm).sum()
            assert share == pytest.approx(value * grid.owned_mm[index])


def test_thin_slices_inside_a_thick_one_split_it() -> None:
    pieces = apportion(np.array([0.0, 5.0, 6.0]), np.array([20.0, 2.0, 2.0]))
    assert [piece.owner for piece in pieces] == [0, 1, 2, 0]
    assert [piece.low for piece in pieces] == pytest.approx([-10, 4, 5.5, 7])


def test_a_thick_slice_covers_what_lies_between_thin_ones() -> None:
    pieces = apportion(np.array([0.0, 5.0, 6.0]), np.array([2.0, 2.0, 20.0]))
    assert [piece.owner for piece in pieces] == [2, 0, 2, 1, 2]


def test_a_small_gap_is_shared_and_a_missing_slice_refused() -> None:
    pieces = apportion(np.array([0.0, 6.0, 11.0]), np.array([5.0, 5.0, 5.0]))
    assert pieces[0].high == pytest.approx(3)
    with pytest.raises(InputError, match="slices are missing: 5"):
        even_grid(np.array([0.0, 5.0, 15.0, 20.0]), np.full(4, 5.0))


@pytest.mark.parametrize(
    ("centres", "even"), [([0, 5, 10.09, 15], True), ([0, 5, 10.3, 15], False), ([0, 9], True)]
)
def test_evenness(centres: list[float], even: bool) -> None:
    assert is_even(np.array(centres, dtype=float)) is even
