"""Models by name: resolved, copied, never written to."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from head_phantom import head_ct
from pair_table import write_pairs
from toy_bundle import write_bundle

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError, UsageError
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation import packaged
from la_outcomes.segmentation.bundle import load_bundle, read_card
from la_outcomes.segmentation.measurement import segment_scan
from la_outcomes.segmentation.packaged import (
    LA_MODEL,
    NAMES,
    WMH_MODEL,
    bundle_path,
    copy_bundle,
    refuse_packaged,
)
from la_outcomes.segmentation.training.weights import read_weights
from la_outcomes.simulation.anatomy import TEMPLATE, load_anatomy
from la_outcomes.simulation.pair import draw_patient, take_ct
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import CtSettings, PatientSpec


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose CT model is the toy bundle and which lacks the other model."""
    folder = tmp_path / "site-packages" / "models"
    write_bundle(folder / LA_MODEL, name=LA_MODEL)
    monkeypatch.setattr(packaged, "FOLDER", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_name_is_the_packaged_folder_and_anything_else_a_path(shipped: Path) -> None:
    assert bundle_path(LA_MODEL) == shipped / LA_MODEL
    assert bundle_path("some/folder") == Path("some/folder")


def test_a_model_that_is_not_there_is_named(shipped: Path) -> None:
    with pytest.raises(InputError, match=f"does not hold the model {WMH_MODEL}"):
        bundle_path(WMH_MODEL)


def test_a_folder_of_the_same_name_is_not_mistaken_for_the_model(shipped: Path, tmp_path: Path) -> None:
    write_bundle(tmp_path / LA_MODEL)
    with pytest.raises(UsageError, match="a model of the package and a folder here"):
        bundle_path(LA_MODEL)
    assert bundle_path(f".{os.sep}{LA_MODEL}") == Path(LA_MODEL)


def test_a_packaged_model_is_copied_before_it_is_changed(shipped: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not written to"):
        refuse_packaged(bundle_path(LA_MODEL))
    copied = copy_bundle(LA_MODEL, tmp_path / "mine")
    refuse_packaged(copied)
    assert load_bundle(copied).model_sha256 == load_bundle(shipped / LA_MODEL).model_sha256
    with pytest.raises(InputError, match="not empty"):
        copy_bundle(LA_MODEL, copied)


def test_the_verbs_take_names(shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["model", "copy", LA_MODEL, "--out", "mine"]) == 0
    assert (tmp_path / "mine" / "model.json").is_file()
    calibration = ["model", "calibrate", LA_MODEL, "--predictions", ".", "--mri", "mri.csv"]
    assert run(calibration) == 2
    assert "model copy" in capsys.readouterr().err
    assert run(["segment", "scan.nii.gz", "--model", LA_MODEL, "--out", "out"]) == 3
    assert "no such scan" in capsys.readouterr().err
    assert run(["label", "pairs.csv", "--wmh", "model", "--wmh-model", WMH_MODEL, "--out", "out"]) == 3
    assert f"does not hold the model {WMH_MODEL}" in capsys.readouterr().err
    assert run(["train", "labels", "--init-from", WMH_MODEL, "--out", "out"]) == 3


def test_segment_and_label_take_the_packaged_models_by_default(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / "head.nii.gz", head_ct(1)[0], dtype=np.int16)
    assert run(["segment", "head.nii.gz", "--out", "out"]) == 0
    assert "1 done" in capsys.readouterr().out
    pairs = write_pairs(tmp_path / "in", ["a"])
    assert run(["label", str(pairs), "--out", "labels", "--dry-run"]) == 3
    assert f"does not hold the model {WMH_MODEL}" in capsys.readouterr().err
    assert run(["label", str(pairs), "--out", "labels", "--wmh", "classical", "--dry-run"]) == 0
    write_bundle(shipped / WMH_MODEL, modality="FLAIR")
    assert run(["label", str(pairs), "--out", "labels", "--dry-run"]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_with_the_package_says_what_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bundle_path(name)
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 10_000_000
    card = read_card(folder)
    assert (card["name"], card["simulated"]) == (name, True)
    assert (card["validated_on_patients"], card["medical_device"]) == (False, False)
    assert card["parity"]["equivalent"]
    read_weights(folder, card)
    assert run(["model", "show", name]) == 0
    told = capsys.readouterr().out
    assert "SIMULATED" in told
    assert "NOT a medical device" in told
    assert run(["model", "verify", name]) == 0


def test_the_ct_model_measures_a_head_and_refuses_one_of_plastic() -> None:
    bundle = load_bundle(bundle_path(LA_MODEL))
    for section in ("calibration", "interval", "domain", "brain"):
        assert bundle.card[section]
    parameters = load_parameters()["image"]
    parameters["ct"]["step_mm"] = 1.25
    asked = PatientSpec("p", 70, 12.0, ct=CtSettings(pixel_spacing_mm=1.0))
    scan = take_ct(draw_patient(load_anatomy(TEMPLATE), asked, 3, parameters), parameters)
    found = segment_scan(scan.image, bundle)
    row = found.row(bundle)
    assert row["unlikeness"] < 2
    assert row["la_volume_low_ml"] <= row["la_volume_high_ml"]
    assert row["icv_ml"] > row["brain_volume_ml"] > 600
    with pytest.raises(InputError, match="unlike the head CTs"):
        segment_scan(head_ct(1)[0], bundle)
