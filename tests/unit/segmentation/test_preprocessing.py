from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.preprocessing import (
    HeadCrop,
    InputSpec,
    keep_volume,
    locate_head,
    network_input,
    network_target,
)

SPEC = InputSpec(size_px=64, spacing_mm=3.0)


def _image(shape: tuple[int, int, int], spacing: tuple[float, float, float], fill: float = 30.0) -> Image:
    return Image(np.full(shape, fill, np.float32), np.diag([*spacing, 1.0]))


def _brain(shape: tuple[int, int, int], low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    brain = np.zeros(shape, bool)
    brain[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return brain


def test_square_is_centred_on_the_brain_and_holds_its_slices_and_one_beyond() -> None:
    image = _image((200, 220, 30), (1.0, 1.0, 5.0))
    crop = locate_head(image, _brain(image.shape, (40, 60, 8), (141, 181, 20)), SPEC)
    middle = (SPEC.size_px - 1) / 2
    assert crop.column_origin + crop.column_step * middle == pytest.approx(90)
    assert crop.row_origin + crop.row_step * middle == pytest.approx(120)
    assert (crop.first_slice, crop.last_slice) == (7, 21)


def test_axes_are_slice_row_column_of_right_anterior_superior() -> None:
    image = _image((96, 128, 6), (2.0, 2.0, 5.0), fill=0.0)
    image.data[70, 20, 4] = 80.0
    crop = locate_head(image, np.ones(image.shape, bool), InputSpec(128, 2.0))
    slices = network_input(image, crop, InputSpec(128, 2.0))
    assert slices.shape == (6, 1, 128, 128)
    k, _, row, column = np.unravel_index(int(slices.argmax()), slices.shape)
    assert k == 4
    assert crop.row_origin + crop.row_step * row == pytest.approx(20, abs=0.51)
    assert crop.column_origin + crop.column_step * column == pytest.approx(70, abs=0.51)


def test_outside_the_scan_is_air_and_inside_is_scaled() -> None:
    image = _image((40, 40, 3), (1.0, 1.0, 5.0), fill=45.0)
    crop = locate_head(image, np.ones(image.shape, bool), SPEC)
    slices = network_input(image, crop, SPEC)
    assert slices[1, 0, 32, 32] == pytest.approx((45 - SPEC.hu_centre) / SPEC.hu_scale)
    assert slices[1, 0, 0, 0] == pytest.approx((SPEC.hu_low - SPEC.hu_centre) / SPEC.hu_scale)


def test_down_sampling_averages_noise_instead_of_picking_voxels() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(30, 4, (240, 240, 4)).astype(np.float32)
    image = Image(noise, np.diag([0.5, 0.5, 5.0, 1.0]))
    spec = InputSpec(32, 2.0)
    brain = _brain(image.shape, (60, 60, 0), (180, 180, 4))
    slices = network_input(image, locate_head(image, brain, spec), spec)
    inner = slices[:, 0, 4:28, 4:28] * spec.hu_scale
    assert inner.std() < 4 / 2.5
    assert inner.mean() + spec.hu_centre == pytest.approx(30, abs=0.3)


@settings(max_examples=20, deadline=None)
@given(spacing=st.floats(0.35, 2.5), shift=st.integers(-6, 6), seed=st.integers(0, 1000))
def test_a_smooth_map_survives_the_way_to_the_square_and_back(spacing: float, shift: int, seed: int) -> None:
    size = int(170 / spacing)
    index = np.indices((size, size), dtype=float) * spacing
    wave = np.sin(index[0] / 25 + seed) + np.cos(index[1] / 30)
    image = Image(np.repeat(wave[:, :, np.newaxis], 3, axis=2), np.diag([spacing, spacing, 5.0, 1.0]))
    middle = size // 2 + shift
    brain = _brain(image.shape, (middle - 8, middle - 8, 1), (middle + 8, middle + 8, 2))
    crop = locate_head(image, brain, InputSpec(128, 1.5))
    back = crop.to_scan(crop.to_square(image.data, outside=0.0), outside=0.0)
    inside = slice(size // 4, -(size // 4))
    assert np.abs(back - image.data)[inside, inside].max() < 0.02


def test_slices_outside_the_brain_come_back_as_the_outside_value() -> None:
    image = _image((40, 40, 12), (2.0, 2.0, 5.0))
    crop = locate_head(image, _brain(image.shape, (10, 10, 5), (30, 30, 7)), SPEC)
    back = crop.to_scan(np.ones((4, 64, 64), np.float32), outside=-20.0)
    assert (back[:, :, :4] == -20).all()
    assert (back[:, :, 8:] == -20).all()
    assert (back[15:25, 15:25, 4:8] == 1).all()


def test_target_keeps_the_volume_of_thin_and_small_parts() -> None:
    image = _image((256, 256, 4), (0.7, 0.7, 5.0))
    mask = np.zeros(image.shape, bool)
    mask[60:200:14, 50:200, 1] = True
    spec = InputSpec(128, 1.5)
    target = network_target(mask, locate_head(image, np.ones(image.shape, bool), spec))
    before = mask.sum() * 0.7**2
    assert target.sum() * 1.5**2 == pytest.approx(before, rel=0.01)
    assert set(np.unique(target)) == {0, 1}


@given(seed=st.integers(0, 10_000), scale=st.floats(0, 1))
def test_keep_volume_takes_the_largest_and_as_many_as_the_sum(seed: int, scale: float) -> None:
    soft = np.random.default_rng(seed).random((5, 6, 7)).astype(np.float32) * np.float32(scale)
    mask = keep_volume(soft)
    assert mask.sum() == round(float(soft.sum(dtype=float)))
    if mask.any():
        assert soft[mask].min() >= soft[~mask].max()


def test_keep_volume_of_nothing_is_nothing() -> None:
    assert not keep_volume(np.zeros((3, 3, 3))).any()


def test_no_brain_and_foreign_brain_are_refused() -> None:
    image = _image((20, 20, 5), (5.0, 5.0, 5.0))
    with pytest.raises(InputError, match="no brain"):
        locate_head(image, np.zeros(image.shape, bool), SPEC)
    with pytest.raises(InputError, match="shape"):
        locate_head(image, np.ones((20, 20, 4), bool), SPEC)


def test_neighbouring_slices_are_channels_and_the_last_is_repeated_at_the_scans_ends() -> None:
    image = _image((64, 64, 5), (2.0, 2.0, 5.0))
    values = np.broadcast_to(10.0 * np.arange(5), image.shape).astype(np.float32)
    spec = replace(SPEC, slices=3)
    crop = locate_head(image, np.ones(image.shape, bool), spec)
    stacks = network_input(Image(values, image.affine), crop, spec)
    assert stacks.shape == (5, 3, 64, 64)
    middle = stacks[:, :, 32, 32] * spec.hu_scale + spec.hu_centre
    assert middle == pytest.approx(
        np.array([[0, 0, 10], [0, 10, 20], [10, 20, 30], [20, 30, 40], [30, 40, 40]])
    )
    plain = network_input(Image(values, image.affine), crop, SPEC)
    assert (stacks[:, 1:2] == plain).all()


def test_neighbours_come_from_the_scan_where_the_crop_ends_before_it() -> None:
    image = _image((64, 64, 9), (2.0, 2.0, 5.0))
    values = np.broadcast_to(10.0 * np.arange(9), image.shape).astype(np.float32)
    spec = replace(SPEC, slices=3)
    brain = np.zeros(image.shape, bool)
    brain[:, :, 4] = True
    crop = locate_head(image, brain, spec)
    assert (crop.first_slice, crop.last_slice) == (3, 6)
    stacks = network_input(Image(values, image.affine), crop, spec)
    assert stacks[0, 0, 32, 32] * spec.hu_scale + spec.hu_centre == pytest.approx(20)


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_mask_on_the_scan_is_where_the_resampled_log_odds_are_above_zero(seed: int) -> None:
    image = _image((70, 60, 6), (1.1, 1.3, 5.0))
    crop = locate_head(image, np.ones(image.shape, bool), SPEC)
    rng = np.random.default_rng(seed)
    log_odds = ndimage.gaussian_filter(rng.normal(-0.1, 1, (6, 64, 64)), (0, 3, 3)).astype(np.float32)
    log_odds[rng.integers(6)] = -3.0
    assert (crop.mask_on_scan(log_odds) == (crop.to_scan(log_odds, outside=-20.0) > 0)).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"slices": 2},
        {"slices": 9},
        {"size_px": 8},
        {"spacing_mm": 0.0},
        {"hu_high": -30.0},
        {"hu_scale": 0.0},
        {"hu_low": np.nan},
    ],
)
def test_impossible_inputs_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError):
        InputSpec(**{"size_px": 64, "spacing_mm": 1.0, **changes})  # type: ignore[arg-type]


def test_spec_of_a_card_is_read_back_and_gaps_are_refused() -> None:
    values = vars(SPEC)
    assert InputSpec.from_dict(values) == SPEC
    with pytest.raises(InputError, match="exactly"):
        InputSpec.from_dict({name: value for name, value in values.items() if name != "hu_low"})
    with pytest.raises(InputError, match="not a number"):
        InputSpec.from_dict({**values, "hu_low": "low"})


def test_a_brain_larger_than_the_square_is_refused_and_one_that_just_fits_is_not() -> None:
    image = _image((120, 120, 5), (2.0, 2.0, 5.0))
    fits = _brain(image.shape, (12, 12, 0), (106, 106, 5))
    locate_head(image, fits, SPEC)
    larger = _brain(image.shape, (4, 12, 0), (116, 106, 5))
    with pytest.raises(InputError, match="lie outside the 192 mm the model sees"):
        locate_head(image, larger, SPEC)


def test_shear_moves_nothing_in_the_plane() -> None:
    straight = _image((64, 64, 5), (2.0, 2.0, 5.0))
    tilted = Image(straight.data, straight.affine + np.array([[0] * 4, [0, 0, 1.3, 0], [0] * 4, [0] * 4]))
    brain = np.ones(straight.shape, bool)
    assert locate_head(tilted, brain, SPEC) == locate_head(straight, brain, SPEC)
    assert isinstance(locate_head(tilted, brain, SPEC), HeadCrop)
