"""Heads to measure the default models on: drawn by number and seed, a folder each, resumable.

python benchmarks/models_bed.py --bed DIR --anatomies DIR --infarcts DIR --part test --heads 200

Head ``n`` of a part ("validation", "test") has an anatomy and infarct masks of that part, a CT of a vendor
that training never saw in every other head, and a FLAIR of the same head. Loads are spread so that heads
without lesions, small and large ones are all there; they are no population. Beside the images: soft maps of
what is drawn (shares of a voxel), and ``row.json``, which comes last.
"""

# ruff: noqa: E402 - this folder is taken off the path before anything is imported.
from __future__ import annotations

import os
import sys

sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image
from la_outcomes.pretraining.ct_takes import HELD_OUT
from la_outcomes.pretraining.heads import Sources, draw_load, log_even
from la_outcomes.shards import write_text_atomic
from la_outcomes.simulation.anatomy import INTRACRANIAL, is_tissue, load_anatomy
from la_outcomes.simulation.fields import FloatArray, stream
from la_outcomes.simulation.pair import CtScan, DrawnPatient, FlairScan, draw_patient, take_ct, take_flair
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec
from la_outcomes.simulation.sampling import Grid, sample_share

LOADS: tuple[tuple[float, tuple[float, float] | None], ...] = (
    (0.20, None),
    (0.20, (0.5, 5.0)),
    (0.20, (5.0, 15.0)),
    (0.25, (15.0, 50.0)),
    (0.15, (50.0, 110.0)),
)


def draw_head(
    number: int, part: str, seed: int, sources: Sources, parameters: dict[str, Any]
) -> tuple[str, DrawnPatient]:
    """Anatomy and drawn patient of a head of the bed; the anatomies of a part take turns."""
    rng = stream(seed, "bed", part, str(number))
    anatomy = sources.anatomies[number % len(sources.anatomies)]
    unseen = (number // len(sources.anatomies)) % 2 == 0
    tissue = draw_load(LOADS, rng)
    infarct = log_even((0.5, 150.0), rng) if rng.random() < 0.6 else 0.0
    old = log_even((0.5, 40.0), rng) if rng.random() < 0.4 else 0.0
    mask = str(sources.masks[int(rng.integers(len(sources.masks)))]) if sources.masks and infarct else None
    patient = PatientSpec(
        patient_id=f"{part}{number:04d}",
        age_years=float(rng.uniform(45, 92)),
        tissue_volume_ml=tissue,
        infarct_volume_ml=infarct,
        hours_from_onset=log_even((1.0, 150.0), rng),
        infarct_mask=mask,
        old_infarct_volume_ml=old,
        icv_ml=float(np.clip(rng.normal(1430, 130), 1100, 1900)),
        ct=_ct(parameters["clinical"], unseen, rng),
        flair=_flair(parameters["clinical"]["flair"]["thickness_mm"], rng),
    )
    head = load_anatomy(anatomy, sources.folder)
    try:
        return anatomy, draw_patient(head, patient, seed, parameters["image"])
    except InputError:
        smaller = replace(patient, tissue_volume_ml=tissue / 3)
        return anatomy, draw_patient(head, smaller, seed, parameters["image"])


def _ct(clinical: dict[str, Any], unseen: bool, rng: np.random.Generator) -> CtSettings:
    scanners = clinical["scanners"]
    seen = [name for name in scanners if name != HELD_OUT]
    vendor = HELD_OUT if unseen else seen[int(rng.integers(len(seen)))]
    thickness = _pick(scanners[vendor]["thickness_mm"], rng)
    tilt = clinical["gantry_tilt_deg"]
    return CtSettings(
        manufacturer=vendor,
        kernel=str(rng.choice(scanners[vendor]["kernels"])),
        kvp=_pick(clinical["kvp"], rng),
        slice_thickness_mm=thickness,
        slice_spacing_mm=thickness,
        pixel_spacing_mm=float(rng.uniform(0.42, 0.50)),
        gantry_tilt_deg=0.0
        if rng.random() < tilt["none_share"]
        else float(np.clip(rng.normal(0, tilt["sd"]), *tilt["range"])),
    )


def _flair(weights: dict[float, float], rng: np.random.Generator) -> FlairSettings:
    thickness = _pick(weights, rng)
    pixel = 1.0 if thickness <= 1 else float(rng.uniform(0.75, 1.0))
    return FlairSettings(thickness, thickness, pixel, has_skull=bool(rng.random() < 0.75))


def _pick(weights: dict[float, float], rng: np.random.Generator) -> float:
    shares = np.array(list(weights.values()))
    return float(rng.choice(list(weights), p=shares / shares.sum()))


def write_head(folder: Path, anatomy: str, drawn: DrawnPatient, image: dict[str, Any]) -> None:
    """Take both scans and write them with what is known of the head."""
    ct, flair = take_ct(drawn, image), take_flair(drawn, image)
    for name, volume in _volumes(drawn, ct, flair).items():
        write_image(folder / f"{name}.nii.gz", volume)
    patient, head, lesions = drawn.patient, drawn.head, drawn.lesions
    row = {
        "head": patient.patient_id,
        "anatomy": anatomy,
        "hours_from_onset": patient.hours_from_onset,
        "tissue_volume_ml": lesions.wmh.tissue_volume_ml,
        "visible_la_volume_ml": lesions.wmh.visible_volume_ml,
        "acute_ml": lesions.infarct_volume_ml,
        "old_ml": lesions.old_infarct_volume_ml,
        "blood_ml": float(lesions.bleeding.blood.sum()) / 1000,
        "icv_ml": head.icv_ml,
        "brain_volume_ml": head.brain_volume_ml,
        "ct": asdict(patient.ct),
        "flair": asdict(patient.flair),
    }
    write_text_atomic(folder / "row.json", json.dumps(row, indent=1, sort_keys=True))


def _volumes(drawn: DrawnPatient, ct: CtScan, flair: FlairScan) -> dict[str, Image]:
    lesions = drawn.lesions
    brain = is_tissue(drawn.head.tissue, INTRACRANIAL).astype(np.float32)
    grid = Grid(ct.image.shape, ct.image.affine, drawn.patient.ct.slice_thickness_mm, ct.pose)
    return {
        "ct": ct.image,
        "flair": flair.image,
        "visible_ct": ct.visible,
        "tissue_ct": ct.tissue,
        "acute_ct": _map(lesions.infarct, drawn, grid),
        "old_ct": _map(lesions.old_infarct, drawn, grid),
        "brain_ct": _map(brain, drawn, grid),
        "wmh_flair": flair.wmh,
        "brain_flair": _map(brain, drawn, flair.grid),
        "acute_flair": _map(lesions.infarct, drawn, flair.grid),
        "old_flair": _map(lesions.old_infarct, drawn, flair.grid),
    }


def _map(values: FloatArray, drawn: DrawnPatient, grid: Grid) -> Image:
    return Image(sample_share(values, drawn.head.affine, grid, step_mm=1.0), grid.affine)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--anatomies", type=Path, help="folder of label maps (none: the embedded template)")
    parser.add_argument("--infarcts", type=Path, help="folder of infarct masks (none: modelled)")
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--heads", type=int, default=200)
    parser.add_argument("--from-head", type=int, default=0)
    parser.add_argument("--seed", type=int, default=2026)
    asked = parser.parse_args(argv)
    sources = Sources.of(asked.anatomies, asked.infarcts, asked.part)
    parameters = load_parameters()
    for number in range(asked.from_head, asked.heads):
        folder = asked.bed / asked.part / f"{number:04d}"
        if not (folder / "row.json").exists():
            write_head(
                folder,
                *draw_head(number, asked.part, asked.seed, sources, parameters),
                parameters["image"],
            )
            print(folder, flush=True)


if __name__ == "__main__":
    main()
