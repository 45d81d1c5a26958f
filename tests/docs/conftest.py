"""What the pages' examples start from: a small demo, heads with DICOM, phantom scans, a model."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from head_phantom import head_ct
from toy_bundle import write_bundle

from la_outcomes.imaging.nifti import write_image
from la_outcomes.registry.ingest import ingest
from la_outcomes.simulation.cohort import simulate_cohort, simulate_without_images
from la_outcomes.simulation.outputs import Outputs

DEMO = "LA_OUTCOMES_DEMO"  # folder of a finished demo, as CI has one


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled, once for all test processes of this run."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / name
    with open(shared / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = shared / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated patients with coarse CT and FLAIR, as NIfTI and DICOM."""

    def make(folder: Path) -> None:
        simulate_cohort(
            folder,
            {"training": 1, "internal_validation": 1},
            4,
            preset="small",
            outputs=Outputs("plain", True),
        )

    return made_once(tmp_path_factory, "heads", make)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, heads: Path) -> Path:
    """The demo's folder: the finished one that LA_OUTCOMES_DEMO names, else a small one without a model."""
    if finished := os.environ.get(DEMO):
        return Path(finished).resolve()

    def make(folder: Path) -> None:
        shutil.copytree(heads, folder / "scans", ignore=shutil.ignore_patterns("dicom"))
        simulate_without_images(folder / "clinical", {"clinical": 150, "external_test": 30}, 4)
        ingest([folder / "scans", folder / "clinical"], folder / "registry.duckdb")

    return made_once(tmp_path_factory, "demo", make)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve phantom CTs with little to much LA and their scans.csv, and a model that finds it by its HU."""

    def make(folder: Path) -> None:
        rows = []
        for number in range(12):
            image, _ = head_ct(number, la_ml_factor=0.3 + number % 3)
            write_image(folder / "cts" / f"h{number:02d}.nii.gz", image, dtype=np.int16)
            name = f"h{number:02d}"
            rows.append(
                {"patient_id": name, "scan_id": f"{name}-ct", "modality": "CT", "path": f"cts/{name}.nii.gz"}
            )
        pd.DataFrame(rows).to_csv(folder / "scans.csv", index=False)
        write_bundle(folder / "toy")

    return made_once(tmp_path_factory, "phantoms", make)
