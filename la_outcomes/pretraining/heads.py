"""The heads a generated training draws: which anatomy, which loads, which infarcts, by number and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.simulation.anatomy import list_anatomies, load_anatomy
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.infarcts import list_infarcts
from la_outcomes.simulation.pair import DrawnPatient, draw_patient
from la_outcomes.simulation.patient import PatientSpec
from la_outcomes.simulation.split import part_of_anatomy, part_of_infarct

# share of the heads, and the range (mL) their WMH is drawn from, evenly in its logarithm
LOADS: tuple[tuple[float, tuple[float, float] | None], ...] = (
    (0.14, None),
    (0.14, (0.3, 3.0)),
    (0.24, (3.0, 15.0)),
    (0.22, (15.0, 45.0)),
    (0.26, (45.0, 125.0)),
)
_INFARCT_PROBABILITY = 0.75
_INFARCT_ML = (0.3, 180.0)
_OLD_PROBABILITY = 0.45
_OLD_ML = (0.3, 90.0)
_HOURS = (1.0, 150.0)
_FILLED_VISIBLE = 0.25


@dataclass(frozen=True)
class Sources:
    """Where heads come from: label maps (None: the embedded template) and infarct masks (empty: modelled)."""

    folder: Path | None
    anatomies: tuple[str, ...]
    masks: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path | None, infarcts: Path | None, part: str) -> Sources:
        """Those of a part ("training", "validation", "test") of ``anatomy_split.yaml``.

        The embedded template serves every part. Raises ``InputError`` where the part has no anatomy or mask.
        """
        names = list_anatomies(folder)
        chosen = names if folder is None else [name for name in names if part_of_anatomy(name) == part]
        masks = [] if infarcts is None else list_infarcts(infarcts)
        own = [mask for mask in masks if part_of_infarct(mask) == part]
        if not chosen or (masks and not own):
            raise InputError(
                f"no anatomy or infarct mask belongs to the {part} part", where="anatomy_split.yaml"
            )
        return cls(folder, tuple(chosen), tuple(own))


def head_of(sources: Sources, seed: int, number: int, image: dict[str, Any]) -> tuple[str, DrawnPatient]:
    """Head ``number`` of a training: name of its anatomy and the drawn patient.

    ``image`` is ``parameters["image"]``. The same arguments give the same head. Where the white matter left
    by an infarct cannot hold the asked WMH, half of it is asked, and so on.
    """
    rng = stream(seed, "generated head", str(number))
    anatomy = sources.anatomies[int(rng.integers(len(sources.anatomies)))]
    patient = _patient(sources, number, rng)
    loaded = load_anatomy(anatomy, sources.folder)
    for _ in range(6):
        try:
            return anatomy, draw_patient(loaded, patient, seed, image)
        except InputError:
            patient = replace(patient, tissue_volume_ml=patient.tissue_volume_ml / 2, visible_volume_ml=None)
    return anatomy, draw_patient(
        loaded, replace(patient, infarct_volume_ml=0.0, infarct_mask=None), seed, image
    )


def _patient(sources: Sources, number: int, rng: np.random.Generator) -> PatientSpec:
    tissue = draw_load(LOADS, rng)
    infarct = log_even(_INFARCT_ML, rng) if rng.random() < _INFARCT_PROBABILITY else 0.0
    old = log_even(_OLD_ML, rng) if rng.random() < _OLD_PROBABILITY else 0.0
    visible = tissue * float(rng.uniform(0.75, 1.0)) if rng.random() < _FILLED_VISIBLE else None
    mask = (
        str(sources.masks[int(rng.integers(len(sources.masks)))]) if sources.masks and infarct > 0 else None
    )
    return PatientSpec(
        patient_id=f"head{number}",
        age_years=float(rng.uniform(40, 95)),
        tissue_volume_ml=tissue,
        visible_volume_ml=visible,
        infarct_volume_ml=infarct,
        hours_from_onset=log_even(_HOURS, rng),
        infarct_on_ct=bool(rng.random() < 0.9),
        infarct_on_flair=bool(rng.random() < 0.9),
        infarct_mask=mask,
        old_infarct_volume_ml=old,
        icv_ml=float(np.clip(rng.normal(1450, 140), 1050, 1950)),
    )


def draw_load(loads: Sequence[tuple[float, tuple[float, float] | None]], rng: np.random.Generator) -> float:
    """A WMH volume (mL) of a mixture of log-even ranges; 0 for None."""
    shares = np.array([share for share, _ in loads])
    limits = loads[int(rng.choice(len(loads), p=shares / shares.sum()))][1]
    return 0.0 if limits is None else log_even(limits, rng)


def log_even(limits: tuple[float, float], rng: np.random.Generator) -> float:
    """A number between two limits, evenly in its logarithm."""
    return float(np.exp(rng.uniform(*np.log(limits))))
