from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from head_phantom import head_ct, write_labels

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.accepted import read_labels
from la_outcomes.segmentation.training.dataset import case_facts, prepare_dataset, raw_folder
from la_outcomes.segmentation.training.splits import Split, split_cases

SPEC = InputSpec(size_px=64, spacing_mm=3.0)


def test_a_prepared_case_has_the_grid_of_the_bundle_and_the_volume_of_its_label(tmp_path: Path) -> None:
    cases = read_labels(write_labels(tmp_path, ["training", "internal_validation"]))
    outcomes = prepare_dataset(cases, [split_cases(cases, 0)], tmp_path / "work", SPEC)
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    image = read_image(raw_folder(tmp_path / "work") / "imagesTr" / "p00-ct_0000.nii.gz")
    label = read_image(raw_folder(tmp_path / "work") / "labelsTr" / "p00-ct.nii.gz")
    assert image.shape[:2] == (64, 64)
    assert image.spacing_mm == pytest.approx([3, 3, 6])
    _, la = head_ct(0, la_ml_factor=0.5)
    assert label.data.sum() * 9 == pytest.approx(la.sum() * 1.44, rel=0.02)
    assert image.data[label.data > 0].mean() == pytest.approx((18 - 30) / 15, abs=0.25)
    splits = json.loads((raw_folder(tmp_path / "work") / "splits_final.json").read_text())
    assert splits == [{"train": ["p00-ct"], "val": ["p01-ct"]}]
    assert case_facts(tmp_path / "work")["p00-ct"]["target_pixels"] == label.data.sum()


def test_a_label_with_other_values_is_left_out_and_told(tmp_path: Path) -> None:
    folder = write_labels(tmp_path, ["training", "training", "internal_validation"])
    image, la = head_ct(0)
    write_image(folder / "labels" / "p00.nii.gz", Image(la.astype(np.uint8) * 3, image.affine))
    cases = read_labels(folder)
    outcomes = prepare_dataset(cases, [split_cases(cases, 0)], tmp_path / "work", SPEC)
    assert [outcome.status for outcome in outcomes] == ["failed_input", "done", "done"]
    assert "0 and 1 only" in str(outcomes[0].reason)


def test_all_training_labels_empty_is_an_error_with_a_hint(tmp_path: Path) -> None:
    folder = write_labels(tmp_path, ["training", "internal_validation"])
    image, la = head_ct(0)
    write_image(folder / "labels" / "p00.nii.gz", Image(np.zeros(la.shape, np.uint8), image.affine))
    cases = read_labels(folder)
    with pytest.raises(InputError, match="all training labels are empty"):
        prepare_dataset(cases, [split_cases(cases, 0)], tmp_path / "work", SPEC)


def test_no_usable_validation_case_names_the_reasons(tmp_path: Path) -> None:
    folder = write_labels(tmp_path, ["training", "internal_validation"])
    (folder / "ct" / "p01.nii.gz").write_bytes(b"not an image")
    cases = read_labels(folder)
    with pytest.raises(InputError, match="no usable case is left to val"):
        prepare_dataset(cases, [Split(("p00-ct",), ("p01-ct",), "")], tmp_path / "work", SPEC)
