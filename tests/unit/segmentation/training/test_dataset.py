from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from head_phantom import head_ct, write_labels

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.dataset import (
    LabelCase,
    Split,
    case_facts,
    prepare_dataset,
    raw_folder,
    read_labels,
    split_cases,
)

SPEC = InputSpec(size_px=64, spacing_mm=3.0)


def _table(folder: Path, **columns: list[str]) -> Path:
    rows = {
        "ct_scan_id": ["a", "b", "c", "d", "e"],
        "patient_id": ["pa", "pb", "pc", "pd", "pe"],
        "cohort": ["training", "training", "internal_validation", "external_test", "us_test"],
        "ct_path": ["ct.nii.gz"] * 5,
        "label_path": ["label.nii.gz"] * 5,
        "status": ["accepted", "review", "accepted", "accepted", "accepted"],
    }
    pd.DataFrame(rows | columns).to_csv(folder / "labels.csv", index=False)
    return folder


def _cases(patients: str, *, cohort: str = "training", anatomies: str = "") -> list[LabelCase]:
    names = anatomies or " " * len(patients)
    return [
        LabelCase(f"{patient}{n}", patient, cohort, "", anatomy.strip(), Path("ct"), Path("label"))
        for n, (patient, anatomy) in enumerate(zip(patients, names, strict=True))
    ]


def test_only_accepted_labels_of_the_training_cohorts_are_read(tmp_path: Path) -> None:
    assert [case.ct_scan_id for case in read_labels(_table(tmp_path))] == ["a", "c"]


def test_a_list_of_accepted_outranks_the_status_but_not_the_cohort(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("ct_scan_id\nb\nd\n")
    cases = read_labels(_table(tmp_path), tmp_path / "mine.csv")
    assert [case.ct_scan_id for case in cases] == ["b"]


def test_accepted_without_a_label_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("ct_scan_id\na\nz\n")
    with pytest.raises(InputError, match="without a label: z"):
        read_labels(_table(tmp_path), tmp_path / "mine.csv")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"status": ["review"] * 5}, "no accepted label"),
        ({"ct_scan_id": ["a", "a", "c", "d", "e"]}, "twice"),
        ({"patient_id": ["pa", "pb", "pa", "pd", "pe"]}, "in training and in validation"),
        ({"label_path": ["", "b", "c", "d", "e"]}, "has no file"),
    ],
)
def test_unusable_tables_are_refused(tmp_path: Path, columns: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_labels(_table(tmp_path, **columns))


def test_missing_table_and_missing_column_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_labels(tmp_path)
    (tmp_path / "labels.csv").write_text("ct_scan_id,patient_id\na,b\n")
    with pytest.raises(InputError, match="columns are missing: cohort"):
        read_labels(tmp_path)


def test_the_internal_validation_cohort_validates() -> None:
    cases = _cases("abc") + _cases("de", cohort="internal_validation")
    split = split_cases(cases, seed=0)
    assert split.train == ("a0", "b1", "c2")
    assert split.validation == ("d0", "e1")


def test_without_it_patients_are_drawn_whole_and_by_seed() -> None:
    cases = _cases("aabbccddeeffgghhiijj")
    split = split_cases(cases, seed=3)
    assert split == split_cases(cases, seed=3)
    assert {c[0] for c in split.train}.isdisjoint(c[0] for c in split.validation)
    assert len(split.validation) == 4
    assert len({split_cases(cases, seed=seed).validation for seed in range(8)}) > 1


def test_anatomies_never_stand_on_both_sides() -> None:
    cases = _cases("abcd", anatomies="XYZX") + _cases("ef", cohort="internal_validation", anatomies="YW")
    split = split_cases(cases, seed=0)
    assert split.train == ("a0", "c2", "d3")
    assert split.note == "anatomies are kept apart"


def test_one_anatomy_for_all_is_told_in_the_note() -> None:
    cases = _cases("abc", anatomies="XXX") + _cases("d", cohort="internal_validation", anatomies="X")
    split = split_cases(cases, seed=0)
    assert (split.train, split.validation) == (("a0", "b1", "c2"), ("d0",))
    assert "optimistic" in split.note


def test_validation_that_leaves_nothing_to_train_is_drawn_again() -> None:
    cases = _cases("ab", anatomies="XY") + _cases("cd", cohort="internal_validation", anatomies="XY")
    split = split_cases(cases, seed=0)
    anatomy = {case.case_id: case.anatomy for case in cases}
    assert {anatomy[c] for c in split.train}.isdisjoint(anatomy[c] for c in split.validation)
    assert len(split.train) == len(split.validation) == 2


def test_one_patient_is_not_enough() -> None:
    with pytest.raises(InputError, match="one patient"):
        split_cases(_cases("aa"), seed=0)


def test_a_prepared_case_has_the_grid_of_the_bundle_and_the_volume_of_its_label(tmp_path: Path) -> None:
    cases = read_labels(write_labels(tmp_path, ["training", "internal_validation"]))
    outcomes = prepare_dataset(cases, split_cases(cases, 0), tmp_path / "work", SPEC)
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
    outcomes = prepare_dataset(cases, split_cases(cases, 0), tmp_path / "work", SPEC)
    assert [outcome.status for outcome in outcomes] == ["failed_input", "done", "done"]
    assert "0 and 1 only" in str(outcomes[0].reason)


def test_all_training_labels_empty_is_an_error_with_a_hint(tmp_path: Path) -> None:
    folder = write_labels(tmp_path, ["training", "internal_validation"])
    image, la = head_ct(0)
    write_image(folder / "labels" / "p00.nii.gz", Image(np.zeros(la.shape, np.uint8), image.affine))
    cases = read_labels(folder)
    with pytest.raises(InputError, match="all training labels are empty"):
        prepare_dataset(cases, split_cases(cases, 0), tmp_path / "work", SPEC)


def test_no_usable_validation_case_names_the_reasons(tmp_path: Path) -> None:
    folder = write_labels(tmp_path, ["training", "internal_validation"])
    (folder / "ct" / "p01.nii.gz").write_bytes(b"not an image")
    cases = read_labels(folder)
    with pytest.raises(InputError, match="no usable case is left to val"):
        prepare_dataset(cases, Split(("p00-ct",), ("p01-ct",), ""), tmp_path / "work", SPEC)
