"""Pictures: the same bytes, true proportions, the right side marked, no slice below the cranium."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from imaging_phantoms import head, stripped_head
from matplotlib.image import imread

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.pictures import (
    cranial_slices,
    draw_panel,
    new_figure,
    overlay_png,
    pick_slices,
    save_png,
)


def blob(image: Image, k: slice) -> np.ndarray:
    mask = np.zeros(image.shape, bool)
    mask[45:55, 30:45, k] = True
    return mask


def test_the_same_picture_has_the_same_bytes(tmp_path: Path) -> None:
    image = head()
    outlines = [(blob(image, slice(20, 25)), "red", "LA"), (np.zeros(image.shape), "cyan", "nothing")]
    first = overlay_png(tmp_path / "a.png", image, outlines, title="one", n_slices=5)
    second = overlay_png(tmp_path / "b.png", image, outlines, title="one", n_slices=5)
    assert first.read_bytes() == second.read_bytes()
    assert b"Software" not in first.read_bytes()
    pixels = imread(first)
    assert ((pixels[..., 0] > 0.9) & (pixels[..., 1] < 0.2)).sum() > 100, "the outline is drawn"


@pytest.mark.parametrize("image", [head(), stripped_head()])
def test_slices_lie_inside_the_cranium(image: Image) -> None:
    chosen = pick_slices(image, [], 6)
    assert len(chosen) == 6
    assert chosen == sorted(set(chosen))
    heights = image.affine[2, 2] * np.array(chosen) + image.affine[2, 3]
    assert heights.min() > -30, "the phantom's cranium is widest at 0 mm"
    assert heights.max() < 75, "and ends at 80 mm"


def test_slices_follow_the_masks_but_never_into_the_face() -> None:
    image = head()
    inside = cranial_slices(image)
    assert pick_slices(image, [blob(image, slice(25, 28))], 99) == [24, 25, 26, 27, 28]
    assert pick_slices(image, [blob(image, slice(0, 5))], 99) == inside
    with pytest.raises(InputError, match="a slice"):
        pick_slices(image, [], 0)


def test_right_is_on_the_left_and_proportions_are_true(tmp_path: Path) -> None:
    data = np.zeros((40, 20, 30), np.float32)
    data[30:, :, :] = 80
    image = Image(data, np.diag([1.0, 4.0, 5.0, 1.0]))
    figure, (axis,) = new_figure(1, 1, "")
    draw_panel(axis, image, 10, [], window=(0, 80))
    shown = axis.images[0]
    assert shown.get_array()[0, 0] == 80, "the patient's right (high i) stands on the left"
    assert shown.get_extent() == [0, 40, 0, 80]
    assert axis.get_aspect() == 1
    save_png(tmp_path / "a.png", figure)


@pytest.mark.parametrize("shape", [(3, 2, 5), (1, 1, 1), (7, 1, 3)])
def test_odd_shapes_are_drawn(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    image = Image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), np.eye(4))
    assert overlay_png(tmp_path / "a.png", image, [(np.ones(shape), "red", "all")], title="").exists()


def test_a_mask_of_another_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be drawn"):
        overlay_png(tmp_path / "a.png", head(), [(np.ones((3, 2, 5)), "red", "x")], title="")
    assert not (tmp_path / "a.png").exists()
