"""Does going on from a default model on a few own pairs help where scans look different?

python benchmarks/fine_tuning.py --out DIR [--anatomies DIR] [--infarcts DIR] [--model la-ct-sim] [--pairs 20]
    [--test 12] [--epochs 10] [--iterations 25] [--preset small]

"Own" pairs are simulated with a scanner the model never saw: HU that run 4 too high, half as much noise
again, blur twice as wide. ``la-outcomes label`` makes their pseudo-labels from the WMH masks that come with
the FLAIRs, ``train --init-from`` goes on from the model, and test heads of other anatomies are segmented with
the model as it is and as it has become. Both are held against all WMH drawn on the CT (what the labels are
made of) and against the LA that leaves contrast on it. Each step goes on where it was stopped.
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
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.imaging.nifti import read_mask
from la_outcomes.segmentation.cases import read_scans
from la_outcomes.segmentation.inference import segment_scans
from la_outcomes.segmentation.labels.pseudo_labels import label_pairs
from la_outcomes.segmentation.packaged import LA_MODEL, bundle_path
from la_outcomes.segmentation.preprocessing import keep_volume
from la_outcomes.segmentation.training.recipes import recipe
from la_outcomes.segmentation.training.run import TrainingJob, train
from la_outcomes.segmentation.volumetry import dice
from la_outcomes.simulation.cohort import simulate_cohort
from la_outcomes.simulation.parameters import load_parameters

HU_OFFSET = 4.0
NOISE_FACTOR = 1.5
BLUR_FACTOR = 2.0
TRUTHS = {"all WMH": "truth_tissue_ct", "visible LA": "truth_visible_ct"}
SEED = 77


def another_look() -> dict[str, Any]:
    """The simulator's parameters for a scanner that was not trained on."""
    ct = load_parameters()["image"]["ct"]
    vendors = {
        name: {
            "hu_offset": HU_OFFSET,
            "psf_mm": BLUR_FACTOR * vendor["psf_mm"],
            "noise_hu_at_5_mm": NOISE_FACTOR * vendor["noise_hu_at_5_mm"],
        }
        for name, vendor in ct["vendors"].items()
    }
    limits = [NOISE_FACTOR * value for value in ct["noise_range_hu"]]
    return load_parameters({"image": {"ct": {"vendors": vendors, "noise_range_hu": limits}}})


def draw(asked: argparse.Namespace) -> Path:
    """Own pairs and test heads; returns the folder with scans.csv and pairs.csv."""
    validation = max(asked.pairs // 5, 1)
    cohorts = {"training": asked.pairs - validation, "internal_validation": validation}
    folder: Path = asked.out / "scans"
    simulate_cohort(
        folder, cohorts | {"external_test": asked.test}, SEED, anatomies=asked.anatomies,
        infarcts=asked.infarcts, preset=asked.preset, parameters=another_look(),
    )  # fmt: skip
    return folder


def tuned(asked: argparse.Namespace, folder: Path, start: Path) -> Path:
    """The bundle that has gone on from ``start`` on the own pairs."""
    table = pd.read_csv(folder / "pairs.csv", dtype=str, keep_default_na=False)
    own = table[table["cohort"] != "external_test"]
    own.to_csv(folder / "own_pairs.csv", index=False)
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
    table = pd.read_csv(folder / "scans.csv", dtype=str, keep_default_na=False)
    table[table["cohort"] == "external_test"].to_csv(folder / "test_scans.csv", index=False)
    segment_scans(folder / "test_scans.csv", bundle, asked.out / name)
    rows = []
    for case in read_scans(folder / "test_scans.csv", modality="CT"):
        found = asked.out / name / "masks" / f"{case.scan_id}.nii.gz"
        for truth, file in TRUTHS.items():
            drawn = read_mask(case.path.with_name(f"{file}.nii.gz"))
            reference = keep_volume(drawn.data)
            row = {"scan_id": case.scan_id, "truth": truth, "true_ml": volume_ml(drawn.data, drawn.affine)}
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
    parser.add_argument("--anatomies", type=Path)
    parser.add_argument("--infarcts", type=Path)
    parser.add_argument("--model", default=LA_MODEL)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--test", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--preset", default="small")
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
