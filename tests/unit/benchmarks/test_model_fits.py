"""Fits and sums of ``benchmarks/model_fits.py`` on drawn figures, and the rows of a phantom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_scripts import load_script
from head_phantom import head_ct
from toy_bundle import write_bundle, write_tissue_bundle

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import load_bundle, read_card
from la_outcomes.segmentation.domain import FIGURES
from la_outcomes.segmentation.measurement import HeadMeasurement


def drawn_rows(model: str, n: int, seed: int) -> pd.DataFrame:
    """Rows as ``benchmarks/models.py`` writes them: CT shows half of what MRI shows."""
    rng = np.random.default_rng(seed)
    tissue = rng.lognormal(2, 1, n)
    visible = tissue * 0.5
    predicted = visible * rng.lognormal(0, 0.2, n)
    rows = pd.DataFrame(
        {
            "head": [f"h{k}" for k in range(n)],
            "anatomy": [f"a{k % 2}" for k in range(n)],
            "tissue_volume_ml": tissue,
            "visible_la_volume_ml": visible,
            "predicted_ml": predicted,
            "sure_ml": predicted * 0.8,
            "possible_ml": predicted * 1.2,
            "brain_volume_ml": 1200.0,
            "brain_found_ml": rng.normal(1212, 1, n),
            "inside_true_ml": 1400.0,
            "inside_thresholds_ml": 1450.0,
            "inside_network_ml": 1410.0,
            "inside_thresholds_dice": 0.95,
            "inside_network_dice": 0.97,
            "infarct_true_ml": np.where(rng.random(n) < 0.5, 0.0, 20.0),
            "infarct_found_ml": 0.5,
            "infarct_dice": 0.6,
            "model_sha256": model,
        }
    )
    typical = (0.97, 0.85, 0.05, 0.12, 30.0, 20.0)
    for name, value in zip(FIGURES, typical, strict=True):
        rows[f"figure_{name}"] = value * (1 + 0.01 * rng.normal(size=n))
    return rows


def test_a_card_is_fitted_on_some_heads_and_held_against_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fits = load_script("model_fits")
    bundle = write_bundle(tmp_path / "model", name="toy", training={"slice_spacing_mm": [1.0, 8.0]})
    model = load_bundle(bundle).model_sha256
    for name, n, seed in (("validation", 60, 1), ("test", 100, 2)):
        drawn_rows(model, n, seed).to_csv(tmp_path / f"{name}.csv", index=False)
    fits.main(["fit", "--rows", str(tmp_path / "validation.csv"), "--bundle", str(bundle)])
    assert "fitted on 60 heads; brain mask by the network" in capsys.readouterr().out
    card = read_card(bundle)
    assert load_bundle(bundle).model_sha256 == model
    assert card["interval"]["anatomies"] == 2
    assert card["brain"]["measured"]["thresholds"]["icv_error_mean"] == pytest.approx(50 / 1400, abs=1e-3)
    fits.main(["report", "--rows", str(tmp_path / "test.csv"), "--bundle", str(bundle)])
    told = capsys.readouterr().out
    shown = float(told.split("visible LA volume in ")[1].split(" %")[0])
    assert 85 < shown <= 100
    before, after = (float(part.split(",")[0]) for part in told.split("calibration: CCC ")[1:])
    assert before < 0.75 < 0.9 < after
    assert "refused 0.0 %" in told
    assert "brain volume by shares: mean error +1.0 %" in told


def test_a_worse_brain_does_not_take_the_thresholds_place() -> None:
    rows = drawn_rows("m", 30, 1).assign(inside_network_dice=0.94)
    assert load_script("model_fits").brain_section(rows)["mask"] == "thresholds"


def test_rows_of_another_model_are_refused(tmp_path: Path) -> None:
    drawn_rows("other", 30, 1).to_csv(tmp_path / "rows.csv", index=False)
    asked = ["report", "--rows", str(tmp_path / "rows.csv"), "--bundle", str(write_bundle(tmp_path / "m"))]
    with pytest.raises(SystemExit, match="another model"):
        load_script("model_fits").main(asked)


def test_a_heads_facts_are_those_of_its_maps(tmp_path: Path) -> None:
    image, _ = head_ct(3)
    inside = ct_brain(image).intracranial
    nothing = Image(np.zeros(image.shape, np.uint8), image.affine)
    for name in ("acute_ct", "old_ct"):
        write_image(tmp_path / f"{name}.nii.gz", nothing)
    write_image(tmp_path / "brain_ct.nii.gz", Image(inside.astype(np.uint8), image.affine))
    bands = {"la": (13.0, 24.0), "infarct": (-4.0, 2.0), "brain": (-20.0, 79.0), "parenchyma": (12.0, 60.0)}
    card = {"brain": {"mask": "network"}}
    bundle = load_bundle(write_tissue_bundle(tmp_path / "model", bands, **card))
    rows = load_script("model_rows")
    measured = HeadMeasurement(image, bundle)
    row = rows.ct_facts(measured, measured.segmentation(), rows.lost_of(tmp_path, "ct"), tmp_path)
    assert row["inside_thresholds_dice"] == 1.0
    assert 0.95 < row["inside_network_dice"] < 1.0
    assert row["infarct_true_ml"] == 0.0
    assert 0 <= row["sure_ml"] < row["possible_ml"]
    assert row["brain_mask_ml"] < row["inside_true_ml"]
