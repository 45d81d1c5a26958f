"""Phantom pairs on disk with their PAIRS.csv."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pair_phantom import make_pair

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image


def write_pairs(
    folder: Path, names: list[str], spoil: Callable[[dict[str, Any]], None] | None = None
) -> Path:
    """PAIRS.csv of one phantom pair a name; ``spoil`` changes a row (paths of files) before it is written."""
    rows = []
    for number, name in enumerate(names):
        pair = make_pair(angles_deg=(6, -4, 8), shift_mm=(5, -6, 4), seed=number)
        images = {
            "ct_path": Image(pair.ct.data.astype(np.int16), pair.ct.affine),
            "flair_path": pair.flair,
            "wmh_mask_path": pair.wmh_flair,
            "wmh_ct_path": pair.wmh_ct,
            "infarct_mask_path": Image(np.zeros(pair.flair.shape, np.float32), pair.flair.affine),
        }
        row: dict[str, Any] = {
            "patient_id": name,
            "cohort": "training",
            "ct_scan_id": f"{name}-ct",
            "flair_scan_id": f"{name}-flair",
            "days_between": 1,
        }
        for column, image in images.items():
            place = folder / name / f"{column.removesuffix('_path')}.nii.gz"
            row[column] = str(write_image(place, image))
        if spoil is not None:
            spoil(row)
        del row["wmh_ct_path"]
        rows.append(row)
    table = folder / "pairs.csv"
    pd.DataFrame(rows).to_csv(table, index=False)
    return table
