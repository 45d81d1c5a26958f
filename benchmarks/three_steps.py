"""Where is volume and overlap lost? Native WMH, label on CT, prediction: three steps on simulated test heads.

python benchmarks/three_steps.py PAIRS.csv LABELS_DIR PREDICTIONS [--cohort external_test]

PAIRS.csv lists simulated pairs (their truth lies beside the images), LABELS_DIR is what ``label`` wrote for
them, PREDICTIONS what ``segment`` wrote. Step 1: the WMH mask on FLAIR against the volume drawn. Step 2: the
label on CT against all WMH drawn there. Step 3: the prediction against the label and against the LA drawn
visible. Prints one row a head, then Dice (mean, median) and Lin's concordance, slope and bias of each step.
"""

# ruff: noqa: E402 - this folder is taken off the path before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics`` behind statistics.py.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, read_mask
from la_outcomes.segmentation.cases import PairCase, read_pairs
from la_outcomes.segmentation.evaluation import binary
from la_outcomes.segmentation.inference import SHARD_KIND
from la_outcomes.segmentation.volumetry import dice
from la_outcomes.shards import read_shard

STEPS = (
    ("native WMH, tissue drawn", "tissue_ml", "wmh_ml", None),
    ("label, native WMH", "wmh_ml", "label_ml", None),
    ("label, all WMH drawn on CT", "tissue_ml", "label_ml", "label_dsc"),
    ("prediction, label", "label_ml", "prediction_ml", "prediction_label_dsc"),
    ("prediction, LA drawn visible", "visible_ml", "prediction_ml", "prediction_visible_dsc"),
    ("prediction, native WMH", "wmh_ml", "prediction_ml", None),
)


def prediction_paths(folder: Path) -> dict[str, Path]:
    """Mask of each measured scan of a folder that ``segment`` wrote."""
    shards = [read_shard(file) for file in sorted((folder / "shards").glob(f"{SHARD_KIND}-*.json"))]
    rows = [row for shard in shards for row in shard["rows"]["la_measurements"]]
    return {row["scan_id"]: folder / row["mask_path"] for row in rows if row.get("mask_path")}


def head_row(case: PairCase, label: Path, prediction: Path) -> dict[str, object]:
    """Volumes (mL) and Dice of one head at each step."""
    ct = read_image(case.ct.path)
    flair = read_image(case.flair.path)
    truth_on_flair = read_mask(case.flair.path.with_name("truth_wmh_flair.nii.gz"), like=flair)
    on_ct = {
        "label": _on(ct, label),
        "prediction": _on(ct, prediction),
        "tissue": _on(ct, case.ct.path.with_name("truth_tissue_ct.nii.gz")),
        "visible": _on(ct, case.ct.path.with_name("truth_visible_ct.nii.gz")),
    }
    volumes = {f"{name}_ml": volume_ml(mask, ct.affine) for name, mask in on_ct.items()}
    return {
        "head": case.case_id,
        "anatomy": case.anatomy,
        "wmh_ml": volume_ml(truth_on_flair.data, flair.affine),
        **volumes,
        "label_dsc": dice(on_ct["label"], on_ct["tissue"]),
        "prediction_label_dsc": dice(on_ct["prediction"], on_ct["label"]),
        "prediction_visible_dsc": dice(on_ct["prediction"], on_ct["visible"]),
    }


def _on(ct: Image, path: Path) -> npt.NDArray[np.bool_]:
    return binary(read_mask(path, like=ct), path)


def step_row(name: str, heads: pd.DataFrame, columns: tuple[str, str, str | None]) -> dict[str, object]:
    """Agreement of one step; slope and bias of the second volume on the first."""
    reference, measured, overlap = columns
    x, y = heads[reference].to_numpy(float), heads[measured].to_numpy(float)
    row: dict[str, object] = {
        "step (measured, reference)": name,
        "CCC": lins_ccc(x, y).ccc,
        "r": float(np.corrcoef(x, y)[0, 1]),
        "slope": float(np.polyfit(x, y, 1)[0]),
        "bias, mL": float((y - x).mean()),
        "DSC": "",
        "median DSC": "",
    }
    if overlap is not None:
        row |= {"DSC": float(heads[overlap].mean()), "median DSC": float(heads[overlap].median())}
    return row


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, numbers with two or three decimals."""
    rows = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.values]
    lines = [list(table.columns), ["---"] * len(table.columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print heads and steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--cohort", default="external_test")
    options = parser.parse_args(arguments)
    predictions = prediction_paths(options.predictions)
    rows = []
    for case in read_pairs(options.pairs):
        label = options.labels / "labels" / f"{case.case_id}.nii.gz"
        if case.cohort == options.cohort and label.is_file() and case.case_id in predictions:
            rows.append(head_row(case, label, predictions[case.case_id]))
    heads = pd.DataFrame(rows)
    if len(heads) < 3:
        sys.exit(f"{len(heads)} heads have a label and a prediction; 3 are needed")
    print(markdown(heads))
    steps = [step_row(name, heads, columns) for name, *columns in STEPS]
    print(f"\n{len(heads)} heads of {heads['anatomy'].nunique()} anatomies\n")
    print(markdown(pd.DataFrame(steps)))


if __name__ == "__main__":
    main()
