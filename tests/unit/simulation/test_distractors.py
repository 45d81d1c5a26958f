"""What is no LA and may be taken for it, or spoils the image: blood, bone flaps, metal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from la_outcomes.simulation.anatomy import Anatomy, Tissue
from la_outcomes.simulation.bleeding import draw_bleeding
from la_outcomes.simulation.ct import head_hu
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.mass_effect import Infarcts
from la_outcomes.simulation.pair import draw_patient, take_ct
from la_outcomes.simulation.parameters import Parameters, load_parameters
from la_outcomes.simulation.patient import PatientSpec
from la_outcomes.simulation.surgery import METAL_HU, operated


def _always(changes: dict[str, Any]) -> dict[str, Any]:
    image: dict[str, Any] = load_parameters({"image": changes})["image"]
    image["ct"]["step_mm"] = image["flair"]["step_mm"] = 1.25
    return image


def test_a_transformed_infarct_bleeds_within_itself(phantom: Anatomy) -> None:
    image = _always({"bleeding": {"transformation": {"probability": 1.0}}})
    patient = PatientSpec("b", 70, 5.0, None, 20.0, hours_from_onset=60.0)
    drawn = draw_patient(phantom, patient, 1, image)
    lesions = drawn.lesions
    share = lesions.bleeding.blood.sum() / lesions.infarct.sum()
    assert 0.02 < share < 0.31
    assert (lesions.bleeding.blood <= lesions.infarct + 1e-6).all()
    assert lesions.any_infarct.max() <= 1 + 1e-5
    hu = head_hu(drawn.head, lesions, patient, drawn.stream("ct tissue"), image)
    assert hu[lesions.bleeding.blood > 0.95].mean() > 45


def test_a_haematoma_is_no_wmh_and_stands_in_the_map_of_what_is_not(phantom: Anatomy) -> None:
    image = _always({"bleeding": {"haematoma_probability": 1.0}})
    lesions = draw_patient(phantom, PatientSpec("h", 70, 8.0), 2, image).lesions
    bleeding = lesions.bleeding
    assert 300 < bleeding.blood.sum() < 16_000
    assert bleeding.oedema.sum() > 0.3 * bleeding.blood.sum()
    total = lesions.any_infarct + lesions.wmh.tissue
    assert total.max() <= 1 + 1e-5
    assert lesions.infarct_volume_ml == 0
    assert lesions.any_infarct.sum() == pytest.approx((bleeding.blood + bleeding.oedema).sum(), rel=1e-4)


def test_most_patients_do_not_bleed(small_head: Head) -> None:
    nothing = np.zeros(small_head.tissue.shape, dtype=np.float32)
    image = load_parameters()["image"]
    patients = [PatientSpec(f"p{i}") for i in range(40)]
    bled = [
        draw_bleeding(small_head, Infarcts(nothing, nothing), p, stream(1, p.patient_id), image).blood.any()
        for p in patients
    ]
    assert sum(bled) <= 3


@pytest.mark.parametrize(("missing", "least"), [(0.0, 200), (1.0, 2000)])
def test_a_craniotomy_takes_bone_and_nothing_else(small_head: Head, missing: float, least: int) -> None:
    model = load_parameters(
        {"image": {"head": {"craniotomy": {"probability": 1.0, "flap_missing": missing}}}}
    )["image"]["head"]["craniotomy"]
    after = operated(small_head, stream(3, "surgery"), model)
    changed = after.tissue != small_head.tissue
    assert changed.sum() > least
    assert np.isin(small_head.tissue[changed], (Tissue.CORTICAL_BONE, Tissue.CANCELLOUS_BONE)).all()


def test_few_are_operated(small_head: Head) -> None:
    model = load_parameters()["image"]["head"]["craniotomy"]
    assert operated(small_head, stream(1, "s"), {**model, "probability": 0.0}) is small_head


def test_metal_is_bright_and_its_streaks_fade(phantom: Anatomy, image_parameters: Parameters) -> None:
    image = _always({"ct": {"metal": {"probability": 1.0, "dental": 0.0, "clip": 1.0}}})
    patient = PatientSpec("m", 70, 2.0)
    patient = replace(patient, ct=replace(patient.ct, pixel_spacing_mm=0.95))
    drawn = draw_patient(phantom, patient, 1, image)
    with_metal, without = (
        take_ct(drawn, model).image.data.astype(float) for model in (image, image_parameters["image"])
    )
    place = np.unravel_index(np.argmax(with_metal - without), with_metal.shape)
    assert with_metal[place] > 0.4 * METAL_HU > 10 * without[place]
    difference = np.abs(with_metal - without)[:, :, place[2]]
    x, y = (np.arange(n) - p for n, p in zip(difference.shape, place[:2], strict=True))
    distance = np.hypot(x[:, None], y[None, :]) * 0.95
    near, far = (difference[(distance > a) & (distance < a + 5)].mean() for a in (6, 35))
    assert near > 2 * far > 0
