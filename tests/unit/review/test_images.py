"""What the viewer is given: orientation, box, bits, FLAIR carried by the stored transform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.review.images import (
    Cache,
    CaseFiles,
    Head,
    best_slice,
    head_box,
    load_head,
    show_ct,
    show_flair,
    show_masks,
)


@pytest.fixture
def files(registry: Path) -> CaseFiles:
    study = registry.parent
    return CaseFiles(
        study / "scans/ct.nii.gz",
        study / "scans/flair.nii.gz",
        study / "labels/transforms/t.h5",
        {"label": study / "labels/labels/l.nii.gz", "prediction": study / "results/masks/m.nii.gz"},
    )


def test_the_right_is_left_and_anterior_on_top() -> None:
    data = np.full((6, 8, 4), -1000, np.int16)
    data[1:5, 1:7, :] = 30
    data[4, 2, 1] = 100  # right, posterior, second from below
    head = Head(Image(data, np.diag([1.0, 2.0, 5.0, 1.0])), {}, (slice(0, 6), slice(0, 8), slice(0, 4)))
    shown = show_ct(head)
    assert shown.data.shape == (4, 8, 6)
    assert np.argwhere(shown.data == 100).tolist() == [[1, 5, 1]]
    assert shown.header["spacing_mm"] == [5.0, 2.0, 1.0]


def test_masks_share_a_byte_and_keep_their_volumes(files: CaseFiles) -> None:
    head = load_head(files)
    shown = show_masks(head)
    for name, bit in (("label", 2), ("prediction", 1)):
        voxels = int(((shown.data & bit) > 0).sum())
        assert voxels == int(head.masks[name].sum()) > 0
        assert shown.header["masks"][name] == pytest.approx(voxels * head.ct.voxel_volume_ml)
    right, left = (np.argwhere(shown.data & bit)[:, 2].mean() for bit in (1, 2))
    assert right < left, "the prediction lies a voxel further to the patient's right, so to the left here"


def test_the_flair_lies_on_the_ct(files: CaseFiles) -> None:
    """WMH is bright on the carried FLAIR just where the true mask lies on the CT, tilt and pose included."""
    head = load_head(files)
    flair, masks = show_flair(head, files).data.astype(float), show_masks(head).data
    inside = (masks & 2) > 0
    ring = np.zeros_like(inside)
    for axis in (1, 2):
        for step in (-4, 4):
            ring |= np.roll(inside, step, axis)
    ring &= ~inside
    assert flair.shape == masks.shape
    assert np.median(flair[inside]) > 1.4 * np.median(flair[ring])


def test_no_slice_below_the_skull_base_unless_a_mask_lies_there() -> None:
    data = np.full((10, 10, 60), 40, np.int16)
    ct = Image(data, np.diag([1.0, 1.0, 5.0, 1.0]))
    assert head_box(ct, [])[2] == slice(29, 60)
    low = np.zeros(data.shape, bool)
    low[5, 5, 12] = True
    assert head_box(ct, [low])[2] == slice(12, 60)


def test_the_holder_of_the_head_is_left_out() -> None:
    data = np.full((200, 120, 20), -1000, np.int16)
    data[60:140, 20:100, :] = 40
    data[5, 50:54, :] = 300
    ct = Image(data, np.diag([1.0, 1.0, 5.0, 1.0]))
    assert head_box(ct, [])[:2] == (slice(52, 148), slice(12, 108))


def test_the_first_slice_is_where_the_masks_are_largest(files: CaseFiles) -> None:
    head = load_head(files)
    areas = sum(mask.sum(axis=(0, 1)) for mask in head.masks.values())
    assert best_slice(head) + head.box[2].start == int(np.argmax(areas))


def test_a_mask_on_another_grid_is_refused(files: CaseFiles, tmp_path: Path) -> None:
    other = tmp_path / "other.nii.gz"
    write_image(other, Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)))
    with pytest.raises(InputError, match="does not lie on its image's grid"):
        load_head(CaseFiles(files.ct, None, None, {"label": other}))


def test_without_a_transform_there_is_no_flair(files: CaseFiles) -> None:
    with pytest.raises(InputError, match="no FLAIR"):
        show_flair(load_head(files), CaseFiles(files.ct, files.flair, None, {}))


def test_the_cache_drops_the_oldest_and_keeps_no_errors(files: CaseFiles) -> None:
    head = load_head(files)
    made: list[str] = []

    def make(name: str) -> Head:
        made.append(name)
        return head

    cache = Cache(limit_bytes=int(head.size_bytes * 2.5))
    for name in ("a", "b", "a", "c", "a", "b"):
        cache.get(name, lambda name=name: make(name))
    assert made == ["a", "b", "c", "b"]
    with pytest.raises(ZeroDivisionError):
        cache.get("bad", lambda: 1 / 0)
    assert cache.get("bad", lambda: head) is head
