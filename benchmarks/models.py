"""How good the two default models are on simulated heads they never saw; one row a volume, resumable.

python benchmarks/models_bed.py --bed BED --anatomies DIR --infarcts DIR --part test --heads 200
python benchmarks/models.py --bed BED --part test --ct BUNDLE --flair BUNDLE --out ROWS

Each head of the bed goes through the package's own inference. Rows: ``ROWS/ct.csv`` and ``ROWS/flair.csv``;
the tables printed are of these. Reference mask: as many voxels as the soft truth sums to, its largest first.
Ceiling (CT): a reader who is told where all white-matter lesions lie and how much of them shows, and picks
the darkest voxels of the noisy scan there, smoothed as suits it best.
"""

# ruff: noqa: E402 - the path is set before anything is imported: this folder holds a statistics.py
from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from benchmarks.model_rows import INFARCTS, Lost, ct_facts, flair_facts, lost_of
from benchmarks.model_tables import figures, report
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, read_mask
from la_outcomes.imaging.pictures import overlay_png
from la_outcomes.pretraining.ct_takes import HELD_OUT
from la_outcomes.segmentation.brain import flair_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle, read_card, write_card
from la_outcomes.segmentation.labels.wmh_model import flair_by_model
from la_outcomes.segmentation.measurement import HeadMeasurement
from la_outcomes.segmentation.preprocessing import keep_volume
from la_outcomes.segmentation.volumetry import dice
from la_outcomes.simulation.fields import bounding_box

SMOOTHINGS_MM = (0.0, 1.0, 2.0, 3.0)

Mask = npt.NDArray[np.bool_]


def facts(folder: Path, modality: str) -> dict[str, Any]:
    """What is known of a head, flat."""
    row = json.loads((folder / "row.json").read_text(encoding="utf-8"))
    scan = row[modality]
    names = ("head", "anatomy", "hours_from_onset", "tissue_volume_ml", "visible_la_volume_ml", "acute_ml",
             "old_ml", "icv_ml", "brain_volume_ml")  # fmt: skip
    taken = {"thickness_mm": scan["slice_thickness_mm"], "pixel_mm": scan["pixel_spacing_mm"]}
    if modality == "ct":
        taken |= {"vendor": scan["manufacturer"], "kernel": scan["kernel"], "kvp": scan["kvp"]}
        taken |= {"vendor_seen": scan["manufacturer"] != HELD_OUT, "tilt_deg": scan["gantry_tilt_deg"]}
    else:
        taken |= {"has_skull": scan["has_skull"]}
    return {name: row[name] for name in names} | taken


def score(mask: Mask, truth: Image, lost: Lost) -> dict[str, Any]:
    """Volumes, Dice and what was labelled of infarcts (``lost``: their soft maps by name)."""
    reference = keep_volume(truth.data)
    row = {
        "truth_ml": volume_ml(truth.data, truth.affine),
        "predicted_ml": volume_ml(mask, truth.affine),
        "dice": dice(mask, reference) if reference.any() else None,
    }
    for name in INFARCTS:
        total = float(lost[name].sum())
        row[f"{name}_labelled"] = float(lost[name][mask].sum()) / total if total > 0 else None
    return row


def ct_row(folder: Path, bundle: Bundle) -> dict[str, Any]:
    """One CT through the package's inference."""
    image, truth = read_image(folder / "ct.nii.gz"), read_mask(folder / "visible_ct.nii.gz", None)
    started = time.process_time()
    measured = HeadMeasurement(image, bundle)
    found = measured.segmentation()
    seconds = time.process_time() - started
    lost = lost_of(folder, "ct")
    row = facts(folder, "ct") | score(found.mask, truth, lost)
    row |= {"icv_found_ml": found.icv_ml, "cpu_seconds": round(seconds, 2)}
    row |= ct_facts(measured, found, lost, folder)
    return row | {"ceiling_dice": ceiling(image, truth, read_mask(folder / "tissue_ct.nii.gz", None))}


def flair_row(folder: Path, bundle: Bundle) -> dict[str, Any]:
    """One FLAIR through the package's own steps."""
    image, truth = read_image(folder / "flair.nii.gz"), read_mask(folder / "wmh_flair.nii.gz", None)
    started = time.process_time()
    rough = flair_brain(image).intracranial
    found = flair_by_model(image, rough, bundle)
    soft = found.wmh.soft
    seconds = time.process_time() - started
    lost = lost_of(folder, "flair")
    row = facts(folder, "flair") | score(soft.data > 0.5, truth, lost)
    row |= {"soft_ml": volume_ml(soft.data, soft.affine), "cpu_seconds": round(seconds, 2)}
    return row | flair_facts(rough, found, lost, folder)


def ceiling(image: Image, truth: Image, tissue: Image) -> float | None:
    """Dice of the reader who knows where lesions lie and how much shows, and sees the noisy scan alone."""
    whole = tissue.data > 0.1
    if not whole.any() or round(float(truth.data.sum(dtype=np.float64))) == 0:
        return None
    reach = int(np.ceil(4 * max(SMOOTHINGS_MM) / min(image.spacing_mm[:2]))) + 1
    there = whole | (truth.data > 0)
    box = (*bounding_box(there, margin=reach)[:2], bounding_box(there, margin=0)[2])
    reference, where, near = keep_volume(truth.data[box]), whole[box], image.data[box].astype(np.float32)
    count = int(reference.sum())
    best = 0.0
    for width in SMOOTHINGS_MM:
        sigma = [width / image.spacing_mm[0], width / image.spacing_mm[1], 0]
        values = ndimage.gaussian_filter(near, sigma)[where]
        picked = np.zeros(reference.shape, dtype=bool)
        chosen = np.zeros(values.size, dtype=bool)
        chosen[np.argsort(values)[:count]] = True
        picked[where] = chosen
        best = max(best, dice(picked, reference) or 0.0)
    return best


def rows_of(bed: Path, part: str, bundle: Bundle, modality: str, out: Path) -> pd.DataFrame:
    """Rows of every head of the bed that is there; those in the table already are not made again."""
    file = out / f"{modality}.csv"
    known = pd.read_csv(file) if file.exists() else pd.DataFrame()
    if len(known) and set(known["model_sha256"]) != {bundle.model_sha256}:
        raise SystemExit(f"{file} holds rows of another model")
    done = set(known["head"]) if len(known) else set()
    make = ct_row if modality == "ct" else flair_row
    for folder in sorted(path.parent for path in (bed / part).glob("*/row.json")):
        if f"{part}{folder.name}" in done:
            continue
        row = make(folder, bundle) | {"model_sha256": bundle.model_sha256}
        out.mkdir(parents=True, exist_ok=True)
        pd.DataFrame([row]).to_csv(file, mode="a", header=not file.exists(), index=False)
    return pd.read_csv(file)


def real_ct(path: Path, bundle: Bundle, out: Path) -> str:
    """What the model says of a real CT, and a picture of it."""
    image = read_image(path)
    found = HeadMeasurement(image, bundle).segmentation()
    shown = [(found.mask, "red", "LA")]
    shown += [] if found.infarct is None else [(found.infarct, "blue", "infarct")]
    overlay_png(out / f"{_name(path)}.png", image, shown, title=f"{_name(path)} by {bundle.name}")
    infarct = "not told" if found.infarct_found_ml is None else f"{found.infarct_found_ml:.1f} mL"
    return (
        f"- {_name(path)}: LA {found.la_volume_ml:.1f} mL, infarct {infarct}, "
        f"inside the skull {found.icv_ml:.0f} mL, warning: {found.input_warning}"
    )


def real_flair(path: Path, bundle: Bundle, out: Path) -> str:
    """What the model says of a real FLAIR, and a picture of it."""
    image = read_image(path)
    found = flair_by_model(image, flair_brain(image).intracranial, bundle)
    soft = found.wmh.soft
    shown = [(soft.data > 0.5, "red", "WMH")]
    if found.infarct is not None:
        shown.append((found.infarct.data > 0.5, "blue", "infarct"))
    bright = (0.0, float(np.percentile(image.data, 99.7)))
    title = f"{_name(path)} by {bundle.name}"
    overlay_png(out / f"{_name(path)}.png", image, shown, title=title, window=bright)
    whole = volume_ml(soft.data > 0.5, image.affine)
    return f"- {_name(path)}: WMH {whole:.1f} mL (soft {found.wmh.volume_ml:.1f})"


SHOW = {"ct": real_ct, "flair": real_flair}


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bed", type=Path, required=True)
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--ct", type=Path, help="bundle of the CT model")
    parser.add_argument("--flair", type=Path, help="bundle of the FLAIR model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--real-ct", type=Path, nargs="*", default=[], help="CTs to be looked at")
    parser.add_argument("--real-flair", type=Path, nargs="*", default=[], help="FLAIRs to be looked at")
    parser.add_argument(
        "--into-card", type=Path, help="bundle whose card gets the figures; one model at a time"
    )
    asked = parser.parse_args(argv)
    made = {"ct": asked.ct, "flair": asked.flair}
    for modality, path in made.items():
        if path is not None:
            bundle = load_bundle(path, modality=modality.upper())
            rows = rows_of(asked.bed, asked.part, bundle, modality, asked.out)
            print(report(rows, bundle.name), end="\n\n")
            if asked.into_card is not None:
                write_card(
                    asked.into_card, read_card(asked.into_card) | {"figures": figures(rows, asked.part)}
                )
            shown = asked.real_ct if modality == "ct" else asked.real_flair
            print(*(SHOW[modality](scan, bundle, asked.out) for scan in shown), sep="\n")


if __name__ == "__main__":
    main()
