"""How much of an infarct is found on CT and FLAIR when nobody drew it, and how much WMH is lost for it.

python benchmarks/infarcts.py --bed DIR --out DIR [--model wmh-flair-sim]

By the search for one-sided signal on both scans; with a model by its infarct on FLAIR as well, whether or
not its card lets ``label`` use that, and the search sees its brain mask. For each pair of
``benchmarks/coregistration_bed.py`` the FLAIR is carried by the exact map, and the WMH map is what a tool
would give that takes a FLAIR-bright infarct for WMH: both together. Prints the volume taken out against the
infarct's, and the WMH taken out by mistake.
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
import pandas as pd

from benchmarks import one_thread  # noqa: F401
from benchmarks.coregistration_bed import Pair, folders
from benchmarks.coregistration_opened import opened, rows_folder
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.labels.coregistration import Coregistration, carry
from la_outcomes.segmentation.labels.infarct import infarct_on_working_grid
from la_outcomes.segmentation.labels.working import Volume, WorkingScan
from la_outcomes.simulation.split import part_of_anatomy


def measure(folder: Path, model: str | None = None) -> list[dict[str, Any]]:
    """Volumes (mL, on the working grid) of one pair, a row a way to know the infarct."""
    there = opened(folder, model)
    pair, prepared = there.pair, there.prepared
    grid, moving = prepared.fixed.image, prepared.moving
    soft = Image(moving.mask.astype(np.float32), moving.image.affine)
    mask = carry(soft, grid, pair.truth).data > 0.5
    on_ct = WorkingScan(carry(moving.image, grid, pair.truth), mask)
    found = Coregistration(pair.truth, np.eye(4), np.ones(1), prepared.fixed, on_ct, 0.0)
    ways = {"search": infarct_on_working_grid(found).astype(np.float32)}
    if there.seen is not None and there.seen.infarct is not None:
        ways["network"] = carry(there.seen.infarct, grid, pair.truth).data
    facts = {"pair": pair.name, "drawn_ml": pair.facts["infarct_ml"], "on": pair.facts["infarct_on"]}
    facts["head"] = part_of_anatomy(pair.facts["anatomy"])
    return [{**facts, "by": way, **_volumes(pair, seen, grid)} for way, seen in ways.items()]


def _volumes(pair: Pair, seen: Volume, grid: Image) -> dict[str, float]:
    """What is taken out, rightly and wrongly, where ``seen`` (share of infarct, 0..1) is."""
    infarct, wmh = (carry(x, grid, pair.truth).data for x in (pair.infarct_flair, pair.wmh_flair))
    return {
        "infarct_on_flair_ml": volume_ml(infarct, grid.affine),
        "found_ml": volume_ml(seen, grid.affine),
        "taken_out_ml": volume_ml(seen * infarct, grid.affine),
        "wmh_ml": volume_ml(wmh, grid.affine),
        "wmh_lost_ml": volume_ml(seen * wmh, grid.affine),
    }


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """By infarct volume on FLAIR: what is taken out of it, and WMH lost."""
    bands = pd.cut(
        rows.infarct_on_flair_ml, [-1, 0.1, 5, 20, 500], labels=["none", "to 5", "5 to 20", "above 20"]
    )
    shares = rows.assign(
        taken=rows.taken_out_ml / rows.infarct_on_flair_ml.where(rows.infarct_on_flair_ml > 0.1),
        error_ml=rows.taken_out_ml + rows.wmh_lost_ml - rows.infarct_on_flair_ml,
        lost=rows.wmh_lost_ml / rows.wmh_ml,
    )
    return shares.groupby(["by", bands], observed=True).agg(
        n=("pair", "size"),
        infarct_ml=("infarct_on_flair_ml", "mean"),
        found=("found_ml", lambda x: (x > 0.5).mean()),
        taken_share=("taken", "mean"),
        removed_minus_true_ml=("error_ml", "mean"),
        removed_error_ml=("error_ml", lambda x: x.abs().mean()),
        wmh_lost_ml=("wmh_lost_ml", "mean"),
        wmh_lost_share=("lost", "mean"),
    )


def main() -> None:
    """Measure each pair once, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", help="a FLAIR bundle or a packaged model")
    parser.add_argument("--from-pair", type=int, default=0, help="leave out the pairs before this one")
    options = parser.parse_args()
    store = rows_folder(options.out, "infarct_rows", options.model)
    parts: list[dict[str, Any]] = []
    for folder in folders(options.bed)[options.from_pair :]:
        file = store / f"{folder.name}.json"
        if not file.exists():
            file.write_text(json.dumps(measure(folder, options.model), default=float))
            print(file.read_text(), file=sys.stderr, flush=True)
        parts.extend(json.loads(file.read_text()))
    rows = pd.DataFrame(parts)
    print(summary(rows).round(3).to_string())
    if options.model is not None:
        unseen = rows[rows["head"] == "test"]
        print(f"heads that no training of the package saw\n{summary(unseen).round(3).to_string()}")


if __name__ == "__main__":
    main()
