"""train, segment, evaluate and model as a user types them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "segmentation"))

from head_phantom import head_ct
from toy_bundle import SPEC, onnx_network, write_bundle

from la_outcomes.cli.main import run
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.ingest import ingest, rebuild

CARD = {
    "training": {
        "patients": 3,
        "simulated": True,
        "split": "patients are kept apart",
        "slice_spacing_mm": [5.0, 7.0],
    },
    "parity": {"equivalent": False, "reason": "0 cases", "dice_min": None, "cases": 0},
    "intended_use": "tests",
    "limits": "all",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image, la = head_ct(1)
    write_image(tmp_path / "head.nii.gz", image, dtype=np.int16)
    write_image(tmp_path / "la" / "head.nii.gz", Image(la.astype(np.uint8), image.affine))
    row = {"patient_id": "p1", "scan_id": "head", "modality": "CT", "path": "head.nii.gz"}
    pd.DataFrame([row]).to_csv(tmp_path / "scans.csv", index=False)
    write_bundle(tmp_path / "model", **CARD)
    return tmp_path


def _segment(folder: Path, model: str = "model", out: str = "out") -> int:
    return run(
        ["segment", str(folder / "scans.csv"), "--model", str(folder / model), "--out", str(folder / out)]
    )


def test_segment_then_evaluate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _segment(folder) == 0
    assert "1 done" in capsys.readouterr().out
    code = run(
        ["evaluate", str(folder / "out"), "--reference", str(folder / "la"), "--out", str(folder / "scores"),
         "--kind", "truth", "--name", "visible_la"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert code == 0
    assert "1 scans against truth visible_la" in printed
    assert "dsc: mean 0." in printed


def test_a_damaged_scan_ends_with_partly_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "head.nii.gz").write_bytes(b"nothing")
    assert _segment(folder) == 4
    assert "head: failed_input" in capsys.readouterr().err


def test_a_wrong_bundle_is_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model" / "weights.onnx").write_bytes(b"short")
    assert _segment(folder) == 3
    assert "cut short" in capsys.readouterr().err


def test_show_and_verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["model", "show", str(folder / "model")]) == 0
    assert "3 patients, simulated" in capsys.readouterr().out
    assert run(["model", "verify", str(folder / "model")]) == 0
    assert "agree" in capsys.readouterr().out


def test_training_without_labels_is_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", str(folder), "--out", str(folder / "new"), "--smoke", "--device", "cpu"]) == 3
    assert "run la-outcomes label first" in capsys.readouterr().err


def test_the_activated_model_is_current_and_stays_so_after_a_rebuild(folder: Path) -> None:
    write_bundle(folder / "wide", onnx_network(SPEC, low_hu=10, high_hu=26), name="wide", **CARD)
    _segment(folder)
    _segment(folder, "wide", "out-wide")
    registry = folder / "registry.duckdb"
    ingest([folder / "out"], registry)
    ingest([folder / "out-wide"], registry)
    assert _active(registry) == ["toy"]
    assert run(["model", "activate", "wide", "--registry", str(registry)]) == 0
    assert _active(registry) == ["wide"]
    rebuild([folder / "out", folder / "out-wide"], registry)
    assert _active(registry) == ["wide"]


def test_activating_an_unknown_model_is_bad_input(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _segment(folder)
    ingest([folder / "out"], folder / "registry.duckdb")
    assert run(["model", "activate", "nobody", "--registry", str(folder / "registry.duckdb")]) == 3
    assert "no model of this name" in capsys.readouterr().err


def _active(registry: Path) -> list[str]:
    with open_read_only(registry) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM models WHERE is_active").fetchall()]
