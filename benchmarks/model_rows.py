"""What ``benchmarks/model_fits.py`` needs to know of a head that ``benchmarks/models.py`` measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.imaging.nifti import read_mask
from la_outcomes.segmentation.labels.wmh_model import FlairFindings
from la_outcomes.segmentation.measurement import HeadMeasurement, Segmentation
from la_outcomes.segmentation.outputs import PARENCHYMA
from la_outcomes.segmentation.volumetry import dice

Bools = npt.NDArray[np.bool_]
Lost = dict[str, npt.NDArray[Any]]

INFARCTS = ("acute", "old")


def lost_of(folder: Path, modality: str) -> Lost:
    """Soft maps of a head's infarcts on its "ct" or "flair"."""
    return {name: read_mask(folder / f"{name}_{modality}.nii.gz").data for name in INFARCTS}


def ct_facts(measured: HeadMeasurement, found: Segmentation, lost: Lost, folder: Path) -> dict[str, Any]:
    """Volumes, brain by thresholds and by the network, infarct, and the figures of the domain, of one CT."""
    affine = measured.image.affine
    row: dict[str, Any] = {
        "sure_ml": found.volume.sure_ml,
        "possible_ml": found.volume.possible_ml,
        "brain_found_ml": found.brain_volume_ml,
        "infarct_found_ml": found.infarct_found_ml,
        **{f"figure_{name}": value for name, value in measured.figures.items()},
    }
    if measured.reading.gives(PARENCHYMA):
        row["brain_mask_ml"] = volume_ml(measured.reading.mask(PARENCHYMA) & measured.inside, affine)
    both = sum(lost.values())
    row["infarct_true_ml"] = volume_ml(both, affine)
    if found.infarct is not None:
        row["infarct_dice"] = dice(found.infarct, np.asarray(both) > 0.5)
    return row | brain_facts(measured.rough, measured.reading.brain_on_scan(), folder / "brain_ct.nii.gz")


def flair_facts(rough: Bools, found: FlairFindings, lost: Lost, folder: Path) -> dict[str, Any]:
    """Brain by thresholds and by the network, and the infarct, of one FLAIR."""
    both, affine = sum(lost.values()), found.wmh.soft.affine
    row: dict[str, Any] = {"infarct_true_ml": volume_ml(both, affine)}
    if found.infarct is not None:
        row["infarct_found_ml"] = volume_ml(found.infarct.data, affine)
        row["infarct_dice"] = dice(found.infarct.data > 0, np.asarray(both) > 0.5)
    return row | brain_facts(rough, found.inside, folder / "brain_flair.nii.gz")


def brain_facts(rough: Bools, network: Bools, truth: Path) -> dict[str, Any]:
    """Dice and volume of both brain masks against the inside of the drawn skull, where its map is there."""
    if not truth.is_file():
        return {"inside_true_ml": None}
    drawn = read_mask(truth)
    inside = drawn.data > 0.5
    row: dict[str, Any] = {"inside_true_ml": volume_ml(drawn.data, drawn.affine)}
    for name, mask in (("thresholds", rough), ("network", network)):
        row[f"inside_{name}_dice"] = dice(mask, inside)
        row[f"inside_{name}_ml"] = volume_ml(mask, drawn.affine)
    return row
