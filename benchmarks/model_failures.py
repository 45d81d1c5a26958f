"""Pictures of what the default models do worst on heads of the bed: for the page of their figures.

python benchmarks/model_failures.py --bed BED --rows ROWS --ct BUNDLE --flair BUNDLE --out docs/images

CT: the lowest DSC above 5 mL. FLAIR: the acute infarct above 5 mL of which most is called WMH. ``ROWS`` is
what ``benchmarks/models.py`` wrote for the test part.
"""

# ruff: noqa: E402 - this folder is taken off the path before anything is imported.
from __future__ import annotations

import os
import sys

sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from la_outcomes.imaging.nifti import read_image, read_mask
from la_outcomes.imaging.pictures import overlay_png
from la_outcomes.segmentation.brain import flair_brain
from la_outcomes.segmentation.bundle import load_bundle
from la_outcomes.segmentation.labels.wmh_model import flair_by_model
from la_outcomes.segmentation.measurement import HeadMeasurement
from la_outcomes.segmentation.preprocessing import keep_volume

SLICES = 4
LEAST_ML = 5.0


def worst_ct(bed: Path, rows: pd.DataFrame, model: Path, file: Path) -> str:
    """Draw the CT with the lowest DSC; returns what was drawn."""
    row = rows[rows["truth_ml"] > LEAST_ML].sort_values("dice").iloc[0]
    folder = bed / "test" / str(row["head"])[-4:]
    image, bundle = read_image(folder / "ct.nii.gz"), load_bundle(model)
    found = HeadMeasurement(image, bundle).segmentation()
    drawn = keep_volume(read_mask(folder / "visible_ct.nii.gz").data)
    title = (
        f"Simulated CT, DSC {row['dice']:.2f}, drawn {row['truth_ml']:.1f} mL, "
        f"found {row['predicted_ml']:.1f} mL"
    )
    shown = [(drawn, "lime", "drawn"), (found.mask, "red", bundle.name)]
    overlay_png(file, image, shown, title=title, n_slices=SLICES)
    return f"{file.name}: {row['head']}, {title}"


def worst_flair(bed: Path, rows: pd.DataFrame, model: Path, file: Path) -> str:
    """Draw the FLAIR whose acute infarct is called WMH the most; returns what was drawn."""
    row = rows[rows["acute_ml"] > LEAST_ML].sort_values("acute_labelled").iloc[-1]
    folder = bed / "test" / str(row["head"])[-4:]
    image, bundle = read_image(folder / "flair.nii.gz"), load_bundle(model, modality="FLAIR")
    found = flair_by_model(image, flair_brain(image).intracranial, bundle).wmh.soft
    drawn = keep_volume(read_mask(folder / "wmh_flair.nii.gz").data)
    title = (
        f"Simulated FLAIR, an acute infarct of {row['acute_ml']:.0f} mL, "
        f"{100 * row['acute_labelled']:.0f} % of it called WMH"
    )
    shown = [(drawn, "lime", "drawn"), (found.data > 0.5, "red", bundle.name)]
    bright = (0.0, float(np.percentile(image.data, 99.7)))
    overlay_png(file, image, shown, title=title, n_slices=SLICES, window=bright)
    return f"{file.name}: {row['head']}, {title}"


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--rows", type=Path, required=True, help="folder of ct.csv and flair.csv")
    parser.add_argument("--ct", type=Path, help="bundle of the CT model")
    parser.add_argument("--flair", type=Path, help="bundle of the FLAIR model")
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    asked = parser.parse_args(argv)
    draw = {"ct": worst_ct, "flair": worst_flair}
    for modality, model in (("ct", asked.ct), ("flair", asked.flair)):
        if model is not None:
            rows = pd.read_csv(asked.rows / f"{modality}.csv")
            print(draw[modality](asked.bed, rows, model, asked.out / f"model_failure_{modality}.png"))


if __name__ == "__main__":
    main()
