"""The invariants on real anatomies and a real infarct: volumes, transform, densities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.simulation.anatomy import PARENCHYMA, is_tissue, load_anatomy
from la_outcomes.simulation.ct import head_hu
from la_outcomes.simulation.pair import draw_patient, simulate_pair
from la_outcomes.simulation.parameters import Parameters
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec

LPS = np.array([-1.0, -1.0, 1.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wmh_ml"), [("training_seg_03", 8.0), ("training_seg_09", 30.0), ("training_seg_15", 100.0)]
)
def test_truth_holds_on_a_real_head(
    real_data: Path, image_parameters: Parameters, name: str, wmh_ml: float
) -> None:
    mask = sorted((real_data / "infarcts").glob("*_lesion.nii.gz"))[5]
    patient = PatientSpec(
        f"real-{name}", 74, wmh_ml, 0.7 * wmh_ml, 20.0, 60.0,
        infarct_mask=str(mask), old_infarct_volume_ml=5.0,
        ct=CtSettings(pixel_spacing_mm=0.95, gantry_tilt_deg=-18.0, lower_slice_thickness_mm=3.0),
        flair=FlairSettings(pixel_spacing_mm=1.2),
    )  # fmt: skip
    anatomy = load_anatomy(name, real_data / "anatomies")
    pair = simulate_pair(anatomy, patient, 1, image_parameters)
    for image, truth, tolerance in (
        (pair.tissue_ct, wmh_ml, 0.02),
        (pair.visible_ct, 0.7 * wmh_ml, 0.02),
        (pair.wmh_flair, wmh_ml, 0.05),
        (pair.infarct_ct, pair.infarct_volume_ml + pair.old_infarct_volume_ml, 0.02),
    ):
        assert volume_ml(image.data, image.affine) == pytest.approx(truth, rel=tolerance)
    assert pair.infarct_volume_ml == pytest.approx(20.0, rel=1e-3)
    brain = np.argwhere(is_tissue(pair.head.tissue, PARENCHYMA))
    places = brain[np.random.default_rng(0).integers(len(brain), size=100)] + pair.head.affine[:3, 3]
    for place in places:
        ct = (np.linalg.inv(pair.ct_pose) @ [*place, 1])[:3]
        shown = pair.flair_grid.to_head().TransformPoint(pair.ct_to_flair.TransformPoint((ct * LPS).tolist()))
        assert np.linalg.norm(np.array(shown) * LPS - place) < 0.1
    drawn = draw_patient(anatomy, patient, 1, image_parameters["image"])
    rng = drawn.stream("ct tissue")
    hu = head_hu(drawn.head, drawn.lesions, patient, rng, image_parameters["image"])
    assert 11 <= np.median(hu[drawn.lesions.wmh.visible > 0.95]) <= 24
    assert 10 <= np.median(hu[drawn.lesions.infarct > 0.99]) <= 28
    assert 5 <= np.median(hu[drawn.lesions.old_infarct > 0.99]) <= 20
