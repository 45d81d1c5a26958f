"""Naive, corrected and true effects of an exposure measured with error, beside each other.

A cohort of 867 has the measured exposure and an outcome, external pairs have measured and true exposure and
no outcome; the error depends on infarct volume. The grid is reliability (.5, .8, .95) by pairs (100, 400) by
outcome (linear, ordinal; binary at the ends), and at reliability .7 volumes in mL with a third of zeros, and
pairs whose true volumes are distributed otherwise than the cohort's. "true" is the fit to the true exposure
itself. A correction that refuses the pairs as too few gives no row, so its interval has fewer cohorts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from la_outcomes.analysis.linear import fit_linear
from la_outcomes.analysis.measurement_error import (
    CorrectedEffect,
    ErrorSpecification,
    impute_true_exposure,
    regression_calibration,
)
from la_outcomes.analysis.ordinal import fit_proportional_odds
from la_outcomes.errors import StatisticsError

Row = tuple[str, float, float, float, float]
N_COHORT, N_BOOT = 867, 200
EFFECT = 0.35  # per SD of the true exposure: a cOR of 1.42
TERMS = ["age", "infarct"]
CUTS = {"binary": [0.5], "ordinal": [-1.5, -0.5, 0.3, 1.0, 1.7, 2.5]}


@dataclass(frozen=True)
class Setting:
    """One cell of the simulation."""

    kind: str
    reliability: float
    n_pairs: int
    variant: str = ""

    @property
    def name(self) -> str:
        parts = (
            "error",
            self.kind,
            f"reliability {self.reliability:g}",
            f"{self.n_pairs} pairs",
            self.variant,
        )
        return " ".join(part for part in parts if part)


def settings() -> list[Setting]:
    """The grid, then the variants."""
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
        noise = 0.9 * np.sqrt((1 - setting.reliability) / setting.reliability) * rng.normal(size=len(table))
        table["measured"] = 0.2 + 0.9 * table["truth"] + 0.2 * table["infarct"] + noise
        if setting.variant == "zeros":
            _in_millilitres(rng, table)
    return cohort, pairs


def _in_millilitres(rng: np.random.Generator, table: pd.DataFrame) -> None:
    """Volumes in mL: ln(mL + 1) is normal about 2, SD 1; small lesions are often not seen, and then are 0."""
    unseen = rng.random(len(table)) < 1 / (1 + np.exp(1.0 + 1.5 * table["truth"]))
    table["truth_ml"] = np.expm1(np.maximum(table["truth"] + 2, 0))
    table["measured_ml"] = np.where(unseen, 0.0, np.expm1(np.maximum(table["measured"] + 2, 0.02)))


def specification(setting: Setting, transport: str) -> ErrorSpecification:
    """What the correction is told."""
    if setting.variant == "zeros":
        return ErrorSpecification("measured_ml", "truth_ml", ("infarct",), transport=transport, sd=1.0)
    return ErrorSpecification("measured", "truth", ("infarct",), offset=None, transport=transport, sd=1.0)


def scenario(setting: Setting, rng: np.random.Generator) -> Iterable[Row]:
    """Estimates of one study by every method."""
    cohort, pairs = study(rng, setting)
    seed = int(rng.integers(2**31))
    yield _true(cohort, setting)
    data = cohort, pairs, "y", TERMS
    for transport in ("calibration", "error"):
        spec = specification(setting, transport)
        try:
            fit = regression_calibration(*data, spec, setting.kind, n_boot=N_BOOT, seed=seed)
        except StatisticsError:
            continue
        if transport == "calibration":
            yield _row("naive", fit, "naive")
        yield _row(f"regression calibration, transport={transport}", fit)
    try:
        yield _row(
            "multiple imputation, transport=error",
            impute_true_exposure(*data, spec, setting.kind, m=10, nested=2, seed=seed),
        )
    except StatisticsError:
        return


def _row(name: str, fit: CorrectedEffect, method: str | None = None) -> Row:
    effect = fit.effect(method)
    return name, EFFECT, float(effect["estimate"]), float(effect["ci_low"]), float(effect["ci_high"])


def _true(cohort: pd.DataFrame, setting: Setting) -> Row:
    if setting.kind == "linear":
        row = fit_linear(cohort, "y", ["truth", *TERMS]).coefficients.iloc[1]
        return "true", EFFECT, row["estimate"], row["ci_low"], row["ci_high"]
    row = fit_proportional_odds(cohort, "y", ["truth", *TERMS]).coefficients.iloc[0]
    return "true", EFFECT, row["estimate"], np.log(row["ci_low"]), np.log(row["ci_high"])


SCENARIOS = {setting.name: partial(scenario, setting) for setting in settings()}
LARGEST_BIAS = dict.fromkeys(SCENARIOS, 0.05)
KNOWN = (
    {(name, "naive"): "not corrected: attenuated by the error" for name in SCENARIOS}
    | {
        (setting.name, "regression calibration, transport=calibration"): (
            "true volumes are distributed otherwise in these pairs: this transport does not hold"
        )
        for setting in settings()
        if setting.variant == "other pairs"
    }
    | {
        ("error linear reliability 0.5 100 pairs", "multiple imputation, transport=error"): (
            "too narrow with few pairs and a low reliability: the result says so"
        )
    }
)
