"""WMH and infarcts: volumes, places, visibility."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.simulation.anatomy import Anatomy, Tissue
from la_outcomes.simulation.fields import FloatArray, stream
from la_outcomes.simulation.head import Head, build_head
from la_outcomes.simulation.infarcts import choose_mask, draw_infarct, infarct_subject, list_infarcts
from la_outcomes.simulation.lesions import WhiteMatterLesions, grow_wmh
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import PatientSpec

IMAGE: dict[str, Any] = load_parameters()["image"]


@pytest.fixture(scope="module")
def head(phantom: Anatomy) -> Head:
    return build_head(phantom, PatientSpec(), stream(1, "head"), IMAGE["head"])


def _nothing(head: Head) -> FloatArray:
    return np.zeros(head.tissue.shape, dtype=np.float32)


def _grown(
    head: Head, volume_ml: float, visible_ml: float | None = None, seed: int = 1
) -> WhiteMatterLesions:
    return grow_wmh(head, volume_ml, visible_ml, _nothing(head), stream(seed, "wmh"), IMAGE)


@pytest.mark.parametrize("volume_ml", [0.3, 5.0, 40.0])
def test_the_drawn_volumes_are_the_asked_ones(head: Head, volume_ml: float) -> None:
    lesions = _grown(head, volume_ml, 0.6 * volume_ml)
    assert lesions.tissue_volume_ml == pytest.approx(volume_ml, rel=1e-3)
    assert lesions.visible_volume_ml == pytest.approx(0.6 * volume_ml, rel=2e-3)
    assert lesions.tissue.sum(dtype=float) / 1000 == pytest.approx(volume_ml, rel=1e-3)


def test_no_lesion_is_drawn_where_none_is_asked(head: Head) -> None:
    lesions = _grown(head, 0.0)
    assert lesions.tissue_volume_ml == lesions.visible_volume_ml == 0


def test_wmh_lies_in_white_matter_and_first_around_the_ventricles(head: Head) -> None:
    lesions = _grown(head, 5.0)
    assert (head.tissue[lesions.tissue > 0] == Tissue.WHITE).all()
    where = np.argwhere(lesions.tissue > 0.5) + head.affine[:3, 3]
    everywhere = np.argwhere(head.tissue == Tissue.WHITE) + head.affine[:3, 3]
    assert np.linalg.norm(where, axis=1).mean() < 0.85 * np.linalg.norm(everywhere, axis=1).mean()


def test_ct_never_shows_more_than_there_is_and_hides_some_of_it(head: Head) -> None:
    lesions = _grown(head, 20.0, 11.0)
    assert (lesions.visible <= lesions.tissue + 1e-6).all()
    core = lesions.tissue > 0.9
    share = lesions.visible[core] / lesions.tissue[core]
    assert (share < 0.1).mean() > 0.05
    assert (share > 0.9).mean() > 0.2


def test_the_visible_share_grows_with_the_load(head: Head) -> None:
    shares = [
        np.mean([_grown(head, ml, seed=s).visible_volume_ml / ml for s in range(6)]) for ml in (1.0, 40.0)
    ]
    assert 0.3 < shares[0] < shares[1] < 1


def test_wmh_stays_out_of_the_infarct(head: Head) -> None:
    spared = _nothing(head)
    spared[: spared.shape[0] // 2] = 1
    lesions = grow_wmh(head, 10.0, None, spared, stream(1, "wmh"), IMAGE)
    assert lesions.tissue[spared == 1].sum() == 0
    assert lesions.tissue_volume_ml == pytest.approx(10.0, rel=1e-3)


def test_more_wmh_than_white_matter_is_refused(head: Head) -> None:
    with pytest.raises(InputError, match="do not fit"):
        _grown(head, 190.0)


@pytest.mark.parametrize("volume_ml", [0.2, 4.0, 30.0])
def test_a_modelled_infarct_has_its_native_volume_in_one_hemisphere(head: Head, volume_ml: float) -> None:
    model = {**IMAGE["infarct"], "kinds": {"cortical": 0.6, "deep": 0.4}}
    infarct = draw_infarct(head, volume_ml, None, stream(2, "infarct"), model)
    assert infarct.sum(dtype=float) / 1000 == pytest.approx(volume_ml, rel=1e-3)
    x = np.arange(infarct.shape[0]) + head.affine[0, 3]
    left, right = infarct[x < -2].sum(), infarct[x > 2].sum()
    assert max(left, right) > 0.97 * (left + right)


def test_a_carried_mask_keeps_its_place_and_takes_the_asked_volume(head: Head, tmp_path: Path) -> None:
    mask = np.zeros((60, 60, 60), np.uint8)
    mask[10:22, 30:42, 30:40] = 1
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [30, -30, -30]
    write_image(tmp_path / "sub-1_lesion.nii.gz", Image(mask, affine))
    infarct = draw_infarct(head, 2.0, str(tmp_path / "sub-1_lesion.nii.gz"), stream(1, "x"), IMAGE["infarct"])
    assert infarct.sum(dtype=float) / 1000 == pytest.approx(2.0, rel=1e-3)
    centre = np.argwhere(infarct > 0.5).mean(axis=0) + head.affine[:3, 3]
    assert centre == pytest.approx([14.5, 5.5, 4.5], abs=3)


def test_a_mask_outside_the_brain_is_refused(head: Head, tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[:3, 3] = 500
    write_image(tmp_path / "far.nii.gz", Image(np.ones((4, 4, 4), np.uint8), affine))
    with pytest.raises(InputError, match="outside"):
        draw_infarct(head, 2.0, str(tmp_path / "far.nii.gz"), stream(1, "x"), IMAGE["infarct"])


def test_the_mask_nearest_in_volume_is_chosen(tmp_path: Path) -> None:
    for number, size in enumerate((2, 5, 9)):
        mask = np.zeros((12, 12, 12), np.uint8)
        mask[:size, :size, :size] = 1
        write_image(tmp_path / f"sub-{number}_lesion.nii.gz", Image(mask, np.eye(4)))
    masks = list_infarcts(tmp_path)
    chosen = [choose_mask(masks, ml, stream(1, "m"), IMAGE["infarct"]) for ml in (0.008, 0.15, 90.0)]
    assert [infarct_subject(path) for path in chosen] == ["sub-0", "sub-1", "sub-2"]


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no infarct masks"):
        list_infarcts(tmp_path)
