"""Does going on from a default model on a few own pairs help where scans look different?

la-outcomes simulate --out SCANS --patients N --seed S [--anatomies DIR] [--infarcts DIR]
python benchmarks/fine_tuning.py --scans SCANS --out DIR [--model la-ct-sim] [--pairs 20] [--test 15]
    [--exact] [--epochs 10] [--iterations 25] [--learning-rate 5e-4]

"Own" CTs are those of a simulated cohort with the look of a scanner the model never saw: HU that run 4 too
high, contrast about 30 HU reduced to 85 %, more blur and more noise. ``la-outcomes label`` makes
pseudo-labels of pairs of the training cohorts from the WMH masks that come with the FLAIRs (``--exact``: the
simulation's own map carries them instead), ``train --init-from`` goes on from the model, and test heads of
other anatomies are segmented with the model as it is and as it has become. Both are held against all WMH
drawn on the CT (what the labels are made of) and against the LA that leaves contrast on it. Each step goes on
where it was stopped.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.segmentation.inference import segment_scans
from la_outcomes.segmentation.labels.pseudo_labels import label_pairs
from la_outcomes.segmentation.packaged import LA_MODEL, bundle_path
from la_outcomes.segmentation.preprocessing import keep_volume
from la_outcomes.segmentation.training.recipes import recipe
from la_outcomes.segmentation.training.run import TrainingJob, train
from la_outcomes.segmentation.volumetry import dice

HU_OFFSET = 4.0
CONTRAST = 0.85
CONTRAST_RANGE_HU, CONTRAST_CENTRE_HU = (-20.0, 80.0), 30.0
BLUR_MM = 0.6
NOISE_HU = 4.0
TRUTHS = {"all WMH": "truth_tissue_ct", "visible LA": "truth_visible_ct"}


def another_look(image: Image, seed: int) -> Image:
    """A CT (HU) as a scanner of lower contrast, more blur and noise, and HU that run high would show it."""
    sigmas = [BLUR_MM / step for step in image.spacing_mm[:2]]
    values = ndimage.gaussian_filter(image.data.astype(np.float32), [*sigmas, 0])
    brain = np.clip(values, *CONTRAST_RANGE_HU)
    values += (CONTRAST - 1) * (brain - CONTRAST_CENTRE_HU) + HU_OFFSET
    noise = np.random.default_rng(seed).normal(0, 1, values.shape).astype(np.float32)
    noise = ndimage.gaussian_filter(noise, [0.8 * sigma for sigma in sigmas] + [0])
    values += NOISE_HU * noise / noise.std()
    return Image(np.clip(np.rint(values), -1024, 3071).astype(np.int16), image.affine)


def draw(asked: argparse.Namespace) -> Path:
    """CTs with another look and the tables of own pairs and test scans; returns their folder."""
    folder: Path = asked.out / "scans"
    scans, pairs = (
        pd.read_csv(asked.scans / f"{name}.csv", dtype=str, keep_default_na=False)
        for name in ("scans", "pairs")
    )
    own = pairs[pairs["cohort"].isin(["training", "internal_validation"])]
    shares = {"internal_validation": max(asked.pairs // 5, 1)}
    shares["training"] = asked.pairs - shares["internal_validation"]
    own = pd.concat([own[own["cohort"] == name].head(count) for name, count in shares.items()])
    test = scans[(scans["cohort"] == "external_test") & (scans["modality"] == "CT")].head(asked.test).copy()
    for table in (own, test):
        for column in [name for name in table if str(name).endswith("path")]:
            places = table[column].map(lambda path: str((asked.scans / path).resolve()) if path else "")
            table[column] = places
    own["ct_path"] = _looking_otherwise(own["ct_path"], own["ct_scan_id"], folder)
    test["truth"] = test["path"].map(lambda path: str(Path(path).parent))
    test["path"] = _looking_otherwise(test["path"], test["scan_id"], folder)
    own.to_csv(folder / "own_pairs.csv", index=False)
    test[["scan_id", "truth"]].to_csv(folder / "truth.csv", index=False)
    test.drop(columns="truth").to_csv(folder / "test_scans.csv", index=False)
    return folder


def _looking_otherwise(paths: pd.Series[str], ids: pd.Series[str], folder: Path) -> list[str]:
    """Write each CT with another look, named by its id."""
    written = []
    for path, scan_id in zip(paths, ids, strict=True):
        file = folder / "ct" / f"{scan_id}.nii.gz"
        if not file.exists():
            seed = int.from_bytes(scan_id.encode(), "big") % 2**32
            write_image(file, another_look(read_image(path), seed))
        written.append(str(file.resolve()))
    return written


def exact_labels(folder: Path, out: Path) -> None:
    """Labels as a faultless coregistration would carry them: all WMH drawn on the CT, infarct out."""
    own = pd.read_csv(folder / "own_pairs.csv", dtype=str, keep_default_na=False)
    names = {}
    for row in own.itertuples():
        place = Path(row.flair_path).parent
        drawn = read_mask(place / "truth_tissue_ct.nii.gz")
        lost = place / "infarct_ct.nii.gz"
        share = np.where(read_mask(lost).data > 0.5, 0, drawn.data) if lost.is_file() else drawn.data
        names[row.ct_scan_id] = f"labels/{row.ct_scan_id}.nii.gz"
        label = Image(keep_volume(share).astype(np.uint8), drawn.affine)
        write_image(out / names[row.ct_scan_id], label)
    kept = own[["ct_scan_id", "patient_id", "cohort", "site", "anatomy", "ct_path"]]
    table = kept.assign(label_path=own["ct_scan_id"].map(names), status="accepted", reason="")
    table.to_csv(out / "labels.csv", index=False)


def tuned(asked: argparse.Namespace, folder: Path, start: Path) -> Path:
    """The bundle that has gone on from ``start`` on the own pairs."""
    if asked.exact:
        exact_labels(folder, asked.out / "labels")
    else:
        label_pairs(folder / "own_pairs.csv", asked.out / "labels", infarcts="mask")
    schedule = recipe(
        smoke=True, epochs=asked.epochs, iterations=asked.iterations, learning_rate=asked.learning_rate
    )
    schedule = replace(schedule, validation_iterations=2)
    started = time.process_time()
    job = TrainingJob(asked.out / "labels", asked.out / "tuned", schedule, device="cpu", init_from=start)
    bundle = train(job)
    training = bundle.card["training"]
    print(f"{training['split']}; {training['patients']} pairs, {time.process_time() - started:.0f} CPU s")
    return bundle.path


def scores(asked: argparse.Namespace, folder: Path, bundle: Path, name: str) -> pd.DataFrame:
    """One row a test CT and truth: Dice and volumes."""
    segment_scans(folder / "test_scans.csv", bundle, asked.out / name)
    rows = []
    for scan_id, place in pd.read_csv(folder / "truth.csv", dtype=str).itertuples(index=False):
        found = asked.out / name / "masks" / f"{scan_id}.nii.gz"
        for truth, file in TRUTHS.items():
            drawn = read_mask(Path(place) / f"{file}.nii.gz")
            reference = keep_volume(drawn.data)
            row = {"scan_id": scan_id, "truth": truth, "true_ml": volume_ml(drawn.data, drawn.affine)}
            if found.is_file():
                mask = read_mask(found).data > 0
                row |= {"dsc": dice(mask, reference), "found_ml": volume_ml(mask, drawn.affine)}
            rows.append(row)
    return pd.DataFrame(rows).assign(model=name)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """By truth and model: scans measured, mean and median Dice above 2 mL, mean error, CCC."""
    lines = []
    for (truth, model), part in rows.groupby(["truth", "model"]):
        measured = part.dropna(subset=["found_ml"])
        large = measured[measured["true_ml"] > 2]["dsc"]
        off = measured["found_ml"] - measured["true_ml"]
        lines.append(
            {
                "against": truth,
                "model": model,
                "n": len(measured),
                "not measured": len(part) - len(measured),
                "mean DSC > 2 mL": large.mean(),
                "median": large.median(),
                "mean error, mL": off.mean(),
                "mean absolute error, mL": off.abs().mean(),
                "CCC": lins_ccc(measured["true_ml"], measured["found_ml"]).ccc,
            }
        )
    return pd.DataFrame(lines)


def paired(rows: pd.DataFrame) -> str:
    """Change of Dice and of absolute error from the model as it is to the one fine-tuned, with its SE."""
    told = []
    for truth, part in rows.groupby("truth"):
        part = part.assign(error=(part["found_ml"] - part["true_ml"]).abs())
        part.loc[part["true_ml"] <= 2, "dsc"] = np.nan
        for column, unit in (("dsc", ""), ("error", " mL")):
            wide = part.pivot(index="scan_id", columns="model", values=column).astype(float)
            change = (wide["tuned"] - wide["as shipped"]).dropna()
            se = change.std(ddof=1) / np.sqrt(len(change))
            told.append(f"{truth}: {column} {change.mean():+.3f}{unit} (SE {se:.3f}, n {len(change)})")
    return "\n".join(told)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scans", type=Path, required=True, help="folder that simulate wrote")
    parser.add_argument("--model", default=LA_MODEL)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--test", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--exact", action="store_true", help="labels without errors of coregistration")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    asked = parser.parse_args(argv)
    start = bundle_path(asked.model)
    folder = draw(asked)
    own = tuned(asked, folder, start)
    rows = pd.concat(
        [scores(asked, folder, path, name) for name, path in (("as shipped", start), ("tuned", own))]
    )
    rows.to_csv(asked.out / "scores.csv", index=False)
    print(summary(rows).round(3).to_string(index=False))
    print(paired(rows))


if __name__ == "__main__":
    main()
