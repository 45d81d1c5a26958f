"""Names on disk, the options of the command line, and that each changed parameter shows in the version."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.bulk import read_bulk
from la_outcomes.cli.main import run
from la_outcomes.errors import InputError
from la_outcomes.imaging.nifti import read_image
from la_outcomes.segmentation.cases import read_pairs, read_scans
from la_outcomes.simulation.clinical import simulate_clinical
from la_outcomes.simulation.cohort import simulate_cohort
from la_outcomes.simulation.outputs import Outputs, bids_label
from la_outcomes.simulation.parameters import load_parameters, merged, read_changes, simulator_version


def test_bids_names_dicom_and_a_repeated_ct_stand_in_the_tables(tmp_path: Path) -> None:
    parameters = load_parameters({"clinical": {"repeat_ct": {"share": 1.0}}})
    outputs = Outputs("bids", dicom=True)
    simulate_cohort(tmp_path, {"training": 1}, 5, preset="small", parameters=parameters, outputs=outputs)
    scans, pairs = read_scans(tmp_path / "scans.csv"), read_pairs(tmp_path / "pairs.csv")
    assert (len(scans), len(pairs)) == (3, 1)
    subject = f"sub-{bids_label('sim5-trn-000001')}"
    assert (tmp_path / subject / "anat" / f"{subject}_FLAIR.nii.gz").is_file()
    truth = tmp_path / "derivatives" / "truth"
    assert len(list((truth / subject).iterdir())) == 6
    for place in (tmp_path, truth):
        description = json.loads((place / "dataset_description.json").read_text())
        assert simulator_version() in description["Name"]
    people = pd.read_csv(tmp_path / "participants.tsv", sep="\t")
    assert list(people["participant_id"]) == [subject]
    first, again = (
        read_image(tmp_path / subject / "ct" / f"{subject}_{name}ct.nii.gz") for name in ("", "run-2_")
    )
    assert not np.array_equal(first.affine, again.affine)
    assert len(list((tmp_path / "dicom" / "sim5-trn-000001" / "ct_repeat").iterdir())) == again.shape[2]
    assert all((tmp_path / path).is_file() for path in pd.read_csv(tmp_path / "scans.csv")["path"])


def test_repeated_scans_of_a_patient_differ_by_the_declared_error_alone() -> None:
    parameters = load_parameters({"clinical": {"repeat_ct": {"share": 0.5}}})
    made = simulate_clinical({"clinical": 4000}, seed=3, parameters=parameters)
    la = made.tables["la_measurements"].set_index("scan_id")["la_volume_ml"]
    again = la[la.index.str.endswith("-ct2")]
    first = la[again.index.str.replace("-ct2", "-ct")]
    assert len(again) == pytest.approx(2000, abs=120)
    known = ~(np.isnan(first.to_numpy()) | np.isnan(again.to_numpy()))
    no_infarct = made.complete.set_index(
        made.tables["patients"]["patient_id"] + "-ct2"
    )["infarct_volume_ml"].loc[again.index] == 0  # fmt: skip
    use = known & no_infarct.to_numpy()
    difference = np.log1p(again.to_numpy()[use]) - np.log1p(first.to_numpy()[use])
    assert difference.std() == pytest.approx(np.sqrt(2) * 0.18, rel=0.2)
    plain = simulate_clinical({"clinical": 4000}, seed=3).tables
    pd.testing.assert_frame_equal(plain["outcomes"], made.tables["outcomes"])
    assert len(plain["scans"]) == len(made.tables["scans"]) - len(again)


def _table(folder: Path, name: str) -> pd.DataFrame:
    bulks = [read_bulk(path) for path in (folder / "shards").iterdir()]
    return next(bulk.rows for bulk in bulks if bulk.table == name).to_pandas()


def test_options_change_missingness_and_the_specification_and_the_version_says_so(tmp_path: Path) -> None:
    arguments = ["simulate", "--out", str(tmp_path), "--patients", "60", "--no-images"]
    assert run([*arguments, "--missing", "none", "--non-proportional", "--repeat-share", "0.5"]) == 0
    assert _table(tmp_path, "outcomes")["mrs_3m"].notna().all()
    truth = _table(tmp_path, "simulation_truth")
    assert truth["true_log_or_per_sd"].isna().all()
    assert truth["simulator_version"].str.fullmatch(rf"{simulator_version()}\+[0-9a-f]{{8}}").all()
    assert _table(tmp_path, "scans")["scan_id"].str.endswith("-ct2").any()


def test_a_file_of_changes_is_laid_over_and_a_misspelt_one_refused(tmp_path: Path) -> None:
    changes = tmp_path / "changes.yaml"
    changes.write_text("clinical: {missingness: {rates: {mrs_3m: 0.5}}}\n")
    arguments = [
        "simulate",
        "--out",
        str(tmp_path / "out"),
        "--patients",
        "80",
        "--no-images",
        "--parameters",
    ]
    assert run([*arguments, str(changes), "--missing", "mcar"]) == 0
    assert _table(tmp_path / "out", "outcomes")["mrs_3m"].isna().mean() > 0.25
    for text in ("clinical: {missing: 1}", "[1, 2]", "a: [", "version: '7'"):
        changes.write_text(text)
        assert run([*arguments, str(changes)]) == 3


def test_changes_from_two_sources_are_merged() -> None:
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}, "d": 4}) == {"a": {"b": 1, "c": 3}, "d": 4}
    assert load_parameters()["version"] == simulator_version()
    one, other = (load_parameters({"clinical": {"repeat_ct": {"share": x}}})["version"] for x in (0.1, 0.2))
    assert one != other


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="YAML"):
        read_changes(path)
