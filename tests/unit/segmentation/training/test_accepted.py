from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from la_outcomes.errors import InputError
from la_outcomes.segmentation.training.accepted import labels_left_out, read_labels


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


def test_only_accepted_labels_of_the_training_cohorts_are_read(tmp_path: Path) -> None:
    assert [case.ct_scan_id for case in read_labels(_table(tmp_path))] == ["a", "c"]


@pytest.mark.parametrize("status", ["review", "rejected", "failed", "", "Accepted"])
def test_no_other_status_than_accepted_enters_a_training(tmp_path: Path, status: str) -> None:
    table = _table(tmp_path, status=["accepted", status, status, status, status])
    cases = read_labels(table)
    assert [case.ct_scan_id for case in cases] == ["a"]
    assert labels_left_out(table, cases) == {status: 2}


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


def test_a_centre_that_trains_cannot_be_an_external_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="centre K01 is in a training cohort and in an external one"):
        read_labels(_table(tmp_path, site=["K01", "K01", "K02", "K01", "U01"]))
    assert len(read_labels(_table(tmp_path, site=["K01", "K01", "K01", "K07", "U01"]))) == 2
    assert len(read_labels(_table(tmp_path, site=[""] * 5))) == 2
