"""A bed of CT-FLAIR pairs with exact maps: drawn once to a folder, read by the benchmarks of labels.

python benchmarks/coregistration_bed.py --bed DIR [--pairs 36] [--seed 1] [--anatomies DIR] [--infarcts DIR]

Without folders the heads are warps of the packaged template and infarcts are modelled. Pairs that lie in
the folder already are kept. What varies from pair to pair stands in ``describe``.
"""

# ruff: noqa: E402 - the path and the number of threads are set before anything is imported.
from __future__ import annotations

import sys
from pathlib import Path

# Scripts beside this one are imported as ``benchmarks.x``: alone, statistics.py would hide Python's own.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks import one_thread  # noqa: F401
from la_outcomes.imaging.geometry import Image, orthogonal_grid, resample_to, to_sitk
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.segmentation.labels.coregistration import affine_transform
from la_outcomes.segmentation.labels.transform_files import read_transform
from la_outcomes.segmentation.labels.transforms import inverse
from la_outcomes.simulation.anatomy import INTRACRANIAL, is_tissue, list_anatomies, load_anatomy
from la_outcomes.simulation.infarcts import choose_mask, list_infarcts
from la_outcomes.simulation.pair import SimulatedPair, simulate_pair
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec
from la_outcomes.simulation.sampling import Grid, sample_share

CT_MM = (5.0, 1.0, 7.0, 4.0, 2.5, 5.0, 3.0, 6.0)
FLAIR_MM = (5.0, 1.0, 3.0, 6.0, 5.0, 7.0, 1.0)
LOCAL_MM = (1.0, 2.0, 3.0, 4.0)
SKULL = ("both", "both", "both", "both", "no FLAIR skull", "no skull")
VIEW = ("whole", "whole", "CT starts high", "FLAIR starts high", "CT ends low")
INFARCT_ML = (0.0, 2.0, 10.0, 40.0, 100.0)
INFARCT_ON = ("both", "CT", "FLAIR")
LOCAL_REACH_MM = 16.0
TURN_DEG, SHIFT_MM = 25.0, 30.0


@dataclass(frozen=True, eq=False)
class Pair:
    """A CT, a FLAIR bent and moved away from it, and the truth.

    ``wmh_*``, ``infarct_*`` and ``inside_*`` (intracranial) are soft maps (0..1) on the scans' grids;
    ``truth`` maps CT points to FLAIR points (LPS mm), exact; ``facts`` says how the pair was drawn.
    """

    name: str
    ct: Image
    flair: Image
    wmh_ct: Image
    wmh_flair: Image
    infarct_ct: Image
    infarct_flair: Image
    inside_ct: Image
    inside_flair: Image
    truth: sitk.Transform
    facts: dict[str, Any]


IMAGES = (
    "ct",
    "flair",
    "wmh_ct",
    "wmh_flair",
    "infarct_ct",
    "infarct_flair",
    "inside_ct",
    "inside_flair",
)


def describe(number: int, seed: int) -> dict[str, Any]:
    """What pair ``number`` is asked to be; each factor cycles in blocks shuffled on their own."""
    rng = np.random.default_rng([seed, number])
    factors = {
        "ct_mm": CT_MM,
        "flair_mm": FLAIR_MM,
        "local_mm": LOCAL_MM,
        "skull": SKULL,
        "view": VIEW,
        "infarct_ml": INFARCT_ML,
        "infarct_on": INFARCT_ON,
    }
    chosen = {
        name: _in_turn(values, number, seed, place) for place, (name, values) in enumerate(factors.items())
    }
    return {
        **chosen,
        "age_years": float(rng.uniform(45, 92)),
        "wmh_ml": float(np.exp(rng.uniform(np.log(0.5), np.log(80.0)))),
        "hours": float(rng.uniform(3, 96)),
        "tilt_deg": float(rng.uniform(-5, 20)),
        "turn_deg": rng.uniform(-TURN_DEG, TURN_DEG, 3).tolist(),
        "shift_mm": rng.uniform(-SHIFT_MM, SHIFT_MM, 3).tolist(),
        "cut_mm": float(rng.uniform(10, 30)),
    }


def _in_turn(values: Sequence[Any], number: int, seed: int, place: int) -> Any:
    block, position = divmod(number, len(values))
    order = np.random.default_rng([seed, 1000 + place, block]).permutation(len(values))
    return values[order[position]]


def draw(number: int, seed: int, anatomies: Path | None, infarcts: Path | None) -> Pair:
    """Draw one pair; the same arguments give the same pair."""
    facts = describe(number, seed)
    rng = np.random.default_rng([seed, number, 1])
    names = list_anatomies(anatomies)
    facts["anatomy"] = names[number % len(names)]
    spec = _patient(number, facts, infarcts, rng)
    drawn = simulate_pair(load_anatomy(facts["anatomy"], anatomies), spec, seed)
    facts |= {"simulator": load_parameters()["version"], "icv_ml": drawn.icv_ml, "seed": seed}
    inside = is_tissue(drawn.head.tissue, INTRACRANIAL).astype(np.float32)
    ct_grid = Grid(drawn.ct.shape, drawn.ct.affine, facts["ct_mm"], drawn.ct_pose)
    on_ct, on_flair = (_share(inside, drawn, grid) for grid in (ct_grid, drawn.flair_grid))
    cts = [drawn.ct, drawn.tissue_ct, drawn.infarct_ct, on_ct]
    if facts["skull"] == "no skull":
        cts[0] = Image(np.where(on_ct.data > 0.5, drawn.ct.data, 0).astype(np.int16), drawn.ct.affine)
    flairs = [drawn.flair, drawn.wmh_flair, drawn.infarct_flair, on_flair]
    flairs, moved = _moved(flairs, facts, rng)
    truth = sitk.CompositeTransform([*moved, drawn.ct_to_flair])
    truth.FlattenTransform()
    cts, flairs = _viewed(cts, flairs, facts)
    both = [scan for two in zip(cts, flairs, strict=True) for scan in two]
    return Pair(f"pair{number:03d}", *both, truth=truth, facts=facts)


def _patient(
    number: int, facts: dict[str, Any], infarcts: Path | None, rng: np.random.Generator
) -> PatientSpec:
    mask = None
    if infarcts is not None and facts["infarct_ml"] > 0:
        model = load_parameters()["image"]["infarct"]
        mask = str(choose_mask(list_infarcts(infarcts), facts["infarct_ml"], rng, model))
    thick, pixel = facts["ct_mm"], 0.47 if number % 2 and facts["ct_mm"] > 2 else 0.95
    flair_mm = facts["flair_mm"]
    return PatientSpec(
        patient_id=f"pair{number:03d}",
        age_years=facts["age_years"],
        tissue_volume_ml=facts["wmh_ml"],
        infarct_volume_ml=facts["infarct_ml"],
        infarct_mask=mask,
        hours_from_onset=facts["hours"],
        infarct_on_ct=facts["infarct_on"] != "FLAIR",
        infarct_on_flair=facts["infarct_on"] != "CT",
        ct=CtSettings(("GE", "Siemens", "Philips", "Canon")[number % 4], slice_thickness_mm=thick,
                      slice_spacing_mm=thick, pixel_spacing_mm=pixel, gantry_tilt_deg=facts["tilt_deg"]),
        flair=FlairSettings(flair_mm, flair_mm, 1.0 if flair_mm == 1 else float(rng.uniform(0.5, 1.0)),
                            has_skull=facts["skull"] == "both"),
    )  # fmt: skip


def _share(inside: npt.NDArray[np.float32], drawn: SimulatedPair, grid: Grid) -> Image:
    return Image(sample_share(inside, drawn.head.affine, grid, step_mm=1.0), grid.affine)


def _moved(
    flairs: list[Image], facts: dict[str, Any], rng: np.random.Generator
) -> tuple[list[Image], list[sitk.Transform]]:
    """The FLAIR and its maps in another pose and bent, and the way from the old points to the new."""
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", facts["turn_deg"], degrees=True).as_matrix()
    move[:3, 3] = facts["shift_mm"]
    moved = [Image(image.data, move @ image.affine) for image in flairs]
    bend = sitk.DisplacementFieldTransform(_bend(moved[0], facts["local_mm"], rng))
    bent = [
        resample_to(x, x.shape, x.affine, interpolator="linear", outside=0.0, transform=bend) for x in moved
    ]
    return bent, [inverse(bend), affine_transform(move)]


def _bend(like: Image, local_mm: float, rng: np.random.Generator) -> sitk.Image:
    """A smooth random displacement field whose length has ``local_mm`` as 95th percentile."""
    shape, affine = orthogonal_grid(like, 4.0)
    noise = rng.standard_normal((3, *shape[::-1]))
    smooth = np.stack([ndimage.gaussian_filter(part, LOCAL_REACH_MM / 4.0) for part in noise], axis=-1)
    smooth *= local_mm / np.percentile(np.linalg.norm(smooth, axis=-1), 95)
    field = sitk.GetImageFromArray(smooth, isVector=True)
    field.CopyInformation(to_sitk(Image(np.zeros(shape, np.float32), affine)))
    return field


def _viewed(cts: list[Image], flairs: list[Image], facts: dict[str, Any]) -> tuple[list[Image], list[Image]]:
    """Slices left out where a scan starts above the skull base or ends below the vertex."""
    off_ct, off_flair = (max(round(facts["cut_mm"] / facts[name]), 1) for name in ("ct_mm", "flair_mm"))
    if facts["view"] == "CT starts high":
        cts = [_slices(image, off_ct, image.shape[2]) for image in cts]
    if facts["view"] == "FLAIR starts high":
        flairs = [_slices(image, off_flair, image.shape[2]) for image in flairs]
    if facts["view"] == "CT ends low":
        off = max(round(facts["cut_mm"] / 2 / facts["ct_mm"]), 1) + round(6 / facts["ct_mm"])
        cts = [_slices(image, 0, image.shape[2] - off) for image in cts]
    return cts, flairs


def _slices(image: Image, first: int, last: int) -> Image:
    affine = image.affine.copy()
    affine[:3, 3] += affine[:3, 2] * first
    return Image(np.ascontiguousarray(image.data[:, :, first:last]), affine)


def save(pair: Pair, bed: Path) -> None:
    """Write a pair to its folder; facts come last, so that a folder without them is unfinished."""
    folder = bed / pair.name
    for name in IMAGES:
        image = getattr(pair, name)
        dtype = np.int16 if name in ("ct", "flair") else np.float32
        write_image(folder / f"{name}.nii.gz", image, dtype=dtype)
    sitk.WriteTransform(pair.truth, str(folder / "truth.h5"))
    (folder / "facts.json").write_text(json.dumps(pair.facts, indent=1))


def load(folder: Path) -> Pair:
    """Read a pair back."""
    images = {
        name: (read_image if name in ("ct", "flair") else read_mask)(folder / f"{name}.nii.gz")
        for name in IMAGES
    }
    facts = json.loads((folder / "facts.json").read_text())
    return Pair(folder.name, **images, truth=read_transform(folder / "truth.h5"), facts=facts)


def folders(bed: Path) -> list[Path]:
    """Finished pairs of a bed, by name."""
    return sorted(path.parent for path in bed.glob("pair*/facts.json"))


def main() -> None:
    """Draw what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--anatomies", type=Path)
    parser.add_argument("--infarcts", type=Path)
    parser.add_argument("--pairs", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for number in range(options.pairs):
        if (options.bed / f"pair{number:03d}" / "facts.json").exists():
            continue
        started = time.process_time()
        save(draw(number, options.seed, options.anatomies, options.infarcts), options.bed)
        print(f"pair{number:03d} {time.process_time() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
