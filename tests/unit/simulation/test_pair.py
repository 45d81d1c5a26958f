"""One patient's scans: truth, transform, Hounsfield units, repeatability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.simulation.anatomy import Anatomy, Tissue
from la_outcomes.simulation.ct import head_hu, reconstruction
from la_outcomes.simulation.pair import DrawnPatient, SimulatedPair, draw_patient, simulate_pair, take_flair
from la_outcomes.simulation.parameters import Parameters, load_parameters
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec

LPS = np.array([-1.0, -1.0, 1.0])


def test_volumes_recomputed_from_the_masks_equal_the_truth(
    small_pair: SimulatedPair, small_patient: PatientSpec
) -> None:
    assert small_pair.tissue_volume_ml == pytest.approx(small_patient.tissue_volume_ml, rel=1e-3)
    assert small_pair.visible_la_volume_ml == pytest.approx(8.0, rel=2e-3)
    assert small_pair.infarct_volume_ml == pytest.approx(6.0, rel=1e-3)
    for image, truth, tolerance in (
        (small_pair.tissue_ct, small_pair.tissue_volume_ml, 0.01),
        (small_pair.visible_ct, small_pair.visible_la_volume_ml, 0.01),
        (small_pair.infarct_ct, small_pair.infarct_volume_ml, 0.01),
        # the FLAIR's distortion stretches what it shows
        (small_pair.wmh_flair, small_pair.tissue_volume_ml, 0.05),
        (small_pair.infarct_flair, small_pair.infarct_volume_ml, 0.05),
    ):
        assert volume_ml(image.data, image.affine) == pytest.approx(truth, rel=tolerance)


def test_truth_lies_on_the_grid_of_its_scan(small_pair: SimulatedPair) -> None:
    for truth, scan in (
        (small_pair.visible_ct, small_pair.ct),
        (small_pair.wmh_flair, small_pair.flair),
        (small_pair.infarct_flair, small_pair.flair),
    ):
        assert truth.shape == scan.shape
        assert np.array_equal(truth.affine, scan.affine)


def test_the_transform_maps_landmarks_of_the_head(small_pair: SimulatedPair) -> None:
    for landmark in ([0, 0, 0], [20, -14, 9], [-30, 22, 25]):
        ct = (np.linalg.inv(small_pair.ct_pose) @ [*landmark, 1])[:3]
        mapped = small_pair.ct_to_flair.TransformPoint((ct * LPS).tolist())
        # what the FLAIR shows there, by the way in which it was sampled
        shown = np.array(small_pair.flair_grid.to_head().TransformPoint(mapped)) * LPS
        assert np.linalg.norm(shown - landmark) < 0.1


def _centre(image: Image) -> np.ndarray:
    share = image.data / image.data.sum()
    index = [
        np.tensordot(share.sum(axis=tuple({0, 1, 2} - {a})), np.arange(n), 1)
        for a, n in enumerate(image.shape)
    ]
    return np.asarray((image.affine @ [*index, 1])[:3])


def test_the_transform_carries_the_lesions_seen_on_ct_onto_those_on_flair(small_pair: SimulatedPair) -> None:
    mapped = (
        np.array(small_pair.ct_to_flair.TransformPoint((_centre(small_pair.tissue_ct) * LPS).tolist())) * LPS
    )
    assert np.linalg.norm(mapped - _centre(small_pair.wmh_flair)) < 0.1
    lost = (
        np.array(small_pair.ct_to_flair.TransformPoint((_centre(small_pair.infarct_ct) * LPS).tolist())) * LPS
    )
    assert np.linalg.norm(lost - _centre(small_pair.infarct_flair)) < 0.1


def test_the_same_seed_gives_the_same_scans_and_another_seed_others(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters, small_pair: SimulatedPair
) -> None:
    again = simulate_pair(phantom, small_patient, 3, image_parameters)
    assert again.ct.data.tobytes() == small_pair.ct.data.tobytes()
    assert again.flair.data.tobytes() == small_pair.flair.data.tobytes()
    other = simulate_pair(phantom, small_patient, 4, image_parameters)
    assert other.ct.data.tobytes() != small_pair.ct.data.tobytes()


def test_what_the_ct_is_like_does_not_change_the_head(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters, small_pair: SimulatedPair
) -> None:
    changed = replace(small_patient, ct=CtSettings("Canon", "FC26", 100.0, 3.0, 3.0, 0.95, -5.0))
    other = simulate_pair(phantom, changed, 3, image_parameters)
    assert np.array_equal(other.head.tissue, small_pair.head.tissue)
    assert other.flair.data.tobytes() == small_pair.flair.data.tobytes()
    assert other.ct.spacing_mm[2] < small_pair.ct.spacing_mm[2]


def _hu(drawn: DrawnPatient, parameters: Parameters) -> np.ndarray:
    return head_hu(drawn.head, drawn.lesions, drawn.patient, drawn.stream("ct tissue"), parameters["image"])


def test_hounsfield_units_before_the_scanner_lie_in_the_design_s_ranges(
    phantom: Anatomy, image_parameters: Parameters
) -> None:
    """120 kV, no vendor's offset: medians over 8 patients of tissues away from their edges."""
    kinds = {"white": Tissue.WHITE, "cortex": Tissue.CORTEX, "ventricle": Tissue.VENTRICLE}
    found: dict[str, list[float]] = {name: [] for name in (*kinds, "LA", "infarct", "old")}
    for seed in range(8):
        patient = PatientSpec(f"p{seed}", 70, 15.0, 12.0, 8.0, 96.0, old_infarct_volume_ml=4.0)
        drawn = draw_patient(phantom, patient, seed, image_parameters["image"])
        hu, lesions = _hu(drawn, image_parameters), drawn.lesions
        clear = (lesions.wmh.visible == 0) & (lesions.any_infarct == 0)
        for name, kind in kinds.items():
            inner = ndimage.binary_erosion((drawn.head.tissue == kind) & clear)
            found[name].append(float(np.median(hu[inner])))
        found["LA"].append(float(np.median(hu[lesions.wmh.visible > 0.95])))
        found["infarct"].append(float(np.median(hu[lesions.infarct > 0.99])))
        found["old"].append(float(np.median(hu[lesions.old_infarct > 0.99])))
    mean = {name: np.mean(values) for name, values in found.items()}
    assert 28 <= mean["white"] <= 31
    assert 35 <= mean["cortex"] <= 40
    assert 4 <= mean["ventricle"] <= 8
    assert mean["LA"] == pytest.approx(17.5, abs=4.7)
    assert mean["infarct"] == pytest.approx(18.9, abs=6.4)
    assert mean["old"] == pytest.approx(11.9, abs=5.9)


def test_an_infarct_darkens_with_the_hours(phantom: Anatomy, image_parameters: Parameters) -> None:
    values = []
    for hours in (0.5, 6.0, 48.0):
        patient = PatientSpec("p", 70, 0.0, None, 20.0, hours_from_onset=hours)
        drawn = draw_patient(phantom, patient, 1, image_parameters["image"])
        values.append(float(_hu(drawn, image_parameters)[drawn.lesions.infarct > 0.9].mean()))
    assert values[0] > values[1] + 2 > values[2] + 4


def test_an_old_infarct_is_in_the_maps_and_not_in_the_infarct_s_volume(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters
) -> None:
    with_old = replace(small_patient, old_infarct_volume_ml=5.0)
    pair = simulate_pair(phantom, with_old, 3, image_parameters)
    assert pair.infarct_volume_ml == pytest.approx(6.0, rel=1e-3)
    both = volume_ml(pair.infarct_ct.data, pair.infarct_ct.affine)
    assert both == pytest.approx(6.0 + pair.old_infarct_volume_ml, rel=0.02)
    assert 2.5 < pair.old_infarct_volume_ml <= 5.001


def test_an_infarct_that_a_scan_does_not_show_is_not_in_its_map(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters
) -> None:
    hidden = replace(small_patient, infarct_on_ct=False)
    pair = simulate_pair(phantom, hidden, 3, image_parameters)
    assert pair.infarct_ct.data.sum() == 0
    assert pair.infarct_flair.data.sum() > 0
    assert pair.infarct_volume_ml == pytest.approx(6.0, rel=1e-3)


def test_the_ct_looks_like_a_ct(small_pair: SimulatedPair) -> None:
    ct = small_pair.ct
    assert ct.data.dtype == np.int16
    assert ct.data.min() == -1024
    assert ct.data.max() > 700
    white = (small_pair.tissue_ct.data == 0) & (np.abs(ct.data - 30) < 25)
    assert 15 < np.median(ct.data[white]) < 40


def test_every_scanner_of_the_clinical_simulation_can_be_taken() -> None:
    parameters = load_parameters()
    for vendor, scanner in parameters["clinical"]["scanners"].items():
        for kernel in scanner["kernels"]:
            found = reconstruction(CtSettings(vendor, kernel), parameters["image"]["ct"])
            assert 0.2 < found["psf_mm"] < 0.8
            assert 2.0 < found["noise_hu_at_5_mm"] < 5.0
    for kvp in parameters["clinical"]["kvp"]:
        assert kvp in parameters["image"]["ct"]["kvp_factor"]


def test_a_soft_kernel_is_smoother_than_a_sharp_one(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters
) -> None:
    spread = []
    for vendor, kernel in (("GE", "SOFT"), ("Canon", "FC64")):
        asked = replace(small_patient, ct=replace(small_patient.ct, manufacturer=vendor, kernel=kernel))
        ct = simulate_pair(phantom, asked, 3, image_parameters).ct.data.astype(float)
        brain = (ct > 15) & (ct < 50)
        spread.append(float(np.abs(np.diff(ct, axis=0))[brain[1:]].mean()))
    assert spread[0] < 0.8 * spread[1]


def test_pixels_grow_where_they_would_cut_the_skull_off(template: Anatomy) -> None:
    from la_outcomes.simulation.ct import ct_grid
    from la_outcomes.simulation.fields import stream
    from la_outcomes.simulation.head import build_head

    image = load_parameters()["image"]
    head = build_head(template, PatientSpec(icv_ml=1800), stream(1, "h"), image["head"])
    grid = ct_grid(head, CtSettings(pixel_spacing_mm=0.3), stream(1, "c"), image["ct"])
    assert grid.shape[:2] == (512, 512)
    assert 0.33 < grid.affine[0, 0] < 0.55


def test_a_stripped_flair_is_dark_outside_the_brain(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters
) -> None:
    stripped = replace(small_patient, flair=FlairSettings(pixel_spacing_mm=1.0, has_skull=False))
    drawn = draw_patient(phantom, stripped, 3, image_parameters["image"])
    whole = draw_patient(phantom, small_patient, 3, image_parameters["image"])
    share = [
        float((take_flair(one, image_parameters["image"]).image.data > 120).mean()) for one in (drawn, whole)
    ]
    assert share[0] < 0.8 * share[1]


def test_wmh_is_bright_on_flair_and_fluid_dark(small_pair: SimulatedPair) -> None:
    flair, wmh = small_pair.flair.data.astype(float), small_pair.wmh_flair.data
    brain = np.median(flair[flair > np.percentile(flair, 70)])
    assert np.median(flair[wmh > 0.9]) > 1.15 * brain


@pytest.mark.parametrize(
    ("ct", "message"),
    [
        (CtSettings(manufacturer="Acme"), "Acme"),
        (CtSettings(kvp=90.0), "90 kV"),
        (CtSettings(kernel="Q"), "kernel"),
    ],
)
def test_unknown_scanners_are_refused(
    phantom: Anatomy, image_parameters: Parameters, ct: CtSettings, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        simulate_pair(phantom, PatientSpec(tissue_volume_ml=1.0, ct=ct), 1, image_parameters)


@pytest.mark.parametrize(
    "changes", [{"tissue_volume_ml": -1.0}, {"infarct_volume_ml": 900.0}, {"visible_volume_ml": 50.0}]
)
def test_impossible_patients_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError):
        PatientSpec(**changes)  # type: ignore[arg-type]
