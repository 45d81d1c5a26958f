"""How well does a mask find its place? Candidates on a bed of pairs with exact maps.

python benchmarks/coregistration.py --bed DIR --out DIR [--methods NAME ...] [--model wmh-flair-sim]
    [--from-pair 0] [--to-pair 40] [--starts 100]

``--bed`` is a folder that ``benchmarks/coregistration_bed.py`` filled. Prints a table by method (mean, SD,
worst, n) and writes one row a pair and method; rows that are there already are kept, so that a stopped
run goes on where it was. ``--model`` takes a FLAIR model's brain for the FLAIR's mask, as ``label`` does.
``--starts`` instead tries the default from random poses (25 degrees an axis, 30 mm) of the bed's pairs in
turn.
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
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from benchmarks import coregistration_tables as tables
from benchmarks import one_thread  # noqa: F401
from benchmarks.coregistration_bed import SHIFT_MM, TURN_DEG, Pair, folders
from benchmarks.coregistration_candidates import METHODS, Prepared
from benchmarks.coregistration_opened import Opened, opened, rows_folder
from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.segmentation.labels.coregistration import (
    affine_transform,
    carry,
    jacobian,
    rigid_alignment,
)
from la_outcomes.segmentation.labels.pseudo_labels import binarise
from la_outcomes.segmentation.labels.working import centre_mm
from la_outcomes.segmentation.volumetry import dice

FAILED_MM = 5.0
POINTS = 400
SHARED = {
    "default": ("rigid", "whole"),
    "greedy rigid": ("rigid",),
    "greedy rigid, NMI": ("rigid", "whole"),
    "greedy rigid, predicted CT": ("rigid",),
    "greedy rigid, NMI with bone": ("rigid",),
    "greedy rigid, CSF demons": ("rigid",),
}
Mask = npt.NDArray[np.bool_]
Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Truth:
    """What every method's map of one pair is compared with."""

    label: Mask
    best_ml: float
    best_dice: float
    lesion: Points
    brain: Points

    @classmethod
    def of(cls, pair: Pair) -> Truth:
        """Label and reach of the exact map; places in the lesion and in the brain."""
        best = carry(pair.wmh_flair, pair.ct, pair.truth).data
        label = binarise(pair.wmh_ct.data)
        possible = dice(binarise(best), label) or np.nan
        places = (places_of(pair, where) for where in (label, pair.inside_ct.data > 0.5))
        return cls(label, float(best.sum()) * pair.ct.voxel_volume_ml, possible, *places)


def places_of(pair: Pair, where: Mask) -> Points:
    """Up to about 400 points of a mask on the CT (LPS mm), and where they lie on the FLAIR."""
    index = np.argwhere(where)
    index = index[:: max(len(index) // POINTS, 1)]
    points = (index @ pair.ct.affine[:3, :3].T + pair.ct.affine[:3, 3]) * (-1, -1, 1)
    return points, np.array([pair.truth.TransformPoint(p) for p in points.tolist()])


def errors_mm(found: sitk.Transform, places: Points) -> npt.NDArray[np.float64]:
    """Distance between found and true FLAIR points."""
    points, true = places
    reached = np.array([found.TransformPoint(p) for p in points.tolist()])
    return np.asarray(np.linalg.norm(reached - true, axis=1))


def score(pair: Pair, truth: Truth, found: sitk.Transform) -> Row:
    """Figures of one map against the exact one."""
    soft = carry(pair.wmh_flair, pair.ct, found).data
    reached = dice(binarise(soft), truth.label) or 0.0
    lesion, brain = errors_mm(found, truth.lesion), errors_mm(found, truth.brain)
    return {
        "dice": reached,
        "oracle": truth.best_dice,
        "ratio": reached / truth.best_dice,
        "volume_ratio": float(soft.sum()) * pair.ct.voxel_volume_ml / truth.best_ml,
        "lesion_mm": float(lesion.mean()),
        "lesion_p95_mm": float(np.percentile(lesion, 95)),
        "brain_mm": float(brain.mean()),
        "brain_p95_mm": float(np.percentile(brain, 95)),
    }


def folded(found: sitk.Transform) -> float:
    """Share of voxels at which the deformable part turns space inside out."""
    if found.GetTransformEnum() != sitk.sitkComposite:
        return 0.0
    last = sitk.CompositeTransform(found).GetBackTransform()
    if last.GetTransformEnum() != sitk.sitkDisplacementField:
        return 0.0
    field = sitk.DisplacementFieldTransform(last).GetDisplacementField()
    return float((jacobian(field) <= 0).mean())


def measure(there: Opened, truth: Truth, method: str) -> Row:
    """One method on one pair; what several methods share is found once and counted for each of them."""
    pair, prepared = there.pair, there.prepared
    known = [name for name in SHARED.get(method, ()) if name in vars(prepared)]
    started = time.process_time()
    found = METHODS[method](prepared)
    seconds = time.process_time() - started + sum(getattr(prepared, name)[1] for name in known)
    facts = {key: pair.facts[key] for key in ("local_mm", "ct_mm", "flair_mm", "skull", "view", "simulator")}
    true_ml = volume_ml(pair.wmh_ct.data, pair.ct.affine)
    row = {"pair": pair.name, "method": method, "wmh_ml": true_ml, **facts, **score(pair, truth, found)}
    return row | {"folded": folded(found), "cpu_s": seconds, "failed": row["brain_mm"] > FAILED_MM}


def random_starts(bed: Path, out: Path, count: int, seed: int) -> pd.DataFrame:
    """Rigid part from random poses, the bed's pairs in turn; rows of finished pairs are kept."""
    known = folders(bed)
    parts = []
    for place, folder in enumerate(known):
        file = out / f"random_starts_{folder.name}.csv"
        numbers = range(place, count, len(known))
        if not file.exists():
            pd.DataFrame([_from_random_start(folder, number, seed) for number in numbers]).to_csv(
                file, index=False
            )
        parts.append(pd.read_csv(file))
    return pd.concat(parts, ignore_index=True)


def _from_random_start(folder: Path, number: int, seed: int) -> Row:
    """Mean error over the brain of the rigid map found from a random pose."""
    pair, prepared = opened(folder).pair, opened(folder).prepared
    start = _random_start(prepared, np.random.default_rng([seed, number]))
    found = affine_transform(rigid_alignment(prepared.fixed, prepared.moving, start))
    error = float(errors_mm(found, places_of(pair, pair.inside_ct.data > 0.5)).mean())
    return {"start": number, "pair": pair.name, "brain_mm": error, "failed": error > FAILED_MM}


def _random_start(prepared: Prepared, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The brains' centres on each other, turned about them and shifted."""
    turn = Rotation.from_euler("xyz", rng.uniform(-TURN_DEG, TURN_DEG, 3), degrees=True).as_matrix()
    start = np.eye(4)
    start[:3, :3] = turn
    start[:3, 3] = centre_mm(prepared.moving) - turn @ centre_mm(prepared.fixed)
    start[:3, 3] += rng.uniform(-SHIFT_MM, SHIFT_MM, 3)
    return start


def run(pairs: list[Path], store: Path, methods: list[str], model: str | None = None) -> pd.DataFrame:
    """All methods on the pairs that have no row yet; rows are written as they come."""
    for folder in pairs:
        run_pair(folder, store, methods, model)
    rows = pd.DataFrame(
        [read_row(store / f"{folder.name} {name}.json") for name in methods for folder in pairs]
    )
    rows.to_csv(store.with_name(store.name.replace("_rows", "") + ".csv"), index=False)
    return rows


def run_pair(folder: Path, store: Path, methods: list[str], model: str | None = None) -> None:
    """The methods that have no row of this pair yet."""
    files = {name: store / f"{folder.name} {name}.json" for name in methods}
    wanted = [name for name, file in files.items() if not file.exists()]
    if not wanted:
        return
    there = opened(folder, model)
    (store / f"masks {folder.name}.json").write_text(json.dumps(there.masks, default=float))
    truth = Truth.of(there.pair)
    for name in wanted:
        row = measure(there, truth, name)
        files[name].write_text(json.dumps(row, default=float))
        said = f"{folder.name} {name} {row['ratio']:.3f} {row['brain_mm']:.2f} mm"
        print(said, file=sys.stderr, flush=True)


def read_row(path: Path) -> Row:
    """A row from its file."""
    row: Row = json.loads(path.read_text())
    return row


def say(rows: pd.DataFrame, masks: pd.DataFrame) -> None:
    """Print all tables."""
    print(tables.method_table(rows))
    for title, table in (
        ("the default's lead in Dice/oracle over", tables.lead_of_default(rows)),
        ("Dice/oracle by local difference, mm", tables.by_difference(rows)),
        ("Dice/oracle of the default by WMH", tables.by_load(rows)),
        ("brain masks against truth", tables.mask_table(masks)),
    ):
        print(f"\n{title}\n{table.round(3).to_string()}")


def main() -> None:
    """Coregister, score, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--model", help="FLAIR bundle or packaged model whose brain is the FLAIR's mask")
    parser.add_argument("--from-pair", type=int, default=0, help="leave out the pairs before this one")
    parser.add_argument("--to-pair", type=int, help="leave out this pair and those after it")
    parser.add_argument("--starts", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.starts:
        rows = random_starts(options.bed, options.out, options.starts, options.seed)
        rows.to_csv(options.out / "random_starts.csv", index=False)
        spread = rows.brain_mm.describe(percentiles=[0.5, 0.95]).round(2)
        print(f"{int(rows.failed.sum())} of {len(rows)} random starts failed; brain error, mm:")
        print(spread.to_string())
        return
    store = rows_folder(options.out, "coregistration_rows", options.model)
    pairs = folders(options.bed)[options.from_pair : options.to_pair]
    rows = run(pairs, store, options.methods, options.model)
    say(rows, pd.DataFrame([read_row(store / f"masks {folder.name}.json") for folder in pairs]))


if __name__ == "__main__":
    main()
