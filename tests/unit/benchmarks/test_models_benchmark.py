"""``benchmarks/models.py`` on a phantom of known lesions, and its tables; the bed's draws."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_scripts import load_script
from head_phantom import head_ct
from toy_bundle import write_bundle, write_tissue_bundle

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.pretraining.ct_takes import HELD_OUT
from la_outcomes.pretraining.heads import Sources
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import load_bundle, read_card
from la_outcomes.simulation.parameters import load_parameters

BANDS = {"la": (12.0, 24.0), "infarct": (-9.0, -6.0), "brain": (0.0, 60.0), "parenchyma": (12.0, 60.0)}


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One head of the phantom as the bed lays them, half of its lesions called infarct too."""
    folder = tmp_path_factory.mktemp("bed")
    place = folder / "test" / "0000"
    image, la = head_ct(3)
    lost = la.copy()
    lost[: la.shape[0] // 2] = False
    write_image(place / "ct.nii.gz", image, dtype=np.int16)
    for name, mask in (("visible_ct", la), ("tissue_ct", la), ("acute_ct", lost), ("old_ct", 0 * lost)):
        write_image(place / f"{name}.nii.gz", Image(mask.astype(np.float32), image.affine))
    row = dict.fromkeys(("hours_from_onset", "tissue_volume_ml", "visible_la_volume_ml", "old_ml"), 1.0)
    row |= {"head": "test0000", "anatomy": "phantom", "acute_ml": 5.0, "icv_ml": 1.0, "brain_volume_ml": 1.0}
    scan = {"slice_thickness_mm": 6.0, "pixel_spacing_mm": 1.2, "manufacturer": HELD_OUT, "kernel": "FC26"}
    row |= {"ct": scan | {"kvp": 120.0, "gantry_tilt_deg": 0.0}}
    (place / "row.json").write_text(json.dumps(row))
    return folder


def test_a_head_is_measured_once_and_its_tables_are_printed(
    bed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = load_script("models")
    bundle = write_tissue_bundle(tmp_path / "model", BANDS)
    asked = ["--bed", str(bed), "--ct", str(bundle), "--out", str(tmp_path / "rows")]
    models.main(asked)
    first = capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "rows" / "ct.csv")
    assert len(rows) == 1
    assert rows["dice"][0] > 0.6
    assert rows["acute_labelled"][0] > 0.5
    assert np.isnan(rows["old_labelled"][0])
    assert not rows["vendor_seen"][0]
    assert "acute infarcts (n 1)" in first
    models.main([*asked, "--real-ct", str(bed / "test" / "0000" / "ct.nii.gz")])
    again = capsys.readouterr().out
    assert again.startswith(first.rstrip())
    assert "- ct: LA " in again
    assert (tmp_path / "rows" / "ct.png").stat().st_size > 10_000
    assert len(pd.read_csv(tmp_path / "rows" / "ct.csv")) == 1


def test_rows_of_another_model_are_not_mixed_in(bed: Path, tmp_path: Path) -> None:
    models = load_script("models")
    bundle = load_bundle(write_bundle(tmp_path / "model"))
    pd.DataFrame([{"head": "test0000", "model_sha256": "other"}]).to_csv(tmp_path / "ct.csv", index=False)
    with pytest.raises(SystemExit, match="another model"):
        models.rows_of(bed, "test", bundle, "ct", tmp_path)


def test_the_ceiling_falls_with_the_noise() -> None:
    models = load_script("models")
    rng = np.random.default_rng(0)
    where = np.zeros((60, 60, 6), np.float32)
    where[15:45, 15:45, 1:5] = 1
    shows = where.copy()
    shows[15:45, 30:45] = 0
    found = []
    for noise in (0.5, 8.0):
        hu = 30 - 8 * shows + rng.normal(0, noise, shows.shape)
        images = [Image(values.astype(np.float32), np.eye(4)) for values in (hu, shows, where)]
        found.append(models.ceiling(*images))
    assert found[0] > 0.98
    assert 0.5 < found[1] < found[0]


def test_loads_are_told_apart_in_the_table() -> None:
    models = load_script("model_tables")
    rows = pd.DataFrame(
        {"truth_ml": [0.0, 1.0, 3.0, 10.0, 30.0, 80.0], "predicted_ml": [0.5, 1.0, 3.0, 9.0, 33.0, 60.0]}
    ).assign(dice=[np.nan, 0.2, 0.4, 0.5, 0.6, 0.7])
    lines = models.load_table(rows).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == list(models.BIN_NAMES)
    assert "-20.00" in lines[-1]


def test_the_card_gets_figures_by_load_and_vendor() -> None:
    models = load_script("model_tables")
    rows = pd.DataFrame(
        {"truth_ml": [0.0, 10.0, 20.0, 40.0], "predicted_ml": [1.0, 10.0, 20.0, 40.0]}
    ).assign(dice=[np.nan, 0.5, 0.6, 0.7], vendor_seen=[True, True, True, False], anatomy="a")
    told = models.figures(rows, "test")
    assert told["load none"] == {"volumes": 1, "false_ml_lesion_free": 1.0, "error_ml": 1.0}
    assert told["all"]["dice"] == pytest.approx(0.6)
    assert told["vendor never trained on"]["volumes"] == 1
    assert "no patient" in told["what"]


def test_every_other_round_of_the_bed_is_of_the_vendor_held_out() -> None:
    bed = load_script("models_bed")
    clinical = load_parameters()["clinical"]
    rng = np.random.default_rng(0)
    assert {bed._ct(clinical, True, rng).manufacturer for _ in range(20)} == {HELD_OUT}
    assert HELD_OUT not in {bed._ct(clinical, False, rng).manufacturer for _ in range(60)}


def test_a_head_of_the_bed_is_written_whole(tmp_path: Path) -> None:
    bed = load_script("models_bed")
    parameters = load_parameters()
    anatomy, drawn = bed.draw_head(1, "test", 5, Sources.of(None, None, "test"), parameters)
    bed.write_head(tmp_path, anatomy, drawn, parameters["image"])
    row = json.loads((tmp_path / "row.json").read_text())
    assert row["tissue_volume_ml"] == pytest.approx(drawn.patient.tissue_volume_ml, rel=1e-3)
    assert {path.name for path in tmp_path.iterdir()} >= {"ct.nii.gz", "flair.nii.gz", "brain_ct.nii.gz"}


def test_the_shift_with_the_largest_merit_is_named(
    bed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "bed" / "validation"
    for number in range(3):
        shutil.copytree(bed / "test" / "0000", place / f"{number:04d}")
        image, la = head_ct(number)
        write_image(place / f"{number:04d}" / "ct.nii.gz", image, dtype=np.int16)
        write_image(place / f"{number:04d}" / "visible_ct.nii.gz", Image(la.astype(np.float32), image.affine))
    image, _ = head_ct(0)
    inside = Image(ct_brain(image).intracranial.astype(np.uint8), image.affine)
    write_image(place / "0000" / "brain_ct.nii.gz", inside)
    bundle = write_tissue_bundle(tmp_path / "model", BANDS)
    shift = load_script("models_shift")
    shift.main(["--bed", str(tmp_path / "bed"), "--bundle", str(bundle), "--into-card", str(bundle)])
    told = capsys.readouterr().out
    assert "3 validation heads" in told
    assert "shifts with the largest merit: " in told
    assert read_card(bundle)["brain"]["mask"] == "network"
    assert read_card(bundle)["brain"]["log_odds"] in shift.BRAIN_LIMITS


def test_shifted_log_odds_are_those_of_shifted_logits() -> None:
    shift = load_script("models_shift")
    logits = np.random.default_rng(0).normal(0, 2, (3, 50))
    both = []
    for values in (logits, logits + np.array([[0.5], [1.0], [0.0]])):
        logs = values - np.logaddexp.reduce(values, axis=0)
        both.append([logs[n] - np.log1p(-np.exp(logs[n])) for n in (0, 1)])
    found = shift.shifted(*both[0], (0.5, 1.0))
    assert np.asarray(found) == pytest.approx(np.asarray(both[1]), abs=1e-3)


def test_a_shift_that_labels_infarcts_has_less_merit() -> None:
    shift = load_script("models_shift")
    rows = pd.DataFrame({"truth_ml": [0.0, 10.0, 20.0, 40.0], "predicted_ml": [1.0, 10.0, 20.0, 40.0]})
    rows = rows.assign(dice=[np.nan, 0.5, 0.6, 0.7], acute_labelled=[np.nan, 0.1, 0.1, 0.1], old_labelled=0.0)
    told = shift.summary(rows)
    assert told["false_ml"] == 1.0
    assert told["dsc_above_15"] == pytest.approx(0.65)
    worse = shift.summary(rows.assign(acute_labelled=0.5))
    assert told["merit"] - worse["merit"] == pytest.approx(0.4)


def test_what_was_aimed_at_stands_beside_what_came_out() -> None:
    tables = load_script("model_tables")
    rows = pd.DataFrame({"truth_ml": [0.0, 10.0, 20.0, 40.0], "predicted_ml": [1.0, 10.0, 20.0, 40.0]})
    rows = rows.assign(dice=[np.nan, 0.7, 0.8, 0.93], acute_ml=5.0, acute_labelled=[0.0, 0.5, 0.5, 0.5])
    lines = tables.reach_table(rows).splitlines()
    assert "| DSC above 5 mL >= .80 | 0.81 (SE 0.07, n 3) | yes |" in lines
    assert lines[-2].endswith("| 1.00 mL (SE 0.00, n 1) | yes |")
    assert lines[-1].endswith("37.5 % (SE 12.5, n 4) | no |")
    ct = rows.assign(ceiling_dice=0.5, old_ml=0.0, old_labelled=np.nan)
    assert tables.reach_table(ct).splitlines()[-1].endswith("| none | - |")
    assert tables.agreement(rows.assign(truth_ml=0.0)) == "too few"


def test_the_worst_ct_is_drawn(bed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = write_tissue_bundle(tmp_path / "model", BANDS)
    rows = pd.DataFrame({"head": ["test0009", "test0000"], "truth_ml": [70.0, 70.0], "dice": [0.9, 0.7]})
    rows.assign(predicted_ml=60.0).to_csv(tmp_path / "ct.csv", index=False)
    asked = ["--bed", str(bed), "--rows", str(tmp_path), "--ct", str(bundle), "--out", str(tmp_path)]
    load_script("model_failures").main(asked)
    assert "test0000, Simulated CT, DSC 0.70" in capsys.readouterr().out
    assert (tmp_path / "model_failure_ct.png").stat().st_size > 5_000
