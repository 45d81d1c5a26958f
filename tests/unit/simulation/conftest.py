"""A small head of simple shapes, for tests of what is drawn on a head and how it is scanned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from la_outcomes.simulation.anatomy import TEMPLATE, Anatomy, Tissue, load_anatomy
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.head import Head, build_head
from la_outcomes.simulation.pair import SimulatedPair, simulate_pair
from la_outcomes.simulation.parameters import Parameters, load_parameters
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec

_RADII = (
    (46, Tissue.SKIN),
    (44, Tissue.MUSCLE),
    (42, Tissue.CORTICAL_BONE),
    (39, Tissue.CSF),
    (37, Tissue.CORTEX),
    (33, Tissue.WHITE),
)


@pytest.fixture(scope="session")
def phantom() -> Anatomy:
    """Spheres in spheres: skin, bone, CSF, cortex, white matter, and two ventricles."""
    n = 100
    x, y, z = np.indices((n, n, n), dtype=np.float32) - n // 2
    radius = np.sqrt(x**2 + y**2 + z**2)
    tissue = np.zeros((n, n, n), dtype=np.uint8)
    for limit, kind in _RADII:
        tissue[radius <= limit] = kind
    for side in (-9, 9):
        tissue[((x - side) / 4) ** 2 + (y / 16) ** 2 + (z / 6) ** 2 <= 1] = Tissue.VENTRICLE
    affine = np.eye(4)
    affine[:3, 3] = -n // 2
    return Anatomy("phantom", tissue, np.zeros(tissue.shape, bool), affine, np.eye(4))


@pytest.fixture(scope="session")
def image_parameters() -> Parameters:
    """The packaged parameters, with few samples a slice."""
    parameters = load_parameters()
    parameters["image"]["ct"]["step_mm"] = parameters["image"]["flair"]["step_mm"] = 1.25
    return parameters


@pytest.fixture(scope="session")
def small_patient() -> PatientSpec:
    """A patient for the phantom: LA, an infarct, a tilted CT."""
    return PatientSpec(
        patient_id="small",
        age_years=75,
        tissue_volume_ml=12.0,
        visible_volume_ml=8.0,
        infarct_volume_ml=6.0,
        hours_from_onset=30.0,
        ct=CtSettings(pixel_spacing_mm=0.95, gantry_tilt_deg=15.0),
        flair=FlairSettings(pixel_spacing_mm=1.0),
    )


@pytest.fixture(scope="session")
def small_pair(phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters) -> SimulatedPair:
    """The phantom's scans."""
    return simulate_pair(phantom, small_patient, 3, image_parameters)


@pytest.fixture(scope="session")
def small_head(phantom: Anatomy) -> Head:
    """A patient's head, drawn from the phantom."""
    return build_head(phantom, PatientSpec(), stream(1, "head"), load_parameters()["image"]["head"])


@pytest.fixture(scope="session")
def template() -> Anatomy:
    """The embedded head."""
    return load_anatomy(TEMPLATE)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of public scans; skips where it is not set."""
    import os

    folder = os.environ.get("LA_OUTCOMES_REAL_DATA")
    if not folder:
        pytest.skip("LA_OUTCOMES_REAL_DATA is not set: no label maps and infarct masks to test on")
    return Path(folder)
