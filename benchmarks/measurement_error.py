"""Naive, corrected and true effects of an exposure measured with error, over many simulated studies.

    python benchmarks/measurement_error.py [--sims 300] [--seconds 1e9] [--store FILE] [--report]

A cohort of 867 has the measured exposure and an outcome, external pairs have measured and true exposure and
no outcome; the error depends on infarct volume. The grid is reliability (.5, .8, .95) by pairs (100, 400) by
outcome (linear, ordinal; binary at the ends), and two further settings at reliability .7: volumes in mL with
zeros, and pairs whose true volumes are distributed otherwise than the cohort's. Studies are added in rounds
to FILE (one JSON line each, seeded by setting and number), so that a run can be stopped and taken up again;
--report prints the table of what FILE holds. "true" is the fit to the true exposure itself.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import time
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from la_outcomes.analysis.measurement_error import (
    ErrorSpecification,
    impute_true_exposure,
    regression_calibration,
)
from la_outcomes.analysis.ordinal import fit_proportional_odds
from la_outcomes.errors import StatisticsError

N_COHORT = 867
EFFECT = 0.35  # per SD of the true exposure: a cOR of 1.42
TERMS = ["age", "infarct"]
CUTS = {"binary": [0.5], "ordinal": [-1.5, -0.5, 0.3, 1.0, 1.7, 2.5]}


@dataclass(frozen=True)
class Setting:
    """One cell of the simulation."""

    kind: str
    reliability: float
    n_pairs: int
    variant: str = "normal"

    @property
    def name(self) -> str:
        return f"{self.variant} {self.kind} {self.reliability} {self.n_pairs}"


def settings() -> list[Setting]:
    """The whole grid, then the variants."""
    grid = [
        Setting(kind, r, n) for r, n, kind in product((0.5, 0.8, 0.95), (100, 400), ("linear", "ordinal"))
    ]
    binary = [Setting("binary", r, 400) for r in (0.5, 0.95)]
    variants = product(("zeros", "other pairs"), ("linear", "ordinal"))
    return grid + binary + [Setting(kind, 0.7, 400, variant) for variant, kind in variants]


def people(rng: np.random.Generator, n: int, shift: float) -> pd.DataFrame:
    """True exposure (SD 1) that rises with age, and an infarct volume unrelated to it."""
    age, infarct = rng.normal(size=n), np.abs(rng.normal(size=n))
    truth = shift + 0.5 * age + np.sqrt(0.75) * rng.normal(size=n) * (1.3 if shift else 1.0)
    return pd.DataFrame({"age": age, "infarct": infarct, "truth": truth})


def measured(rng: np.random.Generator, table: pd.DataFrame, setting: Setting) -> pd.Series:
    """Measurement with a slope of 0.9, infarct taken for lesion, and noise."""
    noise = 0.9 * np.sqrt((1 - setting.reliability) / setting.reliability) * rng.normal(size=len(table))
    return 0.2 + 0.9 * table["truth"] + 0.2 * table["infarct"] + noise


def study(rng: np.random.Generator, setting: Setting) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One cohort and its pairs."""
    cohort = people(rng, N_COHORT, 0.0)
    pairs = people(rng, setting.n_pairs, 0.8 if setting.variant == "other pairs" else 0.0)
    latent = EFFECT * cohort["truth"] + 0.4 * cohort["age"] + 0.3 * cohort["infarct"]
    if setting.kind == "linear":
        cohort["y"] = latent + rng.normal(size=N_COHORT)
    else:
        cohort["y"] = np.searchsorted(CUTS[setting.kind], latent + rng.logistic(size=N_COHORT))
    for table in (cohort, pairs):
        table["measured"] = measured(rng, table, setting)
        if setting.variant == "zeros":
            _in_millilitres(rng, table)
    return cohort, pairs


def _in_millilitres(rng: np.random.Generator, table: pd.DataFrame) -> None:
    """Volumes in mL: ln(mL + 1) is normal about 2, SD 1; small lesions are often not seen, and then are 0."""
    unseen = rng.random(len(table)) < 1 / (1 + np.exp(1.0 + 1.5 * table["truth"]))
    log_truth, log_measured = table["truth"] + 2, np.maximum(table["measured"] + 2, 0.02)
    table["truth_ml"] = np.expm1(np.maximum(log_truth, 0))
    table["measured_ml"] = np.where(unseen, 0.0, np.expm1(log_measured))


def specification(setting: Setting, transport: str) -> ErrorSpecification:
    """What the correction is told."""
    if setting.variant == "zeros":
        return ErrorSpecification("measured_ml", "truth_ml", ("infarct",), transport=transport, sd=1.0)
    return ErrorSpecification("measured", "truth", ("infarct",), offset=None, transport=transport, sd=1.0)


def one(setting: Setting, number: int, n_boot: int) -> dict[str, object]:
    """Estimates and intervals of one study by every method."""
    seed = [number, *setting.name.encode()]
    cohort, pairs = study(np.random.default_rng(seed), setting)
    results: dict[str, object] = {"true": _true(cohort, setting)}
    for transport in ("error", "calibration"):
        spec = specification(setting, transport)
        fit = regression_calibration(
            cohort, pairs, "y", TERMS, spec, setting.kind, n_boot=n_boot, seed=number
        )
        results["naive"] = _row(fit.effect("naive"))
        results[f"RC, {transport}"] = _row(fit.effect())
    spec = specification(setting, "error")
    imputed = impute_true_exposure(cohort, pairs, "y", TERMS, spec, setting.kind, m=10, nested=2, seed=number)
    results["MI, error"] = _row(imputed.effect())
    return results


def _row(effect: pd.Series) -> list[float]:
    return [float(effect[name]) for name in ("estimate", "ci_low", "ci_high")]


def _true(cohort: pd.DataFrame, setting: Setting) -> list[float]:
    if setting.kind == "linear":
        from la_outcomes.analysis.linear import fit_linear

        row = fit_linear(cohort, "y", ["truth", *TERMS]).coefficients.iloc[1]
        return _row(row)
    row = fit_proportional_odds(cohort, "y", ["truth", *TERMS]).coefficients.iloc[0]
    return [float(row["estimate"]), float(np.log(row["ci_low"])), float(np.log(row["ci_high"]))]


def run(store: Path, sims: int, n_boot: int, seconds: float, step: int = 10) -> None:
    """Add studies in rounds over all settings until each has ``sims`` or time is up."""
    end = time.monotonic() + seconds
    counts = {} if not store.exists() else load(store).groupby("setting")["number"].nunique().to_dict()
    for target in range(step, sims + step, step):
        for setting in settings():
            for number in range(counts.get(setting.name, 0), min(target, sims)):
                if time.monotonic() > end:
                    return
                try:
                    results: dict[str, object] = one(setting, number, n_boot)
                except StatisticsError as error:
                    results = {"refused": [str(error)]}
                line = asdict(setting) | {"setting": setting.name, "number": number, "results": results}
                with store.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                counts[setting.name] = number + 1


def load(store: Path) -> pd.DataFrame:
    """Return one row a study and method."""
    rows = []
    for line in store.read_text().splitlines():
        entry = json.loads(line)
        for method, values in entry.pop("results").items():
            rows.append(entry | {"method": method, "values": values})
    return pd.DataFrame(rows)


def report(store: Path) -> None:
    """Print bias and coverage by setting and method."""
    table = load(store)
    keys = ["variant", "kind", "reliability", "n_pairs", "method"]
    print("| setting | outcome | reliability | pairs | method | n | mean | bias % | coverage % | (MC SE) |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for key, group in table.groupby(keys, sort=True):
        if key[-1] == "refused":
            print("| " + " | ".join(map(str, key)) + f" | {len(group)} | | | | |")
            continue
        estimate, low, high = np.array(group["values"].tolist()).T
        n, covered = len(group), np.mean((low <= EFFECT) & (high >= EFFECT))
        bias = 100 * (estimate.mean() / EFFECT - 1)
        error = 100 * estimate.std(ddof=1) / np.sqrt(n) / EFFECT
        print(
            "| " + " | ".join(map(str, key)) + f" | {n} | {estimate.mean():.4f} | {bias:+.1f} ({error:.1f}) | "
            f"{100 * covered:.1f} | {100 * np.sqrt(0.95 * 0.05 / n):.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=300)
    parser.add_argument("--boot", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--store", type=Path, default=Path("measurement_error.jsonl"))
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if not options.report:
        run(options.store, options.sims, options.boot, options.seconds)
    report(options.store)


if __name__ == "__main__":
    main()
