from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from head_phantom import head_ct
from toy_bundle import SPEC, onnx_network, write_bundle

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.segmentation import bundle, inference
from la_outcomes.segmentation.bundle import load_bundle
from la_outcomes.segmentation.inference import segment_scans
from la_outcomes.segmentation.measurement import segment_scan
from la_outcomes.segmentation.volumetry import dice
from la_outcomes.shards import read_shard, sha256_file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("model"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A SCANS.csv with a head, something that is no head, a damaged file and a FLAIR."""
    image, _ = head_ct(1)
    write_image(tmp_path / "head.nii.gz", image, dtype=np.int16)
    noise = np.random.default_rng(0).normal(500, 100, (64, 64, 20)).astype(np.int16)
    write_image(tmp_path / "noise.nii.gz", Image(noise, np.diag([3.0, 3.0, 5.0, 1.0])))
    (tmp_path / "damaged.nii.gz").write_bytes(b"\x1f\x8b broken")
    names = ["head", "noise", "damaged", "flair"]
    rows = {
        "patient_id": [f"p-{name}" for name in names],
        "scan_id": names,
        "modality": ["CT", "CT", "CT", "FLAIR"],
        "path": [f"{name}.nii.gz" for name in names],
        "cohort": ["external_test"] * 4,
    }
    pd.DataFrame(rows).to_csv(tmp_path / "scans.csv", index=False)
    return tmp_path / "scans.csv"


def _shards(out: Path) -> dict[str, dict]:
    found = [read_shard(path) for path in (out / "shards").glob("la_measurement-*.json")]
    return {shard["case_id"]: shard for shard in found}


@pytest.mark.parametrize("tilt", [0.0, 0.25])
def test_la_of_a_phantom_is_found_with_its_volume(model: Path, tilt: float) -> None:
    image, la = head_ct(3, tilt=tilt)
    found = segment_scan(image, load_bundle(model))
    truth = volume_ml(la, image.affine)
    assert found.mask.shape == image.shape
    assert dice(found.mask, la) > 0.75
    assert found.la_volume_ml == volume_ml(found.mask, image.affine)
    assert found.la_volume_ml == pytest.approx(truth, rel=0.35)
    assert found.input_warning is None
    assert found.icv_ml > 500


def test_nothing_found_is_zero_and_not_missing(tmp_path: Path) -> None:
    bone_only = onnx_network(SPEC, low_hu=300, high_hu=301)
    found = segment_scan(head_ct(2)[0], load_bundle(write_bundle(tmp_path, bone_only)))
    assert found.la_volume_ml == 0.0


def test_the_mask_does_not_depend_on_how_many_slices_are_predicted_at_once(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = head_ct(4)
    whole = segment_scan(image, load_bundle(model)).mask
    monkeypatch.setattr(bundle, "SLICES_AT_ONCE", 3)
    assert (segment_scan(image, load_bundle(model)).mask == whole).all()


def test_unusual_slices_are_warned_about(tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path, training={"slice_spacing_mm": [1.0, 2.0]}))
    found = segment_scan(head_ct(2)[0], bundle)
    assert found.input_warning == "slices 6.0 mm apart; the model was trained on 1 to 2 mm"


def test_each_scan_gets_a_volume_or_a_reason(model: Path, table: Path, tmp_path: Path) -> None:
    outcomes = segment_scans(table, model, tmp_path / "out")
    assert {o.case_id: o.status for o in outcomes} == {
        "head": "done",
        "noise": "not_measured",
        "damaged": "failed_input",
    }
    shards = _shards(tmp_path / "out")
    rows = {name: shard["rows"]["la_measurements"][0] for name, shard in shards.items()}
    assert rows["head"]["la_volume_ml"] > 0
    assert "not_measured_reason" not in rows["head"]
    for name in ("noise", "damaged"):
        assert "la_volume_ml" not in rows[name]
        assert rows[name]["not_measured_reason"]
    assert shards["head"]["rows"]["patients"] == [{"patient_id": "p-head", "cohort": "external_test"}]
    assert shards["head"]["rows"]["scans"][0]["slice_spacing_mm"] == 6.0


def test_mask_and_overlay_are_those_the_row_names(model: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segment_scans(table, model, out)
    row = _shards(out)["head"]["rows"]["la_measurements"][0]
    assert sha256_file(out / row["mask_path"]) == row["mask_sha256"]
    assert (out / row["picture_path"]).stat().st_size > 10_000
    mask = read_image(out / row["mask_path"])
    assert volume_ml(mask.data, mask.affine) == pytest.approx(row["la_volume_ml"])
    assert read_image(table.parent / "head.nii.gz").shape == mask.shape


def test_a_second_run_does_nothing_and_a_changed_scan_is_done_again(
    model: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    segment_scans(table, model, out)
    assert {o.status for o in segment_scans(table, model, out)} == {"already_done"}
    write_image(table.parent / "head.nii.gz", head_ct(7)[0], dtype=np.int16)
    again = {o.case_id: o.status for o in segment_scans(table, model, out)}
    assert again == {"head": "done", "noise": "already_done", "damaged": "already_done"}


def test_one_image_under_two_names_gives_two_rows(model: Path, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    twin = frame.iloc[[0]].assign(scan_id="twin", patient_id="p-twin")
    pd.concat([frame.iloc[[0]], twin]).to_csv(table, index=False)
    segment_scans(table, model, tmp_path / "out")
    assert set(_shards(tmp_path / "out")) == {"head", "twin"}


def test_failures_that_can_pass_are_tried_again(
    model: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.read_csv(table).iloc[[0]].to_csv(table, index=False)

    def full_disk(*_: object, **__: object) -> None:
        raise ResourceError("no space left on the disk")

    with monkeypatch.context() as patched:
        patched.setattr(inference, "write_image", full_disk)
        outcome = segment_scans(table, model, tmp_path / "out")[0]
    assert (outcome.status, outcome.reason) == ("failed_transient", "no space left on the disk")
    row = _shards(tmp_path / "out")["head"]["rows"]["la_measurements"][0]
    assert row["not_measured_reason"] == "no space left on the disk"
    assert segment_scans(table, model, tmp_path / "out")[0].status == "done"


@pytest.mark.slow
def test_two_workers_write_the_same_masks(model: Path, table: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        segment_scans(table, model, tmp_path / f"out{jobs}", jobs=jobs)
    one, two = (_shards(tmp_path / f"out{jobs}")["head"]["rows"]["la_measurements"][0] for jobs in (1, 2))
    assert one["mask_sha256"] == two["mask_sha256"]
    assert one["la_volume_ml"] == two["la_volume_ml"]


def test_a_single_file_is_a_scan_named_after_it(model: Path, table: Path, tmp_path: Path) -> None:
    outcomes = segment_scans(table.parent / "head.nii.gz", model, tmp_path / "out")
    assert [(o.case_id, o.status) for o in outcomes] == [("head", "done")]


def test_a_folder_belongs_to_one_model(model: Path, table: Path, tmp_path: Path) -> None:
    segment_scans(table, model, tmp_path / "out")
    other = write_bundle(tmp_path / "other", onnx_network(SPEC, low_hu=1, high_hu=2))
    with pytest.raises(InputError, match="another model"):
        segment_scans(table, other, tmp_path / "out")


def test_nothing_to_segment_is_told(model: Path, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame[frame["modality"] == "FLAIR"].to_csv(table, index=False)
    with pytest.raises(InputError, match="holds no CT"):
        segment_scans(table, model, tmp_path / "out")
    with pytest.raises(InputError, match="no such scan"):
        segment_scans(tmp_path / "nowhere.nii.gz", model, tmp_path / "out")


def test_a_bundle_that_gives_no_numbers_gives_no_volume(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load_bundle(model)
    monkeypatch.setitem(bundle.__dict__, "compute", lambda slices: np.full(slices.shape, np.nan))
    with pytest.raises(InputError, match="not numbers"):
        segment_scan(head_ct(2)[0], bundle)


def test_inference_imports_neither_nnunet_nor_torch() -> None:
    code = (
        "import sys, json, onnxruntime, la_outcomes.segmentation.inference;"
        "import la_outcomes.segmentation.evaluation;"
        "print(json.dumps([m for m in ('torch', 'nnunetv2') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
