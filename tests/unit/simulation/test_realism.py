"""The benchmarks of likeness: they measure what they say, on scans and patients of known properties."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from benchmark_scripts import load_script

from la_outcomes.simulation.ct import _coloured_noise
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.pair import SimulatedPair


@pytest.fixture(scope="module")
def scans() -> ModuleType:
    return load_script("realism")


@pytest.fixture(scope="module")
def people() -> ModuleType:
    return load_script("realism_population")


@pytest.mark.parametrize("peak", [0.15, 0.25])
def test_the_noise_spectrum_finds_the_peak_of_known_noise(scans: ModuleType, peak: float) -> None:
    noise = _coloured_noise((160, 160, 6), 0.5, peak, stream(1, "noise"))
    found = scans.noise_spectrum(noise, np.ones(noise.shape, bool), 0.5)
    assert found["noise peak, 1/mm"] == pytest.approx(peak, abs=0.07)
    assert found["noise mean frequency, 1/mm"] > 0.8 * peak


def test_curves_of_a_scan_show_its_skull_and_its_slices(scans: ModuleType, small_pair: SimulatedPair) -> None:
    distance, hu = scans._edge_profile(
        small_pair.ct.data.astype(np.float32), _inside(small_pair), float(small_pair.ct.spacing_mm[0])
    )
    assert hu[distance < -3].max() < 100 < 400 < hu[distance > 1.5].max()
    curve = scans._slice_profile(small_pair.ct.data.astype(np.float32), _inside(small_pair), small_pair.ct)
    assert curve[0][0] == pytest.approx(5.0, abs=0.01)


def _inside(pair: SimulatedPair) -> np.ndarray:
    """A ball within the phantom's skull, on the CT's grid."""
    index = np.indices(pair.ct.shape).reshape(3, -1)
    head = (pair.ct_pose @ pair.ct.affine)[:3] @ np.vstack([index, np.ones(index.shape[1])])
    return np.asarray((np.linalg.norm(head, axis=0) < 39).reshape(pair.ct.shape))


def test_relations_of_known_patients(people: ModuleType, tmp_path: Path) -> None:
    table = tmp_path / "participants.tsv"
    rows = {
        "participant_id": [f"sub-{i}" for i in range(8)],
        "sex": list("MFMFMFMF"),
        "age": ["50", "60", "70", "80", "89+", "n/a", "55", "65"],
        "nihss": ["0", "2", "6", "12", "20", "3", "n/a", "8"],
        "gs_rankin_6isdeath": ["0", "1", "2", "3", "6", "1", "2", "2"],
    }
    pd.DataFrame(rows).to_csv(table, sep="\t", index=False)
    real = people.real_patients(table, None)
    figures = people.relations(real.assign(infarct=np.arange(8.0)))
    assert figures["female, %"] == 50
    assert figures["Spearman nihss-mrs"] > 0.9
    assert figures["died in hospital, %"] == pytest.approx(100 / 8)
    strata = people.mrs_by_nihss(real)
    assert list(strata["n"]) == [3, 2, 1, 1]
    assert strata.loc["16+", "mRS 0-2, %"] == 0


def test_simulated_patients_have_more_wmh_and_less_brain_with_age(people: ModuleType) -> None:
    simulated = people.simulated_patients(3000, 1)
    wmh, brain = people.slopes(simulated).values()
    assert 0.2 < wmh < 1.5
    assert -5 < brain < -1
    spearman = people.relations(simulated)["Spearman nihss-mrs"]
    assert 0.3 < spearman < 0.6


@pytest.mark.slow
def test_the_population_benchmark_runs_on_the_public_cohort(
    people: ModuleType,
    real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [str(real_data / "soop" / "participants.tsv"), "--out", str(tmp_path), "--patients", "2000"]
    monkeypatch.setattr(sys, "argv", ["realism_population.py", *arguments])
    people.main()
    assert "Spearman nihss-mrs" in capsys.readouterr().out
    assert (tmp_path / "realism_population.png").stat().st_size > 5000


@pytest.mark.slow
def test_the_benchmark_of_scans_runs_on_a_simulated_scan(
    scans: ModuleType,
    real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from la_outcomes.simulation.cohort import simulate_cohort

    simulate_cohort(tmp_path / "c", {"training": 1}, 3)
    ct = next((tmp_path / "c" / "images").rglob("ct.nii.gz"))
    flair = str(real_data / "flair_healthy" / "FLAIR.nii.gz")
    arguments = [str(ct), "--flair", flair, "--out", str(tmp_path), "--patients", "1"]
    monkeypatch.setattr(sys, "argv", ["realism.py", *arguments])
    scans.main()
    assert "noise SD, HU" in capsys.readouterr().out
    for name in ("realism.csv", "realism.png", "mixed_slices.png"):
        assert (tmp_path / name).stat().st_size > 200
