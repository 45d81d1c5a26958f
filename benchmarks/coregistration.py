"""How well does a mask find its place? Simulated pairs with a known map, local differences and turned heads.

python benchmarks/coregistration.py --out DIR [--anatomies DIR] [--pairs N] [--seed S]

Pairs cycle through slice thickness, tilt, field of view, skull, infarct, WMH of 1-60 mL and local differences
of 0, 2 and 3.5 mm (95th percentile). Prints a table by method and writes one row a pair and method.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics`` behind statistics.py.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from la_outcomes.imaging.geometry import Image, orthogonal_grid, resample_to, to_sitk
from la_outcomes.segmentation.brain import ct_brain, flair_brain
from la_outcomes.segmentation.labels.coregistration import affine_transform, carry, coregister
from la_outcomes.segmentation.labels.pseudo_labels import binarise
from la_outcomes.segmentation.labels.quality_control import judge
from la_outcomes.segmentation.labels.transforms import inverse
from la_outcomes.segmentation.volumetry import dice
from la_outcomes.simulation.anatomy import list_anatomies, load_anatomy
from la_outcomes.simulation.pair import simulate_pair
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec

LOCAL_MM = (0.0, 2.0, 3.5)
LOCAL_REACH_MM = 16.0
TURN_DEG, SHIFT_MM = 25.0, 30.0
FAILED_MM = 5.0
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pair:
    """A CT, a FLAIR bent and moved away from it, WMH shares on both, and the exact map (CT to FLAIR, LPS)."""

    name: str
    local_mm: float
    ct: Image
    flair: Image
    wmh_ct: Image
    wmh_flair: Image
    truth: sitk.Transform


def draw_pairs(count: int, seed: int, anatomies: Path | None) -> Iterator[Pair]:
    """``count`` pairs, each drawn from its own stream."""
    names = list_anatomies(anatomies)
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        spec = _patient(number, rng)
        drawn = simulate_pair(load_anatomy(names[number % len(names)], anatomies), spec, seed)
        move = _random_pose(rng)
        local = LOCAL_MM[number % len(LOCAL_MM)]
        flair, wmh = (Image(x.data, move @ x.affine) for x in (drawn.flair, drawn.wmh_flair))
        truth: list[sitk.Transform] = [affine_transform(move), drawn.ct_to_flair]
        if local > 0:
            bend = sitk.DisplacementFieldTransform(_bend(flair, local, rng))
            flair, wmh = (
                resample_to(x, x.shape, x.affine, interpolator="linear", outside=0.0, transform=bend)
                for x in (flair, wmh)
            )
            truth.insert(0, inverse(bend))
        yield Pair(
            spec.patient_id, local, drawn.ct, flair, drawn.tissue_ct, wmh, sitk.CompositeTransform(truth)
        )


def _patient(number: int, rng: np.random.Generator) -> PatientSpec:
    thickness = (5.0, 2.5, 7.0, 4.0)[number % 4]
    flair_mm = (5.0, 1.0, 3.0, 6.0, 5.0)[number % 5]
    return PatientSpec(
        patient_id=f"pair{number:03d}",
        age_years=float(rng.uniform(50, 88)),
        tissue_volume_ml=float(np.exp(rng.uniform(np.log(1.0), np.log(60.0)))),
        infarct_volume_ml=(0.0, 8.0, 0.0, 40.0)[(number // 2) % 4],
        infarct_on_ct=number % 3 != 0,
        ct=CtSettings(
            ("GE", "Siemens", "Philips", "Canon")[number % 4],
            slice_thickness_mm=thickness, slice_spacing_mm=thickness,
            gantry_tilt_deg=float(rng.uniform(-5, 20)),
        ),
        flair=FlairSettings(flair_mm, flair_mm, 1.0 if flair_mm == 1 else 0.9, has_skull=number % 6 != 5),
    )  # fmt: skip


def _random_pose(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    pose = np.eye(4)
    angles = rng.uniform(-TURN_DEG, TURN_DEG, 3)
    pose[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    pose[:3, 3] = rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
    return pose


def _bend(like: Image, local_mm: float, rng: np.random.Generator) -> sitk.Image:
    """A smooth random displacement field whose length has ``local_mm`` as 95th percentile."""
    shape, affine = orthogonal_grid(like, 4.0)
    noise = rng.standard_normal((3, *shape[::-1]))
    smooth = np.stack([ndimage.gaussian_filter(part, LOCAL_REACH_MM / 4.0) for part in noise], axis=-1)
    smooth *= local_mm / np.percentile(np.linalg.norm(smooth, axis=-1), 95)
    field = sitk.GetImageFromArray(smooth, isVector=True)
    field.CopyInformation(to_sitk(Image(np.zeros(shape, np.float32), affine)))
    return field


def score(pair: Pair, found: sitk.Transform, inside: Mask) -> dict[str, float]:
    """Figures of one map against the exact one."""
    soft, best = (carry(pair.wmh_flair, pair.ct, way).data for way in (found, pair.truth))
    label, oracle, true = binarise(soft), binarise(best), binarise(pair.wmh_ct.data)
    reached, possible = dice(label, true) or 0.0, dice(oracle, true) or np.nan
    lesion, brain = _errors_mm(pair, found, true), _errors_mm(pair, found, inside)
    return {
        "dice": reached,
        "dice_over_oracle": reached / possible,
        "volume_ratio": float(soft.sum() / best.sum()),
        "lesion_mm": float(lesion.mean()),
        "lesion_p95_mm": float(np.percentile(lesion, 95)),
        "brain_mm": float(brain.mean()),
        "brain_p95_mm": float(np.percentile(brain, 95)),
    }


def _errors_mm(pair: Pair, found: sitk.Transform, where: Mask) -> npt.NDArray[np.float64]:
    index = np.argwhere(where)
    index = index[:: max(len(index) // 1000, 1)]
    points = (index @ pair.ct.affine[:3, :3].T + pair.ct.affine[:3, 3]) * (-1, -1, 1)
    gaps = [np.subtract(found.TransformPoint(p), pair.truth.TransformPoint(p)) for p in points.tolist()]
    return np.linalg.norm(gaps, axis=1)


def measure(pair: Pair) -> list[dict[str, object]]:
    """One row a method: header alone, rigid part, whole coregistration."""
    started = time.process_time()
    inside = ct_brain(pair.ct).intracranial
    flair_inside = flair_brain(pair.flair).intracranial
    brain_seconds = time.process_time() - started
    found = coregister(pair.ct, pair.flair, inside, flair_inside)
    quality = judge(found, carry(pair.wmh_flair, pair.ct, found.transform).data, inside)
    ways = {"header": sitk.Transform(), "rigid": affine_transform(found.rigid), "default": found.transform}
    common = {
        "pair": pair.name, "local_mm": pair.local_mm, "slices_mm": float(pair.ct.spacing_mm[2]),
        "wmh_ml": float(pair.wmh_ct.data.sum() * pair.ct.voxel_volume_ml),
        "status": quality.status, **quality.figures(), "folded": float((found.jacobian <= 0).mean()),
        "cpu_s_brain": brain_seconds, "cpu_s_coregistration": found.cpu_seconds,
    }  # fmt: skip
    return [{**common, "method": name, **score(pair, way, inside)} for name, way in ways.items()]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """By method and local difference: mean, worst and failures (mean brain error above 5 mm)."""
    groups = rows.assign(failed=rows.brain_mm > FAILED_MM).groupby(["method", "local_mm"])
    return groups.agg(
        n=("pair", "size"),
        ratio=("dice_over_oracle", "mean"),
        ratio_sd=("dice_over_oracle", "std"),
        worst=("dice_over_oracle", "min"),
        lesion_mm=("lesion_mm", "mean"),
        lesion_p95_mm=("lesion_p95_mm", "mean"),
        brain_mm=("brain_mm", "mean"),
        volume_ratio=("volume_ratio", "mean"),
        failed=("failed", "sum"),
        cpu_s=("cpu_s_coregistration", "median"),
    ).round(3)


def main() -> None:
    """Draw, coregister, score; rows are written as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--anatomies", type=Path)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for pair in draw_pairs(options.pairs, options.seed, options.anatomies):
        rows += measure(pair)
        pd.DataFrame(rows).to_csv(options.out / "coregistration.csv", index=False)
        print(pair.name, rows[-1]["dice_over_oracle"], rows[-1]["brain_mm"], file=sys.stderr, flush=True)
    table = summary(pd.DataFrame(rows))
    table.to_csv(options.out / "coregistration_summary.csv")
    print(table.to_string())


if __name__ == "__main__":
    main()
