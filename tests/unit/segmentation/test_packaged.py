"""Models by name: resolved, copied, never written to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from toy_bundle import write_bundle

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError, UsageError
from la_outcomes.segmentation import packaged
from la_outcomes.segmentation.bundle import load_bundle
from la_outcomes.segmentation.packaged import LA_MODEL, WMH_MODEL, bundle_path, copy_bundle, refuse_packaged


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
