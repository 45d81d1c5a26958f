"""The benchmarks of labels run from the packaged template alone, and go on where they were stopped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from benchmarks.coregistration_bed import draw
from la_outcomes.segmentation.labels.coregistration import carry

ROOT = Path(__file__).resolve().parents[4]


def run(script: str, *arguments: object) -> str:
    """What a benchmark prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_bed_candidates_misalignments_and_infarcts(tmp_path: Path) -> None:
    bed, out = tmp_path / "bed", tmp_path / "out"
    run("coregistration_bed.py", "--bed", bed, "--pairs", 2)
    first = (bed / "pair000" / "ct.nii.gz").read_bytes()
    run("coregistration_bed.py", "--bed", bed, "--pairs", 2)
    assert (bed / "pair000" / "ct.nii.gz").read_bytes() == first
    methods = ("--methods", "default", "header alone", "--model", "wmh-flair-sim")
    printed = run("coregistration.py", "--bed", bed, "--out", out, *methods)
    rows = pd.read_csv(next(out.glob("coregistration_*.csv"))).set_index(["method", "pair"])
    assert (rows.loc["default"].brain_mm < 3).all()
    assert (rows.loc["header alone"].brain_mm > rows.loc["default"].brain_mm).all()
    assert "brain masks" in printed
    assert "of 2 random starts failed" in run("coregistration.py", "--bed", bed, "--out", out, "--starts", 2)
    assert "csf_shift_mm" in run("quality_control.py", "--bed", bed, "--out", out, "--misalignments", 6)
    swaps = run("quality_control.py", "--bed", bed, "--out", out, "--swaps")
    assert "csf_correlation" in swaps
    assert "wmh_lost_ml" in run("infarcts.py", "--bed", bed, "--out", out)
    assert "3 mm" in run("coregistration_limits.py", "--bed", bed, "--out", out)


def test_the_bed_knows_all_that_parts_its_two_scans() -> None:
    """Bend, pose and the scanner's distortion: leaving out any of them from the exact map makes it worse."""
    pair = draw(1, 1, None, None)
    parts = [pair.truth.GetNthTransform(n) for n in range(pair.truth.GetNumberOfTransforms())]
    assert len(parts) == 4

    def overlap(transform: sitk.Transform) -> float:
        carried, there = carry(pair.wmh_flair, pair.ct, transform).data, pair.wmh_ct.data
        return float(2 * np.minimum(carried, there).sum() / (carried.sum() + there.sum()))

    exact = overlap(pair.truth)
    for left_out in range(4):
        rest = sitk.CompositeTransform([part for place, part in enumerate(parts) if place != left_out])
        assert overlap(rest) < exact - 0.02
