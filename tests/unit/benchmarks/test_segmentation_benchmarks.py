"""The scripts that compare configurations, engines and steps: their sums, and one run on phantom heads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_scripts import load_script
from head_phantom import head_ct, write_labels
from toy_bundle import write_bundle

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation.inference import segment_scans
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training import recipes


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs on disk as the simulator lays them, their labels, SCANS.csv and PAIRS.csv."""
    folder = tmp_path_factory.mktemp("heads")
    rows = []
    for number in range(4):
        image, la = head_ct(number, la_ml_factor=0.4 + number % 3 / 2)
        mask = Image(la.astype(np.uint8), image.affine)
        place = folder / f"p{number}"
        write_image(place / "ct.nii.gz", image, dtype=np.int16)
        for name in ("flair", "truth_wmh_flair", "truth_tissue_ct", "truth_visible_ct"):
            write_image(place / f"{name}.nii.gz", mask)
        write_image(folder / "labels" / f"p{number}-ct.nii.gz", mask)
        rows.append(
            {
                "patient_id": f"p{number}",
                "cohort": "external_test",
                "ct_scan_id": f"p{number}-ct",
                "ct_path": f"p{number}/ct.nii.gz",
                "flair_scan_id": f"p{number}-flair",
                "flair_path": f"p{number}/flair.nii.gz",
                "anatomy": "phantom",
            }
        )
    pairs = pd.DataFrame(rows)
    pairs.to_csv(folder / "pairs.csv", index=False)
    scans = pairs[["patient_id", "cohort"]].assign(
        scan_id=pairs["ct_scan_id"], modality="CT", path=pairs["ct_path"]
    )
    scans.to_csv(folder / "scans.csv", index=False)
    return folder


def test_the_cheapest_that_is_hardly_worse_is_chosen() -> None:
    table = pd.DataFrame(
        {
            "configuration": ["best", "nearly", "cheap"],
            "behind the best": [0.0, 0.009, 0.02],
            "network, CPU s": [3.0, 2.0, 1.0],
        }
    )
    assert load_script("configurations").cheapest(table) == "nearly"


def test_differences_to_the_best_are_paired_by_scan() -> None:
    scores = pd.DataFrame(
        {
            "scan_id": ["a", "b", "c"] * 2,
            "configuration": ["x"] * 3 + ["y"] * 3,
            "dsc": [0.5, 0.7, None, 0.4, 0.6, 0.0],
            "predicted_ml": [4.0, 8.0, 0.0, 4.0, 8.0, 1.0],
            "truth_ml": [4.0, 8.0, 0.0, 5.0, 9.0, 0.0],
            "network_seconds": [1.0] * 3 + [2.0] * 3,
            "other_seconds": [0.5] * 6,
        }
    )
    table = load_script("configurations").summary(scores).set_index("configuration")
    assert list(table.index) == ["x", "y"]
    assert table.loc["y", "behind the best"] == pytest.approx(0.1)
    assert table.loc["y", "SE"] == pytest.approx(0.0, abs=1e-9)
    assert table.loc["x", "CCC"] == pytest.approx(1.0)
    assert table.loc["y", "from file to overlay, CPU s"] == pytest.approx(2.5)


def test_resamples_of_heads_say_how_firm_the_choice_is() -> None:
    rng = np.random.default_rng(0)
    heads = [f"h{number}" for number in range(40)]
    dear, noise = rng.uniform(0.4, 0.6, 40), rng.normal(0, 0.05, 40)
    at_the_limit = dear + noise - noise.mean() - 0.01
    dice = {"dear": dear, "cheap": at_the_limit, "bad": dear - 0.2}
    seconds = {"dear": 2.0, "cheap": 1.0, "bad": 0.5}
    scores = pd.concat(
        pd.DataFrame(
            {"scan_id": heads, "configuration": name, "dsc": values, "network_seconds": seconds[name]}
        )
        for name, values in dice.items()
    )
    shares = load_script("configurations").chosen_share(scores)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["bad"] == 0
    assert 0.4 < shares["cheap"] < 0.6


def test_heads_of_a_bed_are_those_with_la(tmp_path: Path) -> None:
    for number, visible in enumerate((0.0, 3.5, 8.0, 1.0)):
        (tmp_path / f"{number:04d}").mkdir()
        row = json.dumps({"visible_la_volume_ml": visible})
        (tmp_path / f"{number:04d}" / "row.json").write_text(row)
    (tmp_path / "0009").mkdir()  # drawn in part: its row is not there yet
    script = load_script("configurations")
    cases = script.bed_cases(tmp_path, 2)
    assert [case.scan_id for case in cases] == ["bed-0001", "bed-0002"]
    assert script.visible_truth(cases[0].path).name == "truth_visible_ct.nii.gz"
    (tmp_path / "0001" / "visible_ct.nii.gz").touch()
    assert script.visible_truth(cases[0].path).name == "visible_ct.nii.gz"


def test_three_steps_of_perfect_labels_and_a_threshold(
    heads: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segment_scans(heads / "scans.csv", write_bundle(tmp_path / "model"), tmp_path / "out")
    load_script("three_steps").main([str(heads / "pairs.csv"), str(heads), str(tmp_path / "out")])
    told = capsys.readouterr().out
    lines = {line.split("|")[1].strip(): line for line in told.splitlines() if line.startswith("|")}
    assert "4 heads of 1 anatomies" in told
    assert "| 1.000 | 1.000 |" in lines["label, all WMH drawn on CT"]
    assert float(lines["prediction, label"].split("|")[-3]) > 0.6


@pytest.mark.slow
def test_configurations_are_trained_scored_and_chosen(
    heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = {
        name: recipes.Configuration(InputSpec(64, 3.0), (8, 8, width), 2)
        for name, width in (("a", 16), ("b", 8))
    }
    monkeypatch.setattr(recipes, "CONFIGURATIONS", tiny)
    labels = write_labels(tmp_path / "labels", ["training", "training", "internal_validation"])
    arguments = [str(labels), str(heads / "scans.csv"), "--out", str(tmp_path / "out")]
    arguments += ["--epochs", "1", "--iterations", "2", "--only", "a", "b", "--cohort", "external_test"]
    load_script("configurations").main(arguments)
    told = capsys.readouterr().out
    assert "4 heads of external_test" in told
    assert "cheapest within 0.01 of the best: " in told
    assert "4 samples of 2 heads" in told
    assert "chosen in 2,000 resamples of the heads: " in told
    scores = pd.read_csv(tmp_path / "out" / "scores-external_test.csv")
    assert len(scores) == 8
    go_on = [*arguments[:3], str(tmp_path / "longer"), "--start", str(tmp_path / "out"), *arguments[4:]]
    load_script("configurations").main([*go_on, "--only", "a"])
    assert "4 samples more of 2 heads" in capsys.readouterr().out
    engine = load_script("inference")
    engine.main([str(tmp_path / "out" / "a"), str(heads / "p0" / "ct.nii.gz"), "--engines"])
    told = capsys.readouterr().out
    assert "times faster than nnU-Net's predictor" in told
    assert "| all of it |" in told
    assert "| onnxruntime |" in told
    peak_gb = float(told.split("peak memory ")[1].split()[0])
    assert 0.05 < peak_gb < 2
