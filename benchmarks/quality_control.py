"""Do the figures of quality control tell good pairs from misaligned ones? Controlled misalignments.

python benchmarks/quality_control.py --bed DIR --out DIR [--misalignments 300] [--model wmh-flair-sim]
    [--swaps] [--seed 1]

Each misalignment is the exact map of a pair of ``benchmarks/coregistration_bed.py`` followed by a shift, a
rotation about the brain's centre, or both, scaled so that the brain's mean displacement against the truth
is what was drawn uniformly from 0 to 12 mm. Nothing is coregistered again: the FLAIR is carried through the
spoiled map and the figures are taken. Prints AUCs for more than 3 mm and more than 5 mm with 95 %
intervals (bootstrap over pairs) and false alarms at the thresholds of the data dictionary. ``--swaps``
coregisters each CT with another patient's FLAIR instead and prints the figures that must tell it.
"""

# ruff: noqa: E402 - the path and the number of threads are set before anything is imported.
from __future__ import annotations

import sys
from pathlib import Path

# Scripts beside this one are imported as ``benchmarks.x``: alone, statistics.py would hide Python's own.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk
from scipy.spatial.transform import Rotation
from scipy.stats import mannwhitneyu

from benchmarks import one_thread  # noqa: F401
from benchmarks.coregistration_bed import Pair, folders
from benchmarks.coregistration_candidates import Prepared
from benchmarks.coregistration_opened import Opened, opened, rows_folder
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.labels.coregistration import (
    Coregistration,
    affine_transform,
    carry,
    coregister_scans,
)
from la_outcomes.segmentation.labels.quality_control import (
    FIGURES,
    csf_correlation,
    csf_shift_mm,
    judge,
    verdict,
)
from la_outcomes.segmentation.labels.working import WorkingScan, centre_mm
from la_outcomes.segmentation.volumetry import dice

LARGEST_MM = 12.0
LIMITS_MM = (3.0, 5.0)
KINDS = ("shift", "rotation", "both")
RESAMPLES = 1000
Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[Any]


def misalignment(prepared: Prepared, wanted_mm: float, kind: str, rng: np.random.Generator) -> Matrix:
    """A rigid map of CT points (RAS mm) whose mean displacement over the brain is ``wanted_mm``."""
    affine = prepared.fixed.image.affine
    points = np.argwhere(prepared.fixed.mask)[::50] @ affine[:3, :3].T + affine[:3, 3]
    axis, way = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    share = np.array({"shift": (0.0, 1.0), "rotation": (1.0, 0.0), "both": (0.5, 0.5)}[kind])
    low, high = 0.0, 4.0
    for _ in range(40):
        middle = (low + high) / 2
        matrix = _rigid(centre_mm(prepared.fixed), axis, way, middle * wanted_mm * share)
        moved = points @ matrix[:3, :3].T + matrix[:3, 3]
        if np.linalg.norm(moved - points, axis=1).mean() < wanted_mm:
            low = middle
        else:
            high = middle
    return matrix


def _rigid(centre: Vector, axis: Vector, way: Vector, size: Vector) -> Matrix:
    """Rotation of ``size[0]`` mm at 50 mm from the centre, then a shift of ``size[1]`` mm."""
    turn = Rotation.from_rotvec(axis * size[0] / 50.0).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = centre - turn @ centre + way * size[1]
    return matrix


def figures_of(pair: Pair, prepared: Prepared, spoil: Matrix, best: Image) -> dict[str, Any]:
    """Figures of the exact map spoiled by a rigid one, all on the working grid.

    ``best``: the WMH that the exact map carries there.
    """
    transform = sitk.CompositeTransform([pair.truth, affine_transform(spoil)])
    grid, moving = prepared.fixed.image, prepared.moving
    soft = Image(moving.mask.astype(np.float32), moving.image.affine)
    carried = WorkingScan(carry(moving.image, grid, transform), carry(soft, grid, transform).data > 0.5)
    flat = np.ones(int(prepared.fixed.mask.sum()))
    found = Coregistration(transform, spoil, flat, prepared.fixed, carried, 0.0)
    label = carry(pair.wmh_flair, grid, transform)
    quality = judge(found, label, prepared.fixed.mask, volume_ml(best.data, grid.affine))
    overlap = dice(label.data > 0.3, best.data > 0.3)
    return {**quality.figures(), "label_dice": overlap}


def run(bed: Path, store: Path, count: int, seed: int, model: str | None = None) -> pd.DataFrame:
    """All misalignments, pair by pair; rows that are there are kept."""
    known = folders(bed)
    per_pair = -(-count // len(known))
    parts = []
    for place, folder in enumerate(known):
        file = store / f"quality_control_{folder.name}.csv"
        parts.append(of_pair(folder, file, (seed, place), per_pair, model))
    return pd.concat(parts, ignore_index=True)


def of_pair(
    folder: Path, file: Path, seeds: tuple[int, int], count: int, model: str | None = None
) -> pd.DataFrame:
    """``count`` misalignments of one pair, what is not in ``file`` yet added to it; judged anew."""
    rows = pd.read_csv(file) if file.exists() else pd.DataFrame()
    if len(rows) < count:
        more = _measure(opened(folder, model), seeds, range(len(rows), count))
        rows = pd.concat([rows, more], ignore_index=True)
        rows.to_csv(file, index=False)
        print(folder.name, file=sys.stderr, flush=True)
    return rows.assign(status=[_status(row) for row in rows[list(FIGURES)].to_dict("records")])


def _status(figures: dict[str, Any]) -> str:
    return verdict({name: None if np.isnan(value) else value for name, value in figures.items()})[0]


def _measure(there: Opened, seeds: tuple[int, int], numbers: range) -> pd.DataFrame:
    pair, prepared = there.pair, there.prepared
    best = carry(pair.wmh_flair, prepared.fixed.image, pair.truth)
    rows = []
    for number in numbers:
        rng = np.random.default_rng([*seeds, number])
        wanted, kind = float(rng.uniform(0, LARGEST_MM)), KINDS[number % 3]
        spoil = misalignment(prepared, wanted, kind, rng)
        drawn = {"pair": pair.name, "kind": kind, "error_mm": wanted}
        rows.append(drawn | figures_of(pair, prepared, spoil, best))
    return pd.DataFrame(rows)


def run_swaps(bed: Path, out: Path) -> pd.DataFrame:
    """Each CT with the FLAIR of the pair before it, another head, as the package brings them together."""
    rows = []
    for before, folder in pairwise(folders(bed)):
        file = out / f"swapped_{folder.name}.json"
        if not file.exists():
            file.write_text(json.dumps(_swapped(folder, before)))
            print("swapped", folder.name, file=sys.stderr, flush=True)
        rows.append(json.loads(file.read_text()))
    return pd.DataFrame(rows)


def _swapped(folder: Path, other: Path) -> dict[str, Any]:
    fixed, moving = opened(folder).prepared.fixed, opened(other).prepared.moving
    found = coregister_scans(fixed, moving)
    low, high = np.percentile(found.jacobian, [1, 99])
    return {
        "ct": folder.name,
        "flair": other.name,
        "csf_shift_mm": csf_shift_mm(found.ct, found.flair),
        "csf_correlation": csf_correlation(found.ct, found.flair),
        "brain_dice": dice(found.ct.mask, found.flair.mask),
        "jacobian_p01": float(low),
        "jacobian_p99": float(high),
    }


def auc_table(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """AUC of each figure for more than 3 and 5 mm, with 95 % intervals by resampling pairs."""
    result = []
    rng = np.random.default_rng(seed)
    pairs = rows.pair.unique()
    draws = [rng.choice(pairs, len(pairs)) for _ in range(RESAMPLES)]
    groups = dict(list(rows.groupby("pair")))
    for limit in LIMITS_MM:
        for figure in [name for name in FIGURES if rows[name].notna().any() and rows[name].nunique() > 1]:
            sign = 1.0 if figure in ("label_outside_brain_fraction", "csf_shift_mm") else -1.0
            values = [_auc(pd.concat([groups[name] for name in draw]), figure, limit, sign) for draw in draws]
            low, high = np.nanpercentile(values, [2.5, 97.5])
            result.append({"above_mm": limit, "figure": figure, "auc": _auc(rows, figure, limit, sign),
                           "low": low, "high": high, "n": len(rows)})  # fmt: skip
    return pd.DataFrame(result)


def _auc(rows: pd.DataFrame, figure: str, limit: float, sign: float) -> float:
    values = sign * rows[figure].fillna(rows[figure].median())
    if figure == "label_to_wmh_ratio":
        values = (rows[figure].fillna(1.0) - 1.0).abs()
    wrong = rows.error_mm > limit
    if not 0 < wrong.sum() < len(rows):
        return np.nan
    larger = mannwhitneyu(values[wrong], values[~wrong]).statistic
    return float(larger / (wrong.sum() * (~wrong).sum()))


def alarm_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Share sent to review or failed, by misalignment."""
    bands = pd.cut(rows.error_mm, [0, 1, 1.5, 2, 3, 5, 8, 12], include_lowest=True)
    stopped = rows.assign(stopped=rows.status != "accepted").groupby(bands, observed=True)
    return stopped.agg(
        n=("stopped", "size"),
        stopped=("stopped", "mean"),
        shift_mm=("csf_shift_mm", "mean"),
        shift_p5=("csf_shift_mm", lambda x: x.quantile(0.05)),
        shift_p95=("csf_shift_mm", lambda x: x.quantile(0.95)),
        correlation=("csf_correlation", "mean"),
        lowest=("csf_correlation", "min"),
        highest=("csf_correlation", "max"),
        label_dice=("label_dice", "mean"),
    )


def main() -> None:
    """Spoil, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--misalignments", type=int, default=300)
    parser.add_argument("--model", help="FLAIR bundle or packaged model whose brain is the FLAIR's mask")
    parser.add_argument("--swaps", action="store_true", help="two patients mixed, in place of misalignments")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.swaps:
        print(run_swaps(options.bed, options.out).describe().round(3).to_string())
        return
    store = rows_folder(options.out, "quality_control_rows", options.model)
    rows = run(options.bed, store, options.misalignments, options.seed, options.model)
    print(f"{len(rows)} misalignments of {rows.pair.nunique()} pairs")
    print(auc_table(rows, options.seed).round(3).to_string(index=False))
    print(alarm_table(rows).round(3).to_string())
    off = rows.csf_shift_mm - rows.error_mm
    print(f"csf_shift_mm less the misalignment: mean {off.mean():.3f}, SD {off.std():.3f} mm")


if __name__ == "__main__":
    main()
