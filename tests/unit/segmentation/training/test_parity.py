"""The gate that every export and every engine passes: ten heads against nnU-Net's own predictor."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from head_phantom import head_ct
from nnunet_folder import write_nnunet_folder

from la_outcomes.cli.main import run
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation import brain
from la_outcomes.segmentation.bundle import CARD_FILE, load_bundle
from la_outcomes.segmentation.training import parity
from la_outcomes.segmentation.training.export import export_bundle
from la_outcomes.segmentation.training.weights import network_state, rebuilt_networks

HEADS = 10


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SCANS.csv of as many heads as the gate asks for."""
    folder = tmp_path_factory.mktemp("scans")
    names = [f"s{number}" for number in range(HEADS)]
    for number, name in enumerate(names):
        write_image(folder / f"{name}.nii.gz", head_ct(number)[0], dtype=np.int16)
    paths = [f"{name}.nii.gz" for name in names]
    table = pd.DataFrame({"patient_id": names, "scan_id": names, "modality": "CT", "path": paths})
    table.to_csv(folder / "scans.csv", index=False)
    return folder / "scans.csv"


@pytest.fixture(scope="module", autouse=True)
def _each_brain_is_found_once() -> object:
    found: dict[bytes, brain.Brain] = {}

    def remembered(image: Image) -> brain.Brain:
        key = image.data.tobytes()
        if key not in found:
            found[key] = brain.ct_brain(image)
        return found[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "ct_brain", remembered)
        yield


@pytest.fixture(scope="module")
def imported(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own nnU-Net folder, converted and compared on ten heads."""
    folder = write_nnunet_folder(tmp_path_factory.mktemp("nnUNetTrainer__nnUNetPlans__2d"))
    out = tmp_path_factory.mktemp("models") / "mine"
    assert run(["model", "import-nnunet", str(folder), "--out", str(out), "--scans", str(scans)]) == 0
    return out


def test_an_imported_model_is_proven_on_ten_heads(imported: Path) -> None:
    told = load_bundle(imported).card["parity"]
    assert (told["cases"], told["cases_with_foreground"], told["equivalent"]) == (HEADS, HEADS, True)
    assert told["dice_min"] >= 0.999


def test_another_engine_is_used_only_after_it_passed_for_this_model(
    imported: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")
    engine = ["--engine", "openvino-f32"]
    segment = ["segment", str(scans.with_name("s0.nii.gz")), "--model", str(imported), *engine]
    assert run([*segment, "--out", str(tmp_path / "before")]) == 3
    assert "model verify" in capsys.readouterr().err
    assert run(["model", "verify", str(imported), *engine, "--scans", str(scans)]) == 0
    assert f"in {HEADS} cases" in capsys.readouterr().out
    assert load_bundle(imported, engine="openvino-f32").card["engines"]["openvino-f32"]["dice_min"] >= 0.999
    assert run([*segment, "--out", str(tmp_path / "after")]) == 0


def test_an_export_that_says_something_else_is_not_proven(
    imported: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its ONNX file is another network than its weights: every hash fits, the masks do not."""
    bundle = load_bundle(imported)
    (network,) = rebuilt_networks(bundle)
    weights = {name: tensor.clone() for name, tensor in network_state(network).items()}
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(1 + 0.05 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0)))
    keys = ("name", "training", "parity", "nnunet")
    kept = {key: bundle.card[key] for key in keys}
    export_bundle(tmp_path / "other", network.eval(), weights, bundle.spec, kept)
    assert run(["model", "verify", str(tmp_path / "other"), "--scans", str(scans)]) == 3
    told = capsys.readouterr()
    assert "NOT proven equivalent (Dice below 0.999 in" in told.out
    assert "not shown to be equivalent" in told.err
    assert "engines" not in json.loads((tmp_path / "other" / CARD_FILE).read_text())
