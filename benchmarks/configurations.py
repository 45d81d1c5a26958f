"""Which grid and network? Each trained on the same pseudo-labels for the same number of samples, then scored.

python benchmarks/configurations.py LABELS_DIR SCANS.csv --out DIR [--accepted CSV] [--epochs N]
    [--iterations N] [--start DIR] [--only NAME ...] [--bed BED --heads N] [--no-training]

Trains every configuration of ``la-outcomes train --configuration`` (a killed run goes on), predicts the CTs
of the cohort internal_validation in SCANS.csv, whose simulated truth lies beside them, and prints Dice and
Lin's concordance against the LA drawn visible, and processor seconds a case. The default is the cheapest that
is not worse than the best by more than .01 Dice, and resamples of the heads say how often the same one would
have been chosen; parity with nnU-Net's predictor is left to ``la-outcomes model verify``. ``--start`` names
the ``--out`` of an earlier run: each configuration goes on from its bundle there, with a schedule of its own.
``--bed`` adds heads with LA that ``models_bed.py`` drew of the same part of the anatomies.
``--cohort external_test --only NAME`` reports test heads.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics`` behind statistics.py.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ[_name] = "1"

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.input_checks import check_head_ct
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.imaging.pictures import overlay_png
from la_outcomes.segmentation.brain import Brain, ct_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle
from la_outcomes.segmentation.cases import ScanCase, read_scans
from la_outcomes.segmentation.evaluation import binary
from la_outcomes.segmentation.outputs import LA
from la_outcomes.segmentation.preprocessing import locate_head, network_input
from la_outcomes.segmentation.training import dataset
from la_outcomes.segmentation.training.recipes import CONFIGURATIONS, PLANNED, recipe
from la_outcomes.segmentation.training.run import TrainingJob, train
from la_outcomes.segmentation.volumetry import dice

NOT_WORSE_BY = 0.01


def trained(name: str, options: argparse.Namespace) -> Bundle:
    """The configuration's bundle, trained where it is not there yet."""
    chosen = recipe(smoke=True, configuration=name, epochs=options.epochs, iterations=options.iterations)
    chosen = replace(chosen, validation_iterations=2)
    start = None if options.start is None else options.start / name
    job = TrainingJob(
        options.labels,
        options.out / name,
        chosen,
        options.accepted,
        device="cpu",
        init_from=start,
        prove=False,
    )
    return load_bundle(job.out) if options.no_training else train(job)


def find_brains_once() -> None:
    """Let the training sets of all configurations share each head's brain: it depends on the CT alone."""
    found: dict[bytes, Brain] = {}

    def remembered(image: Image) -> Brain:
        key = hashlib.sha256(image.data.tobytes()).digest()
        if key not in found:
            found[key] = ct_brain(image)
        return found[key]

    dataset.ct_brain = remembered


def score_scan(case: ScanCase, bundles: dict[str, Bundle]) -> list[dict[str, object]]:
    """One row a configuration: Dice, volumes in mL, processor seconds; what all share is done once."""
    started = time.process_time()
    image = read_image(case.path)
    check_head_ct(image)
    brain = ct_brain(image)
    shared = time.process_time() - started
    file = visible_truth(case.path)
    truth = binary(read_mask(file, like=image), file)
    rows = []
    for name, bundle in bundles.items():
        started = time.process_time()
        crop = locate_head(image, brain.intracranial, bundle.spec)
        log_odds = bundle.predict(network_input(image, crop, bundle.spec))[LA]
        mask = crop.mask_on_scan(log_odds) & brain.intracranial
        seconds = time.process_time() - started
        rows.append(
            {
                "scan_id": case.scan_id,
                "configuration": name,
                "dsc": dice(mask, truth),
                "predicted_ml": volume_ml(mask, image.affine),
                "truth_ml": volume_ml(truth, image.affine),
                "network_seconds": seconds,
                "other_seconds": shared,
            }
        )
    written = _written_seconds(image, mask)
    return [{**row, "other_seconds": shared + written} for row in rows]


def visible_truth(ct: Path) -> Path:
    """The map of visible LA beside a simulated CT: of a cohort's, or of a head of ``models_bed.py``."""
    names = ("truth_visible_ct.nii.gz", "visible_ct.nii.gz")
    return next(
        (ct.with_name(name) for name in names if ct.with_name(name).is_file()), ct.with_name(names[0])
    )


def bed_cases(folder: Path, count: int) -> list[ScanCase]:
    """The first ``count`` heads of a bed's part that show LA: without any there is no Dice."""
    rows = {file.parent: json.loads(file.read_text()) for file in sorted(folder.glob("*/row.json"))}
    shown = [place for place, row in rows.items() if row["visible_la_volume_ml"] > 0]
    return [ScanCase(p.name, f"bed-{p.name}", "CT", p / "ct.nii.gz") for p in shown[:count]]


def _written_seconds(image: Image, mask: np.ndarray) -> float:
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        write_image(Path(folder) / "mask.nii.gz", Image(mask.astype(np.uint8), image.affine))
        overlay_png(Path(folder) / "overlay.png", image, [(mask, "red", "LA")], title="LA")
    return time.process_time() - started


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a configuration, the best Dice first; differences to the best are paired by scan."""
    table = scores.pivot(index="scan_id", columns="configuration", values="dsc").astype(float)
    best = table.mean().idxmax()
    rows = []
    for name, group in scores.groupby("configuration"):
        behind = (table[best] - table[name]).dropna()
        ccc = lins_ccc(group["truth_ml"], group["predicted_ml"])
        rows.append(
            {
                "configuration": name,
                "DSC": table[name].mean(),
                "median DSC": table[name].median(),
                "behind the best": behind.mean(),
                "SE": behind.std(ddof=1) / np.sqrt(len(behind)),
                "CCC": ccc.ccc,
                "volume bias, mL": (group["predicted_ml"] - group["truth_ml"]).mean(),
                "network, CPU s": group["network_seconds"].mean(),
                "from file to overlay, CPU s": (group["network_seconds"] + group["other_seconds"]).mean(),
            }
        )
    return pd.DataFrame(rows).sort_values("DSC", ascending=False)


def cheapest(table: pd.DataFrame) -> str:
    """The configuration with the fewest processor seconds that is not worse than the best by .01."""
    good = table[table["behind the best"] <= NOT_WORSE_BY]
    return str(good.loc[good["network, CPU s"].idxmin(), "configuration"])


def chosen_share(scores: pd.DataFrame, resamples: int = 2000, seed: int = 0) -> dict[str, float]:
    """How often each configuration would be chosen had other heads been drawn: a bootstrap by head.

    The processor seconds stay as measured; the Dice of the heads is drawn with replacement.
    """
    table = scores.pivot(index="scan_id", columns="configuration", values="dsc").astype(float).dropna()
    seconds = scores.groupby("configuration")["network_seconds"].mean()[table.columns].to_numpy()
    drawn = np.random.default_rng(seed).integers(len(table), size=(resamples, len(table)))
    means = table.to_numpy()[drawn].mean(axis=1)
    good = means >= means.max(axis=1, keepdims=True) - NOT_WORSE_BY
    chosen = np.where(good, seconds, np.inf).argmin(axis=1)
    return {name: float((chosen == n).mean()) for n, name in enumerate(table.columns)}


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, numbers with three decimals."""
    rows = [[f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.values]
    lines = [list(table.columns), ["---"] * len(table.columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def describe(name: str, bundle: Bundle) -> str:
    """Grid, network and training of a bundle in one line."""
    training, spec = bundle.card["training"], bundle.spec
    used, fold = training["recipe"], training["folds"][0]
    samples = used["epochs"] * used["iterations"] * used["batch_size"]
    more = " more" if training["fine_tuned"] else ""
    plan = bundle.card["nnunet"]["plans"]["configurations"]["2d"]
    features = plan["architecture"]["arch_kwargs"]["features_per_stage"]
    parameters = sum(tensor.numel() for tensor in _weights(bundle).values())
    return (
        f"{name}: {spec.size_px} px of {spec.spacing_mm:g} mm, {spec.slices} slice(s), features "
        f"{'-'.join(map(str, features))}, {parameters / 1e6:.2f} M parameters; {samples} samples{more} of "
        f"{fold['cases_train']} heads in {fold['seconds']['training steps']:.0f} s wall clock"
    )


def _weights(bundle: Bundle) -> dict[str, torch.Tensor]:
    from la_outcomes.segmentation.training.weights import read_weights

    return dict(read_weights(bundle.path, bundle.card))


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("labels", type=Path, help="LABELS_DIR")
    parser.add_argument("scans", type=Path, help="SCANS.csv of simulated heads")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--accepted", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--start", type=Path, help="the --out of an earlier run, to go on from its bundles")
    parser.add_argument("--only", nargs="+", default=[name for name in CONFIGURATIONS if name != PLANNED])
    parser.add_argument("--cohort", default="internal_validation")
    parser.add_argument("--bed", type=Path, help="a part of a bed of models_bed.py: BED/validation, BED/test")
    parser.add_argument("--heads", type=int, default=24, help="of the bed")
    parser.add_argument("--no-training", action="store_true", help="score the bundles that are there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, score, print the table and the choice."""
    options = _asked(arguments)
    torch.set_num_threads(1)
    find_brains_once()
    bundles = {name: trained(name, options) for name in options.only}
    for bundle in bundles.values():
        bundle.compute  # noqa: B018 - opened before the clock runs
    cases = [
        case
        for case in read_scans(options.scans, modality="CT")
        if case.patient.get("cohort") == options.cohort
    ] + ([] if options.bed is None else bed_cases(options.bed, options.heads))
    rows = [row for case in cases for row in score_scan(case, bundles)]
    scores = pd.DataFrame(rows)
    scores.to_csv(options.out / f"scores-{options.cohort}.csv", index=False)
    for name, bundle in bundles.items():
        print(describe(name, bundle))
    table = summary(scores)
    print(f"\n{len(cases)} heads of {options.cohort}, against the LA drawn visible\n")
    print(markdown(table))
    if len(bundles) > 1:
        print(f"\ncheapest within {NOT_WORSE_BY} of the best: {cheapest(table)}")
        shares = sorted(chosen_share(scores).items(), key=lambda item: -item[1])
        told = ", ".join(f"{name} {share:.0%}" for name, share in shares)
        print(f"chosen in 2,000 resamples of the heads: {told}")


if __name__ == "__main__":
    main()
