"""What a model's card says of its own limits: fitted on validation heads, held against test heads.

python benchmarks/models.py --bed BED --part validation --ct BUNDLE --flair BUNDLE --out VALIDATION
python benchmarks/model_fits.py fit --rows VALIDATION/ct.csv --bundle BUNDLE
python benchmarks/models.py --bed BED --part test --ct BUNDLE --flair BUNDLE --out TEST
python benchmarks/model_fits.py report --rows TEST/ct.csv --bundle BUNDLE

``fit`` writes into the card: ``brain`` (whether the network's brain takes the thresholds' place: mean and
worst Dice no lower, error of the intracranial volume no larger), ``calibration`` of CT to MRI volume,
``interval`` and ``domain``. ``report`` prints the coverage of the 90 % interval with its Monte-Carlo error,
for each anatomy and load; CCC and slope before and after calibration; refusals; brain masks and volumes.
A FLAIR's card gets ``brain`` alone.
"""

# ruff: noqa: E402 - this folder is taken off the path before anything is imported.
from __future__ import annotations

import os
import sys

sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from la_outcomes.analysis.agreement import lins_ccc
from la_outcomes.segmentation.bundle import read_card, write_card
from la_outcomes.segmentation.calibration import Calibration, fit_line
from la_outcomes.segmentation.domain import FIGURES, Domain, fit_domain
from la_outcomes.segmentation.intervals import Interval, VolumeReading, fit_interval

LOADS = ((0.0, 0.0, "none"), (0.0, 5.0, "to 5 mL"), (5.0, 15.0, "5 to 15 mL"), (15.0, 1e4, "above 15 mL"))

Floats = npt.NDArray[np.float64]


def readings(rows: pd.DataFrame) -> list[VolumeReading]:
    """LA volume of each head as the network reads it."""
    columns = ("predicted_ml", "sure_ml", "possible_ml")
    return [VolumeReading(*row) for row in rows[list(columns)].itertuples(index=False)]


def figures(rows: pd.DataFrame) -> list[dict[str, float]]:
    """Figures of the domain of each head."""
    return [{name: float(row[f"figure_{name}"]) for name in FIGURES} for _, row in rows.iterrows()]


def brain_section(rows: pd.DataFrame, card: dict[str, Any] | None = None) -> dict[str, Any]:
    """Both brain masks against the drawn one where that is known, and which is used.

    ``log_odds`` of the card, from which on a place is brain, is kept: the rows were measured with it.
    """
    rows = rows[rows["inside_true_ml"].notna()]
    found: dict[str, Any] = {"heads": len(rows)}
    for name in ("thresholds", "network"):
        overlap = rows[f"inside_{name}_dice"]
        off = (rows[f"inside_{name}_ml"] / rows["inside_true_ml"] - 1).abs()
        found[name] = {
            "dice_mean": round(float(overlap.mean()), 4),
            "dice_worst": round(float(overlap.min()), 4),
            "icv_error_mean": round(float(off.mean()), 4),
            "icv_error_worst": round(float(off.max()), 4),
        }
    ours, theirs = found["network"], found["thresholds"]
    better = all(ours[name] >= theirs[name] for name in ("dice_mean", "dice_worst"))
    better &= ours["icv_error_mean"] <= theirs["icv_error_mean"]
    known = dict((card or {}).get("brain") or {})
    kept = {"log_odds": known["log_odds"]} if "log_odds" in known else {}
    return {"mask": "network" if better else "thresholds", **kept, "measured": found}


def sections(rows: pd.DataFrame, card: dict[str, Any]) -> dict[str, Any]:
    """The card's sections, fitted on validation heads."""
    brain = {"brain": brain_section(rows, card)}
    if card["modality"] != "CT":
        return brain
    line = fit_line(rows["predicted_ml"], rows["tissue_volume_ml"])
    interval = fit_interval(readings(rows), rows["visible_la_volume_ml"], list(rows["anatomy"]))
    fitted = {"calibration": line, "interval": interval, "domain": fit_domain(figures(rows))}
    return brain | {name: asdict(section) for name, section in fitted.items()}  # type: ignore[call-overload]


def monte_carlo(inside: npt.NDArray[np.bool_]) -> str:
    """A share with its binomial standard error and n."""
    share, n = inside.mean(), len(inside)
    return f"{100 * share:.1f} % (SE {100 * np.sqrt(share * (1 - share) / n):.1f}, n {n})"


def interval_lines(rows: pd.DataFrame, interval: Interval) -> Iterator[str]:
    """Coverage by anatomy and load, and how wide the intervals are."""
    limits = np.array([interval.limits_ml(reading) for reading in readings(rows)])
    truth = rows["visible_la_volume_ml"].to_numpy()
    inside = (limits[:, 0] <= truth) & (truth <= limits[:, 1])
    yield f"90 % interval holds the visible LA volume in {monte_carlo(inside)}"
    for name in sorted(rows["anatomy"].unique()):
        yield f"  {name}: {monte_carlo(inside[(rows['anatomy'] == name).to_numpy()])}"
    for low, high, name in LOADS:
        part = (truth == 0) if high == 0 else (truth > low) & (truth <= high)
        if part.any():
            width = np.median(limits[part, 1] - limits[part, 0])
            yield f"  load {name}: {monte_carlo(inside[part])}, median width {width:.1f} mL"
    below, above = monte_carlo(truth < limits[:, 0]), monte_carlo(truth > limits[:, 1])
    yield f"  truth below the interval {below}, above {above}"


def calibration_lines(rows: pd.DataFrame, line: Calibration) -> Iterator[str]:
    """CCC and slope against MRI's volume, as measured and calibrated, and the interval's coverage."""
    mri = rows["tissue_volume_ml"].to_numpy()
    found = [line.volumes(volume) for volume in rows["predicted_ml"]]
    after = np.array([values["la_volume_calibrated_ml"] for values in found])
    for name, volumes in (("before", rows["predicted_ml"].to_numpy()), ("after", after)):
        slope = float(np.polyfit(mri, volumes, 1)[0])
        off = float(np.mean(volumes - mri))
        ccc = lins_ccc(mri, volumes).ccc
        told = f"CCC {ccc:.3f}, slope {slope:.2f}, mean error {off:+.1f} mL"
        yield f"against all WMH, {name} calibration: {told}"
    low, high = (
        np.array([values[f"la_volume_calibrated_{end}_ml"] for values in found]) for end in ("low", "high")
    )
    yield f"  95 % prediction interval holds the WMH volume in {monte_carlo((low <= mri) & (mri <= high))}"


def domain_lines(rows: pd.DataFrame, domain: Domain) -> Iterator[str]:
    """How unlike the heads are, and how many would be warned of and refused."""
    apart = np.array([domain.unlikeness(head) for head in figures(rows)])
    warned, refused = (monte_carlo(apart > limit) for limit in (domain.warn_above, domain.refuse_above))
    yield f"unlikeness: median {np.median(apart):.2f}, largest {apart.max():.2f}"
    yield f"  warned of {warned}, refused {refused}"


def brain_lines(rows: pd.DataFrame) -> Iterator[str]:
    """Brain masks, intracranial and brain volume against the drawn head."""
    for name, part in brain_section(rows)["measured"].items():
        if name != "heads":
            told = "; ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in part.items())
            yield f"inside of the skull by {name}: {told}"
    for name, column in (("shares", "brain_found_ml"), ("mask", "brain_mask_ml")):
        if column in rows:
            off = rows[column] / rows["brain_volume_ml"] - 1
            yield f"brain volume by {name}: mean error {100 * off.mean():+.1f} %, SD {100 * off.std():.1f} %"


def infarct_lines(rows: pd.DataFrame) -> Iterator[str]:
    """Infarct found by the network, with and without one."""
    if "infarct_found_ml" not in rows:
        return
    with_one = rows[rows["infarct_true_ml"] > 1]
    share = (with_one["infarct_found_ml"] > 1).mean()
    free = rows[rows["infarct_true_ml"] == 0]["infarct_found_ml"]
    yield (
        f"infarcts above 1 mL (n {len(with_one)}): more than 1 mL found in {100 * share:.0f} %, median Dice "
        f"{with_one['infarct_dice'].median():.2f}; heads without (n {len(free)}): mean {free.mean():.2f} mL, "
        f"above 3 mL in {100 * (free > 3).mean():.0f} %"
    )


def report(rows: pd.DataFrame, card: dict[str, Any]) -> Iterator[str]:
    """All lines for one model."""
    yield f"{card['name']}: {len(rows)} heads of {rows['anatomy'].nunique()} anatomies"
    yield from brain_lines(rows)
    yield from infarct_lines(rows)
    if card["modality"] == "CT":
        yield from interval_lines(rows, Interval.from_card(card["interval"]))
        yield from calibration_lines(rows, Calibration.from_card(card["calibration"]))
        yield from domain_lines(rows, Domain.from_card(card["domain"]))


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["fit", "report"])
    parser.add_argument("--rows", type=Path, required=True, help="table that benchmarks/models.py wrote")
    parser.add_argument("--bundle", type=Path, required=True)
    asked = parser.parse_args(argv)
    rows, card = pd.read_csv(asked.rows), read_card(asked.bundle)
    if set(rows["model_sha256"]) != {card["weights"]["sha256"]}:
        raise SystemExit(f"{asked.rows} holds rows of another model")
    if asked.what == "fit":
        card |= sections(rows, card)
        write_card(asked.bundle, card)
        print(f"fitted on {len(rows)} heads; brain mask by the {card['brain']['mask']}")
    print("\n".join(report(rows, card)))


if __name__ == "__main__":
    main()
