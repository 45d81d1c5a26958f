"""The other look and the sums of ``benchmarks/fine_tuning.py``; what ``benchmarks/not_heads.py`` draws."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmark_scripts import load_script
from head_phantom import head_ct
from pair_phantom import make_pair
from toy_bundle import write_bundle

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image


def test_the_other_look_is_brighter_flatter_and_noisier() -> None:
    flat = Image(np.full((60, 60, 8), 10.0, np.float32), np.diag([1.0, 1.0, 5.0, 1.0]))
    found = load_script("fine_tuning").another_look(flat, 1).data
    assert found.mean() == pytest.approx(4 + 10 + 0.15 * 20, abs=0.3)
    assert found.std() == pytest.approx(4, rel=0.1)
    assert found.dtype == np.int16


def test_own_pairs_come_from_training_cohorts_and_test_scans_do_not(tmp_path: Path) -> None:
    cohorts = ["training"] * 5 + ["internal_validation"] * 2 + ["external_test"] * 3
    scans, pairs = [], []
    for number, cohort in enumerate(cohorts):
        image = head_ct(number)[0]
        write_image(tmp_path / "scans" / f"{number}" / "ct.nii.gz", image, dtype=np.int16)
        name = {"patient_id": f"p{number}", "cohort": cohort}
        scans.append({**name, "scan_id": f"c{number}", "modality": "CT", "path": f"{number}/ct.nii.gz"})
        pair = {"ct_scan_id": f"c{number}", "ct_path": f"{number}/ct.nii.gz", "wmh_mask_path": ""}
        pairs.append({**name, **pair, "flair_scan_id": f"f{number}", "flair_path": f"{number}/flair.nii.gz"})
    for kind, rows in (("scans", scans), ("pairs", pairs)):
        pd.DataFrame(rows).to_csv(tmp_path / "scans" / f"{kind}.csv", index=False)
    asked = argparse.Namespace(scans=tmp_path / "scans", out=tmp_path / "out", pairs=5, test=2)
    folder = load_script("fine_tuning").draw(asked)
    own, test = (pd.read_csv(folder / f"{name}.csv") for name in ("own_pairs", "test_scans"))
    assert own["cohort"].tolist() == ["internal_validation"] + ["training"] * 4
    assert test["cohort"].tolist() == ["external_test"] * 2
    assert own["wmh_mask_path"].isna().all()
    before, after = read_image(tmp_path / "scans" / "7" / "ct.nii.gz"), read_image(Path(test["path"][0]))
    assert after.shape == before.shape
    assert (after.data != before.data).mean() > 0.5


def test_the_summary_tells_what_changed() -> None:
    script = load_script("fine_tuning")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(8):
        for model, gain in (("as shipped", 0.0), ("tuned", 0.1)):
            true = 5.0 + number
            found = true + (4 if model == "as shipped" else 1) + rng.normal(0, 0.1)
            rows.append({"scan_id": f"s{number}", "truth": "all WMH", "true_ml": true, "dsc": 0.4 + gain,
                         "found_ml": found, "model": model})  # fmt: skip
    table = script.summary(pd.DataFrame(rows)).set_index("model")
    assert table.loc["tuned", "mean error, mL"] == pytest.approx(1, abs=0.1)
    assert table.loc["tuned", "CCC"] > table.loc["as shipped", "CCC"]
    told = script.paired(pd.DataFrame(rows))
    assert "dsc +0.100 (SE 0.000, n 8)" in told
    assert "error -3.0" in told or "error -2.9" in told


def test_what_is_plainly_no_head_is_refused_without_a_network(tmp_path: Path) -> None:
    script = load_script("not_heads")
    from la_outcomes.segmentation.bundle import load_bundle

    bundle = load_bundle(write_bundle(tmp_path / "model"))
    for name in ("water phantom", "chest", "abdomen", "thighs", "neck"):
        measured, told = script.verdict(script.PHANTOMS[name](), bundle)
        assert not measured
        assert "no head" in told
    assert script.verdict(head_ct(1)[0], bundle)[0]


def test_an_mri_is_disguised_in_three_ways() -> None:
    mri = make_pair().flair
    seen = dict(load_script("not_heads").disguises(mri))
    assert (seen["as it is"].data == mri.data).all()
    assert seen["at 30 with air"].data.min() == -1000
    assert (seen["without skull"].data == 0).mean() > 0.3
