"""Anatomies: the embedded head, and label maps of real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.simulation.anatomy import (
    INTRACRANIAL,
    TEMPLATE,
    Anatomy,
    Tissue,
    add_fat,
    is_tissue,
    list_anatomies,
    load_anatomy,
)


def _ml(anatomy: Anatomy, *classes: Tissue) -> float:
    return float(is_tissue(anatomy.tissue, classes).sum()) / 1000


def test_the_embedded_head_has_an_adult_s_volumes(template: Anatomy) -> None:
    assert 1200 < _ml(template, *INTRACRANIAL) < 2100
    assert 8 < _ml(template, Tissue.VENTRICLE) < 60
    assert 400 < _ml(template, Tissue.WHITE) < 800
    assert 60 < _ml(template, Tissue.CEREBELLAR_CORTEX, Tissue.CEREBELLAR_WHITE) < 280


def test_the_embedded_brain_is_wrapped_in_bone_and_bone_in_skin(template: Anatomy) -> None:
    brain = is_tissue(template.tissue, INTRACRANIAL)
    bone = is_tissue(template.tissue, (Tissue.CORTICAL_BONE, Tissue.CANCELLOUS_BONE))
    columns = brain.any(axis=2)
    top_of_brain = brain.shape[2] - 1 - np.argmax(brain[:, :, ::-1], axis=2)
    top_of_bone = bone.shape[2] - 1 - np.argmax(bone[:, :, ::-1], axis=2)
    covered = (bone.any(axis=2) & (top_of_bone > top_of_brain))[columns]
    assert covered.mean() > 0.995


def test_mni_coordinates_meet_the_embedded_head(template: Anatomy) -> None:
    """The thalamus of MNI152 lies in deep grey, the body of the lateral ventricle in fluid."""
    for point, kind in (((-11, -19, 7), Tissue.DEEP_GREY), ((8, 2, 19), Tissue.VENTRICLE)):
        place = template.mni_affine @ [*point, 1]
        index = np.rint(np.linalg.inv(template.affine) @ place).astype(int)[:3]
        assert template.tissue[tuple(index)] == kind


def test_without_a_folder_there_is_one_head_and_a_folder_lists_its_maps(tmp_path: Path) -> None:
    assert list_anatomies(None) == [TEMPLATE]
    for name in ("b.nii.gz", "a.nii"):
        (tmp_path / name).touch()
    assert list_anatomies(tmp_path) == ["a", "b"]


def test_a_folder_without_maps_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no label maps"):
        list_anatomies(tmp_path)
    with pytest.raises(InputError, match="no anatomy named"):
        load_anatomy("nobody", tmp_path)


def test_a_map_without_deep_structures_is_refused_by_name(tmp_path: Path) -> None:
    labels = np.full((8, 8, 8), 2, dtype=np.uint8)
    write_image(tmp_path / "poor.nii.gz", Image(labels, np.eye(4)))
    with pytest.raises(InputError, match="lacks FreeSurfer labels"):
        load_anatomy("poor", tmp_path)


def test_fat_lies_under_the_skin_and_around_the_eyes_only() -> None:
    tissue = np.full((40, 40, 40), Tissue.MUSCLE, dtype=np.uint8)
    tissue[:3] = Tissue.SKIN
    tissue[28:38, 15:25, 15:25] = Tissue.GLOBE
    fat = add_fat(tissue) == Tissue.FAT
    assert fat[4].all()
    assert fat[26, 20, 20]
    assert not fat[15].any()


def test_a_real_label_map_becomes_a_whole_head(real_data: Path) -> None:
    anatomy = load_anatomy("training_seg_15", real_data / "anatomies")
    assert 1200 < _ml(anatomy, *INTRACRANIAL) < 2000
    assert 40 < float(anatomy.lesion_prior.sum()) / 1000 < 46
    assert (anatomy.tissue[anatomy.lesion_prior] == Tissue.WHITE).all()
    for kind in (
        Tissue.CORTICAL_BONE,
        Tissue.SKIN,
        Tissue.FAT,
        Tissue.MUSCLE,
        Tissue.GLOBE,
        Tissue.VENTRICLE,
    ):
        assert (anatomy.tissue == kind).any()


def test_mni_coordinates_meet_a_real_head(real_data: Path) -> None:
    """The fit holds away from its own landmarks: centres of both lateral ventricles' bodies."""
    anatomy = load_anatomy("training_seg_01", real_data / "anatomies")
    to_index = np.linalg.inv(anatomy.affine) @ anatomy.mni_affine
    ventricle = is_tissue(anatomy.tissue, (Tissue.VENTRICLE,))
    for side in (-1, 1):
        centre = np.rint(to_index @ [side * 10, 0, 20, 1]).astype(int)[:3]
        near = ventricle[tuple(slice(c - 5, c + 6) for c in centre)]
        assert near.mean() > 0.1
