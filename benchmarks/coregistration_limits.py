"""What keeps a carried mask from its best: what an error of some mm costs, and what the scans can tell.

python benchmarks/coregistration_limits.py --bed DIR --out DIR [--pairs 12]

For pairs of ``benchmarks/coregistration_bed.py``: (1) the exactly carried mask moved by 0.5 to 3 mm in
three random directions, and its Dice over the unmoved one's; (2) what the best rigid map (the one nearest to
the exact map over the brain) reaches, and how much of what it leaves, the local difference, must be known
for more; (3) the mutual information (nats) of CT and FLAIR, deep inside the skull, at the rigid map, at the
default, at the deformation that maximises it and at the exact map.
"""

# ruff: noqa: E402 - the path and the number of threads are set before anything is imported.
from __future__ import annotations

import sys
from pathlib import Path

# Scripts beside this one are imported as ``benchmarks.x``: alone, statistics.py would hide Python's own.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage

from benchmarks import one_thread  # noqa: F401
from benchmarks.coregistration import Points, Truth, score
from benchmarks.coregistration_bed import Pair, folders
from benchmarks.coregistration_candidates import METHODS, Prepared
from benchmarks.coregistration_opened import opened
from la_outcomes.imaging.geometry import Image, to_sitk
from la_outcomes.segmentation.labels.coregistration import carry
from la_outcomes.segmentation.labels.pseudo_labels import binarise
from la_outcomes.segmentation.labels.working import blurred_inside
from la_outcomes.segmentation.volumetry import dice

MOVED_MM = (0.5, 1.0, 1.5, 2.0, 3.0)
DIRECTIONS = 3
KNOWN = (0.0, 0.5, 0.75, 0.9)
COMPARED = ("greedy rigid", "default", "greedy rigid, NMI")
BINS = 32
DEEP_VOXELS = 2


def cost_of_errors(pair: Pair, rng: np.random.Generator) -> dict[str, float]:
    """Dice over the oracle's after a shift, mean over directions, by its length in mm."""
    carried = carry(pair.wmh_flair, pair.ct, pair.truth).data
    box = _box((carried > 0) | (pair.wmh_ct.data > 0), MOVED_MM[-1], pair.ct)
    best, label = carried[box], binarise(pair.wmh_ct.data)[box]
    oracle = dice(binarise(best), label) or np.nan
    ways = rng.standard_normal((DIRECTIONS, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    to_voxels = np.linalg.inv(pair.ct.affine[:3, :3])
    result = {}
    for length in MOVED_MM:
        moved = [binarise(ndimage.shift(best, to_voxels @ way * length, order=1)) for way in ways]
        result[f"{length:g} mm"] = float(np.mean([dice(mask, label) or 0.0 for mask in moved]) / oracle)
    return result


def _box(where: npt.NDArray[np.bool_], margin_mm: float, grid: Image) -> tuple[slice, ...]:
    """The part of a grid that holds all of ``where`` and a margin."""
    places = np.argwhere(where)
    margin = np.ceil(margin_mm / np.asarray(grid.spacing_mm)).astype(int) + 1
    low, high = np.maximum(places.min(0) - margin, 0), places.max(0) + margin + 1
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))


def local_shares(pair: Pair, prepared: Prepared, truth: Truth) -> dict[str, float]:
    """Dice over the oracle's and lesion error of the best rigid map and shares of what it leaves."""
    rigid = best_rigid(truth.brain)
    rest = sitk.CompositeTransform([rigid.GetInverse(), pair.truth])
    frame = to_sitk(prepared.fixed.image)
    field = sitk.TransformToDisplacementField(
        rest,
        sitk.sitkVectorFloat64,
        frame.GetSize(),
        frame.GetOrigin(),
        frame.GetSpacing(),
        frame.GetDirection(),
    )
    result = {}
    for known in KNOWN:
        part = sitk.GetImageFromArray(known * sitk.GetArrayFromImage(field), isVector=True)
        part.CopyInformation(field)
        bend = sitk.DisplacementFieldTransform(part)
        row = score(pair, truth, sitk.CompositeTransform([rigid, bend]))
        result |= {f"known {known:g}": row["ratio"], f"error at {known:g}": row["lesion_mm"]}
    return result


def best_rigid(places: Points) -> sitk.AffineTransform:
    """The rigid map that brings CT points nearest to their true places (least squares)."""
    points, true = places
    first, second = points.mean(0), true.mean(0)
    left, _, right = np.linalg.svd((points - first).T @ (true - second))
    turn = (left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right).T
    result = sitk.AffineTransform(3)
    result.SetMatrix(turn.ravel().tolist())
    result.SetTranslation((second - turn @ first).tolist())
    return result


def likeness(pair: Pair, prepared: Prepared) -> dict[str, float]:
    """Mutual information of CT and carried FLAIR at each map."""
    maps = {name: METHODS[name](prepared) for name in COMPARED} | {"exact": pair.truth}
    return {name: _information(prepared, found) for name, found in maps.items()}


def _information(prepared: Prepared, found: sitk.Transform) -> float:
    fixed, moving = prepared.fixed, prepared.moving
    soft = Image(moving.mask.astype(np.float32), moving.image.affine)
    mask = carry(soft, fixed.image, found).data > 0.5
    where = ndimage.binary_erosion(fixed.mask, iterations=DEEP_VOXELS) & mask
    ct = blurred_inside(np.clip(fixed.image.data, 0.0, 45.0), fixed.mask, 1.5)[where]
    flair = blurred_inside(carry(moving.image, fixed.image, found).data, mask, 1.5)[where]
    return mutual_information(ct, np.clip(flair, 0.0, 1.6 * np.median(flair)))


def mutual_information(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Of two samples, nats, from a joint histogram of 32 x 32."""
    joint = np.histogram2d(first, second, BINS)[0]
    joint /= joint.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    filled = joint > 0
    return float((joint[filled] * np.log(joint[filled] / independent[filled])).sum())


def limits_of(folder: Path) -> dict[str, Any]:
    """Both for one pair."""
    there = opened(folder)
    rng = np.random.default_rng(there.pair.facts["seed"])
    volume_ml = float(there.pair.wmh_ct.data.sum()) * there.pair.ct.voxel_volume_ml
    facts = {"pair": folder.name, "local_mm": there.pair.facts["local_mm"], "wmh_ml": volume_ml}
    known = local_shares(there.pair, there.prepared, Truth.of(there.pair))
    return facts | cost_of_errors(there.pair, rng) | known | likeness(there.pair, there.prepared)


def main() -> None:
    """Measure each pair once, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=12)
    options = parser.parse_args()
    store = options.out / "limit_rows"
    store.mkdir(parents=True, exist_ok=True)
    for folder in folders(options.bed)[: options.pairs]:
        file = store / f"{folder.name}.json"
        if not file.exists():
            file.write_text(json.dumps(limits_of(folder)))
    rows = pd.DataFrame([json.loads(path.read_text()) for path in sorted(store.glob("*.json"))])
    bands = pd.cut(rows.wmh_ml, [0, 3, 10, 30, 200], labels=["to 3 mL", "3 to 10", "10 to 30", "above 30"])
    costs = [f"{length:g} mm" for length in MOVED_MM]
    table = rows.groupby(bands, observed=True)[costs].mean()
    print(table.assign(n=rows.groupby(bands, observed=True).size()).round(3).to_string())
    print(f"all\n{rows[costs].describe().loc[['count', 'mean', 'std', 'min']].round(3).to_string()}")
    shares = [name for name in rows if name.startswith(("known", "error"))]
    print(
        "share of the local difference that is known: Dice/oracle, lesion error (mm), by local difference, mm"
    )
    print(rows.groupby("local_mm")[shares].mean().round(3).T.to_string())
    print(rows[shares].agg(["mean", "std", "min", "count"]).round(3).T.to_string())
    gain = rows[["default", COMPARED[2], "exact"]].sub(rows["greedy rigid"], axis=0)
    print("mutual information less that of the rigid map, by local difference, mm")
    print(gain.groupby(rows.local_mm).mean().assign(n=rows.groupby("local_mm").size()).round(4).to_string())


if __name__ == "__main__":
    main()
