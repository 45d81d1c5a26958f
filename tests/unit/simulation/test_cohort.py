"""A cohort on disk: files, tables, shards, repeatability."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import SimpleITK as sitk

from la_outcomes.bulk import read_bulk
from la_outcomes.cli.main import run
from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.imaging.nifti import read_image, same_grid
from la_outcomes.segmentation.cases import read_pairs, read_scans
from la_outcomes.shards import read_shard, sha256_file
from la_outcomes.simulation.cohort import simulate_cohort, simulate_without_images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One training and one external patient, drawn small."""
    out = tmp_path_factory.mktemp("cohort")
    simulate_cohort(out, {"training": 1, "external_test": 1}, 5, preset="small")
    return out


def _truth(out: Path) -> pd.DataFrame:
    rows = [
        read_shard(path)["rows"]["simulation_truth"][0] for path in sorted((out / "shards").glob("*.json"))
    ]
    return pd.DataFrame(rows).set_index("patient_id")


def test_the_tables_of_work_can_be_read_and_name_existing_files(folder: Path) -> None:
    scans, pairs = read_scans(folder / "scans.csv"), read_pairs(folder / "pairs.csv")
    assert len(scans) == 4
    assert len(pairs) == 2
    assert all(scan.path.exists() for scan in scans)
    for pair in pairs:
        assert pair.wmh_mask_path is not None
        assert pair.infarct_mask_path is not None
        flair = read_image(pair.flair.path)
        assert same_grid(read_image(pair.wmh_mask_path), flair)
        assert same_grid(read_image(pair.infarct_mask_path), flair)


def test_the_truth_in_the_shard_is_what_the_masks_hold(folder: Path) -> None:
    for patient_id, truth in _truth(folder).iterrows():
        images = folder / "images" / str(patient_id)
        for name, column, tolerance in (
            ("truth_tissue_ct", "tissue_volume_ml", 0.02),
            ("truth_visible_ct", "visible_la_volume_ml", 0.02),
            ("truth_wmh_flair", "tissue_volume_ml", 0.05),  # the FLAIR's distortion stretches
        ):
            image = read_image(images / f"{name}.nii.gz")
            assert volume_ml(image.data, image.affine) == pytest.approx(
                truth[column], rel=tolerance, abs=0.01
            )


def test_the_drawn_volumes_are_those_of_the_clinical_simulation(folder: Path, tmp_path: Path) -> None:
    paths = simulate_without_images(tmp_path, {"training": 1, "external_test": 1}, 5)
    bulk = next(shard for shard in map(read_bulk, paths) if shard.table == "simulation_truth")
    drawn = _truth(folder)
    asked = bulk.rows.to_pandas().set_index("patient_id").loc[drawn.index]
    for column in ("tissue_volume_ml", "visible_la_volume_ml", "infarct_volume_ml"):
        assert drawn[column].to_numpy() == pytest.approx(asked[column].to_numpy(), rel=5e-3)


def test_scans_carry_the_hash_and_spacing_of_their_files(folder: Path) -> None:
    for path in (folder / "shards").glob("*.json"):
        rows = read_shard(path)["rows"]
        for scan in rows["scans"]:
            assert scan["sha256"] == sha256_file(folder / scan["path"])
            assert scan["pixel_spacing_mm"] == pytest.approx(
                float(read_image(folder / scan["path"]).spacing_mm[0]), abs=1e-3
            )
        assert not {"la_measurements", "wmh_measurements", "models"} & set(rows)


def test_a_rerun_has_nothing_to_do(folder: Path) -> None:
    outcomes = simulate_cohort(folder, {"training": 1, "external_test": 1}, 5, preset="small")
    assert [outcome.status for outcome in outcomes] == ["already_done", "already_done"]


@pytest.mark.slow
def test_more_patients_and_more_processes_leave_a_patient_s_bytes_as_they_are(
    folder: Path, tmp_path: Path
) -> None:
    simulate_cohort(tmp_path, {"training": 2, "clinical": 1}, 5, preset="small", jobs=2)
    patient = next(path.name for path in (folder / "images").iterdir() if "-trn-" in path.name)
    for path in (folder / "images" / patient).glob("*.nii.gz"):
        assert sha256_file(path) == sha256_file(tmp_path / "images" / patient / path.name), path.name
    # HDF5 files carry the time of writing: their content is compared
    first, second = (
        sitk.ReadTransform(str(root / "images" / patient / "ct_to_flair.h5")) for root in (folder, tmp_path)
    )
    assert first.TransformPoint((10.0, -20.0, 30.0)) == second.TransformPoint((10.0, -20.0, 30.0))


def test_tables_without_images_come_as_bulk_shards(tmp_path: Path) -> None:
    assert run(["simulate", "--out", str(tmp_path), "--patients", "30", "--seed", "2", "--no-images"]) == 0
    tables = {read_bulk(path).table: read_bulk(path).rows for path in (tmp_path / "shards").iterdir()}
    assert len(tables["patients"]) == 30
    assert {"la_measurements", "simulation_truth", "clinical", "outcomes"} <= set(tables)
    assert tables["clinical"]["run_id"].null_count == 0


def test_an_unknown_preset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="preset"):
        simulate_cohort(tmp_path, 1, 1, preset="huge")


def test_no_images_takes_no_anatomies(tmp_path: Path) -> None:
    arguments = ["simulate", "--out", str(tmp_path), "--no-images", "--anatomies", str(tmp_path)]
    assert run(arguments) == 2
