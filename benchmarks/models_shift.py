"""Which shifts of lesion and infarct, and which limit of the brain, a default model is exported with.

python benchmarks/models_bed.py --bed BED --anatomies DIR --infarcts DIR --part validation --heads 50
python -m la_outcomes.pretraining ct --out RUN --anatomies DIR --infarcts DIR --bundle UNSHIFTED
python benchmarks/models_shift.py --bed BED --bundle UNSHIFTED --heads 24

Validation heads alone. The network is run once a head; all shifts (of the lesion's and the infarct's logits)
are tried on its own grid. Those kept have the largest CCC + mean DSC above 5 mL - 0.02 x false mL on
lesion-free heads - share of acute infarcts (above 1 mL) that is labelled. Then:
python -m la_outcomes.pretraining ct ... --bundle BUNDLE --shift X --infarct-shift Y.
With --into-card BUNDLE the limit of the brain's log odds whose intracranial volumes are least off goes into
the card's section ``brain``, which benchmarks/model_fits.py confirms or takes back.
"""

# ruff: noqa: E402 - the path is set before anything is imported: this folder holds a statistics.py
from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.model_rows import lost_of
from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.imaging.nifti import read_image, read_mask
from la_outcomes.segmentation.brain import ct_brain, flair_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle, read_card, write_card
from la_outcomes.segmentation.labels.wmh_model import flair_for_network
from la_outcomes.segmentation.outputs import INFARCT
from la_outcomes.segmentation.preprocessing import keep_volume
from la_outcomes.segmentation.reading import Reading, read_by_network
from la_outcomes.segmentation.volumetry import dice

SHIFTS = tuple(float(value) for value in np.arange(-1.5, 1.51, 0.25))
INFARCT_SHIFTS = (0.0, 0.5, 1.0, 1.5)
_LEAST_SHARE = 1e-6
BRAIN_LIMITS = (0.0, 0.5, 0.8, 1.0, 1.5)
BY = ("shift", "infarct_shift")
TRUTH = {"ct": "visible_ct", "flair": "wmh_flair"}

Floats = npt.NDArray[np.floating[Any]]


def read_head(folder: Path, bundle: Bundle, modality: str) -> Reading:
    """The network's log odds of a head of the bed."""
    image = read_image(folder / f"{modality}.nii.gz")
    if modality == "ct":
        return read_by_network(image, ct_brain(image).intracranial, bundle)
    rough = flair_brain(image).intracranial
    return read_by_network(flair_for_network(image, rough), rough, bundle)


def shifted(lesion: Floats, infarct: Floats, by: tuple[float, float]) -> tuple[Floats, Floats]:
    """Log odds of lesion and infarct as they are once their logits are shifted."""
    logs = [-np.logaddexp(0, -odds.astype(np.float64)) for odds in (lesion, infarct)]
    rest = np.log(np.maximum(1 - np.exp(logs[0]) - np.exp(logs[1]), _LEAST_SHARE))
    a, b = logs[0] + by[0], logs[1] + by[1]
    return a - np.logaddexp(b, rest), b - np.logaddexp(a, rest)


def rows_of_head(found: Reading, folder: Path, bundle: Bundle, modality: str) -> list[dict[str, Any]]:
    """One row a pair of shifts: volumes, Dice, shares of infarcts labelled."""
    lost_maps = lost_of(folder, modality)
    square = {name: found.crop.to_square(values, outside=0) for name, values in lost_maps.items()}
    soft = found.crop.to_square(read_mask(folder / f"{TRUTH[modality]}.nii.gz").data, outside=0)
    reference = keep_volume(soft)
    # where neither is likely no shift that is tried brings it about
    at = found.brain & (found.log_odds[bundle.outputs.names[0]] > -2 * max(SHIFTS) - 1)
    odds = [found.log_odds[name][at] for name in (bundle.outputs.names[0], INFARCT)]
    rows = []
    for by in itertools.product(SHIFTS, INFARCT_SHIFTS):
        lesion, infarct = shifted(*odds, by)
        mask = np.zeros(at.shape, bool)
        mask[at] = (lesion > 0) & ((infarct <= 0) | (modality != "ct"))
        row: dict[str, Any] = dict(zip(BY, by, strict=True)) | {"head": folder.name}
        row |= {"dice": dice(mask, reference) if soft.any() else None}
        row |= {"truth_ml": float(soft.sum()) * found.voxel_ml, "predicted_ml": mask.sum() * found.voxel_ml}
        for name, lost in square.items():
            total = float(lost.sum())
            counts = total * found.voxel_ml > 1
            row[f"{name}_labelled"] = float(lost[mask].sum()) / total if counts else None
        rows.append(row)
    return rows


def brain_errors(found: Reading, folder: Path, modality: str) -> dict[float, float]:
    """Error of the intracranial volume at each limit of the brain's log odds, share; none without a map."""
    file = folder / f"brain_{modality}.nii.gz"
    if not file.is_file():
        return {}
    truth = float(found.crop.to_square(read_mask(file).data, outside=0).sum())
    limits = [Reading(found.crop, found.log_odds, found.voxel_ml, limit) for limit in BRAIN_LIMITS]
    return {part.brain_from: float(part.brain.sum()) / truth - 1 for part in limits}


def summary(rows: pd.DataFrame) -> dict[str, float]:
    """What a shift brings, and its merit."""
    truth, found = rows["truth_ml"].to_numpy(), rows["predicted_ml"].to_numpy()
    told = {
        # a shift that finds nothing anywhere agrees with nothing
        "ccc": lins_ccc(truth, found).ccc if np.ptp(found) > 0 else 0.0,
        "slope": float(np.polyfit(truth, found, 1)[0]),
        "error_ml": float((found - truth).mean()),
        "false_ml": float(np.nan_to_num(found[truth < 1e-6].mean())) if (truth < 1e-6).any() else 0.0,
        "acute": float(rows["acute_labelled"].astype(float).mean()),
        "old": float(rows["old_labelled"].astype(float).mean()),
    }
    for least in (2, 5, 15):
        told[f"dsc_above_{least}"] = float(rows.loc[truth > least, "dice"].astype(float).mean())
    merit = told["ccc"] + told["dsc_above_5"] - 0.02 * told["false_ml"] - np.nan_to_num(told["acute"])
    return told | {"merit": float(merit)}


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="exported without a shift")
    parser.add_argument("--heads", type=int, default=24, help="of the validation part, from the first on")
    parser.add_argument("--into-card", type=Path, help="bundle whose card gets the brain's limit")
    asked = parser.parse_args(argv)
    modality = str(read_card(asked.bundle)["modality"]).lower()
    bundle = load_bundle(asked.bundle, modality=modality.upper())
    bundle = replace(bundle, card={**bundle.card, "brain": {"mask": "network"}})
    folders = sorted(path.parent for path in (asked.bed / "validation").glob("*/row.json"))[: asked.heads]
    rows, errors = [], []
    for folder in folders:
        found = read_head(folder, bundle, modality)
        rows += rows_of_head(found, folder, bundle, modality)
        errors.append(brain_errors(found, folder, modality))
    report(bundle, pd.DataFrame(rows), pd.DataFrame(errors).dropna(), asked.into_card)


def report(bundle: Bundle, rows: pd.DataFrame, errors: pd.DataFrame, into: Path | None) -> None:
    """Print both tables and what is best; write the brain's limit into a card."""
    table = pd.DataFrame(
        [dict(zip(BY, by, strict=True)) | summary(part) for by, part in rows.groupby(list(BY))]
    )
    print(f"{bundle.name}: {rows['head'].nunique()} validation heads")
    print(table.round(3).to_string(index=False))
    best = table.loc[table["merit"].idxmax()]
    print(f"shifts with the largest merit: {best['shift']:+.2f}, infarct {best['infarct_shift']:+.2f}")
    if errors.empty:
        return
    limit = float(errors.abs().mean().idxmin())
    told = ", ".join(f"{at:g}: {100 * error:+.1f} %" for at, error in errors.mean().items())
    print(
        f"intracranial volume by the brain's limit, mean error of {len(errors)} heads: {told}; kept {limit:g}"
    )
    if into is not None:
        write_card(into, read_card(into) | {"brain": {"mask": "network", "log_odds": limit}})


if __name__ == "__main__":
    main()
