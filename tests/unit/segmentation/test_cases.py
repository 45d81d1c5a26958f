"""Tables of work: what is read, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.errors import InputError
from la_outcomes.segmentation.cases import read_pairs, read_scans

PAIR_HEAD = "patient_id,cohort,site,ct_scan_id,ct_path,flair_scan_id,flair_path,wmh_mask_path,days_between\n"


def _write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_scans_are_typed_and_paths_taken_from_the_tables_folder(tmp_path: Path) -> None:
    head = "patient_id,scan_id,modality,path,cohort,kvp,is_contrast_enhanced\n"
    text = head + "007,a1,CT,x/ct.nii.gz,clinical,120,no\n"
    (case,) = read_scans(_write(tmp_path, text))
    assert case.patient_id == "007"
    assert case.path == tmp_path / "x" / "ct.nii.gz"
    assert case.patient_row() == {"patient_id": "007", "cohort": "clinical"}
    row = case.scan_row("f" * 64)
    assert row["kvp"] == 120.0
    assert row["is_contrast_enhanced"] is False
    assert row["sha256"] == "f" * 64


def test_empty_cells_become_absent_keys(tmp_path: Path) -> None:
    text = "patient_id,scan_id,modality,path,kvp\np,a1,CT,ct.nii.gz,\n"
    (case,) = read_scans(_write(tmp_path, text))
    assert "kvp" not in case.scan_row("0" * 64)


def test_only_the_asked_modality(tmp_path: Path) -> None:
    text = "patient_id,scan_id,modality,path\np,a,CT,a.nii\np,b,FLAIR,b.nii\n"
    assert [case.scan_id for case in read_scans(_write(tmp_path, text), modality="CT")] == ["a"]


def test_pair_keeps_masks_site_and_days(tmp_path: Path) -> None:
    text = PAIR_HEAD + "p1,training,s1,c1,ct.nii.gz,f1,/abs/fl.nii.gz,wmh.nii.gz,1.5\n"
    (pair,) = read_pairs(_write(tmp_path, text))
    assert pair.case_id == "c1"
    assert pair.site == "s1"
    assert pair.flair.path == Path("/abs/fl.nii.gz")
    assert pair.wmh_mask_path == tmp_path / "wmh.nii.gz"
    assert pair.infarct_mask_path is None
    assert pair.row() == {"ct_scan_id": "c1", "flair_scan_id": "f1", "days_between": 1.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient_id,scan_id,modality\np,a,CT\n", "missing: path"),
        ("patient_id,scan_id,modality,path,colour\np,a,CT,x,red\n", "unknown columns: colour"),
        ("patient_id,scan_id,modality,path\np,,CT,x\n", "scan_id is empty in line 2"),
        ("patient_id,scan_id,modality,path\np,../a,CT,x\n", "cannot name a file"),
        ("patient_id,scan_id,modality,path\np,a,MRI,x\n", "modality is 'MRI'"),
        ("patient_id,scan_id,modality,path\np,a,CT,x\np,a,CT,y\n", "twice"),
        ("patient_id,scan_id,modality,path,kvp\np,a,CT,x,high\n", "not a number"),
        ("patient_id,scan_id,modality,path,kvp\np,a,CT,x,inf\n", "not a number"),
        ("patient_id,scan_id,modality,path,is_simulated\np,a,CT,x,maybe\n", "neither true nor false"),
        ("patient_id,scan_id,modality,path,site\np,a,CT,x,s1\np,b,CT,y,s2\n", "two values of site"),
        ("", "cannot be read"),
    ],
)  # fmt: skip
def test_bad_scan_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_scans(_write(tmp_path, text))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("p,training,s,c,x,c,y,,\n", "one scan id"),
        ("p,trainning,s,c,x,f,y,,\n", "cohort is 'trainning'"),
        ("p,training,s,c,x,f,y,,\np,training,s,c,x,f2,y,,\n", "twice"),
        ("p,training,s,c,x,f,y,,\np,external_test,s,c2,x,f2,y,,\n", "two values of cohort"),
    ],
)
def test_bad_pair_tables_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pairs(_write(tmp_path, PAIR_HEAD + rows))


def test_missing_table_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_pairs(tmp_path / "none.csv")
