from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from head_phantom import head_ct
from toy_bundle import write_bundle

from la_outcomes.errors import InputError, UsageError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_mask, write_image
from la_outcomes.segmentation.evaluation import evaluate, matched, reference_paths
from la_outcomes.segmentation.inference import segment_scans
from la_outcomes.shards import read_shard


@pytest.fixture(scope="module")
def predictions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segmented phantoms, their LA as references in ``la``."""
    folder = tmp_path_factory.mktemp("predictions")
    rows = []
    for seed in (1, 2):
        image, la = head_ct(seed)
        write_image(folder / f"ct{seed}.nii.gz", image, dtype=np.int16)
        write_image(folder / "la" / f"s{seed}.nii.gz", Image(la.astype(np.uint8), image.affine))
        rows.append(
            {"patient_id": f"p{seed}", "scan_id": f"s{seed}", "modality": "CT", "path": f"ct{seed}.nii.gz"}
        )
    pd.DataFrame(rows).to_csv(folder / "scans.csv", index=False)
    segment_scans(folder / "scans.csv", write_bundle(folder / "model"), folder / "out")
    return folder


def test_scores_stand_in_shards_and_in_a_table(predictions: Path, tmp_path: Path) -> None:
    outcomes = evaluate(
        predictions / "out", predictions / "la", tmp_path, reference="truth", name="visible_la"
    )
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    table = pd.read_csv(tmp_path / "scores-truth-visible_la.csv")
    assert list(table["scan_id"]) == ["s1", "s2"]
    assert (table["dsc"] > 0.7).all()
    error = table["predicted_volume_ml"] - table["reference_volume_ml"]
    assert error.to_numpy() == pytest.approx(table["volume_error_ml"].to_numpy())
    shard = read_shard(next((tmp_path / "shards").glob("segmentation_score-*.json")))
    assert shard["rows"]["models"][0]["name"] == "toy"
    assert shard["rows"]["patients"]
    assert shard["rows"]["segmentation_scores"][0]["reference"] == "truth"


def test_a_second_run_scores_nothing_again(predictions: Path, tmp_path: Path) -> None:
    for status in ("done", "already_done"):
        outcomes = evaluate(
            predictions / "out", predictions / "la", tmp_path, reference="label", name="pseudo-label"
        )
        assert {outcome.status for outcome in outcomes} == {status}
    assert len(pd.read_csv(tmp_path / "scores-label-pseudo-label.csv")) == 2


def test_a_corrected_reference_replaces_its_score(predictions: Path, tmp_path: Path) -> None:
    mask = read_mask(predictions / "la" / "s1.nii.gz")
    for data in (mask.data, np.zeros_like(mask.data)):
        write_image(tmp_path / "refs" / "s1.nii.gz", Image(data, mask.affine))
        evaluate(predictions / "out", tmp_path / "refs", tmp_path, reference="person", name="reader1")
    table = pd.read_csv(tmp_path / "scores-person-reader1.csv")
    assert list(table["dsc"]) == [0]
    assert table["hd95_mm"].isna().all()


def test_masks_drawn_by_people_come_from_a_table_of_paths(predictions: Path, tmp_path: Path) -> None:
    listing = predictions / "reader.csv"
    listing.write_text("scan_id,path\ns2,la/s2.nii.gz\n")
    outcomes = evaluate(predictions / "out", listing, tmp_path, reference="person", name="reader1")
    assert [outcome.case_id for outcome in outcomes] == ["s2"]


def test_a_soft_reference_is_cut_at_its_own_volume(predictions: Path, tmp_path: Path) -> None:
    mask = read_mask(predictions / "la" / "s1.nii.gz")
    soft = mask.data.astype(np.float32) * np.float32(0.4)
    write_image(tmp_path / "soft" / "s1.nii.gz", Image(soft, mask.affine))
    evaluate(predictions / "out", tmp_path / "soft", tmp_path, reference="truth", name="tissue")
    row = pd.read_csv(tmp_path / "scores-truth-tissue.csv").iloc[0]
    expected = 0.4 * mask.data.sum() * mask.voxel_volume_ml
    assert row["reference_volume_ml"] == pytest.approx(expected, abs=mask.voxel_volume_ml)


def test_other_labels_and_other_grids_fail_alone(predictions: Path, tmp_path: Path) -> None:
    first, second = (read_mask(predictions / "la" / f"s{n}.nii.gz") for n in (1, 2))
    write_image(tmp_path / "refs" / "s1.nii.gz", Image(first.data * 3, first.affine))
    write_image(tmp_path / "refs" / "s2.nii.gz", Image(second.data[:-1], second.affine))
    outcomes = evaluate(predictions / "out", tmp_path / "refs", tmp_path, reference="person", name="x")
    assert [outcome.status for outcome in outcomes] == ["failed_input", "failed_input"]
    assert "not 0 to 1" in str(outcomes[0].reason)
    assert "grid" in str(outcomes[1].reason)


def test_a_mask_replaced_since_is_not_scored(predictions: Path, tmp_path: Path) -> None:
    references = reference_paths(predictions / "la")
    kept = (predictions / "out" / "masks" / "s1.nii.gz").read_bytes()
    (predictions / "out" / "masks" / "s1.nii.gz").write_bytes(kept + b" ")
    try:
        assert [case.scan_id for case in matched(predictions / "out", references)] == ["s2"]
    finally:
        (predictions / "out" / "masks" / "s1.nii.gz").write_bytes(kept)


def test_unknown_kinds_and_nothing_to_compare_are_refused(predictions: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        evaluate(predictions / "out", predictions / "la", tmp_path, reference="gold", name="x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no predicted scan"):
        evaluate(predictions / "out", tmp_path / "empty", tmp_path, reference="label", name="x")
    with pytest.raises(InputError, match="no such folder"):
        reference_paths(tmp_path / "nowhere")
