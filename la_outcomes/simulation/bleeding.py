"""Blood in the brain: patchy in an infarct (haemorrhagic transformation), rarely a haematoma of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from la_outcomes.simulation.anatomy import PARENCHYMA, is_tissue
from la_outcomes.simulation.fields import FloatArray, bounding_box, drawn, mixed_field, threshold_for_volume
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.infarcts import infarct_of_volume, infarct_score
from la_outcomes.simulation.mass_effect import Infarcts
from la_outcomes.simulation.patient import PatientSpec


@dataclass(frozen=True, eq=False)
class Bleeding:
    """Soft maps (share of a voxel, 0..1): ``blood``, which may lie within an infarct, and the ``oedema``
    around a haematoma, which shares no voxel with blood or infarcts.
    """

    blood: FloatArray
    oedema: FloatArray


def draw_bleeding(
    head: Head, infarcts: Infarcts, patient: PatientSpec, rng: np.random.Generator, model: dict[str, Any]
) -> Bleeding:
    """What has bled; ``model`` is ``parameters["image"]``."""
    blood, oedema = (np.zeros(head.tissue.shape, dtype=np.float32) for _ in range(2))
    chance, share = rng.random(2)
    volume = drawn(model["bleeding"]["haematoma_ml"], rng)
    patchy = model["bleeding"]["transformation"]
    old_enough = patient.hours_from_onset >= patchy["from_hours"]
    room = float(infarcts.acute.sum(dtype=np.float64)) / 1000
    if old_enough and room >= patchy["from_ml"] and chance < patchy["probability"]:
        low, high = patchy["share"]
        _bleed_into(blood, infarcts.acute, room * (low + share * (high - low)), rng, patchy)
    elif chance > 1 - model["bleeding"]["haematoma_probability"]:
        blood, oedema = _haematoma(head, infarcts, volume, rng, model)
    return Bleeding(blood, oedema)


def _bleed_into(
    blood: FloatArray, infarct: FloatArray, volume_ml: float, rng: np.random.Generator, model: dict[str, Any]
) -> None:
    box = bounding_box(infarct > 0)
    part = infarct[box]
    field = mixed_field(part.shape, model["control_mm"], [0.7, 0.5], rng)
    inside = part > 0
    blood[box][inside] = threshold_for_volume(field[inside], part[inside], volume_ml, 0.25)


def _haematoma(
    head: Head, infarcts: Infarcts, volume_ml: float, rng: np.random.Generator, model: dict[str, Any]
) -> tuple[FloatArray, FloatArray]:
    infarct = model["infarct"]
    score = infarct_score(head, volume_ml, None, rng, infarct)
    free = is_tissue(head.tissue, PARENCHYMA) * (1 - infarcts.acute - infarcts.old)
    rim = 1 + model["bleeding"]["oedema_share"]
    blood = infarct_of_volume(head, score, volume_ml, infarct) * free
    around = infarct_of_volume(head, score, volume_ml * rim, infarct) * free
    return blood, np.asarray(np.maximum(around - blood, 0), dtype=np.float32)
