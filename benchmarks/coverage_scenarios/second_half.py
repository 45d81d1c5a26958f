"""Time to event, prediction, mediation, selection and repeatability in simulated cohorts of 867."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import integrate, stats

from la_outcomes.analysis.mediation import mediate
from la_outcomes.analysis.prediction import auc, calibration, compare_auc, compare_concordance
from la_outcomes.analysis.selection import compare_weighted, selection_weights
from la_outcomes.analysis.survival import (
    cox_regression,
    cumulative_incidence,
    fit_fine_gray,
    kaplan_meier,
    restricted_mean,
)
from la_outcomes.analysis.test_retest import repeated_scans

N, EFFECT, SHARE = 867, 0.4, 0.3
RATE, HORIZON = 1 / 600, 365.0


def events(rng: np.random.Generator) -> Iterator:
    """Exponential death with censoring: Cox, Kaplan-Meier and the restricted mean."""
    x = rng.normal(size=N)
    death, lost = rng.exponential(1 / (RATE * np.exp(EFFECT * x))), rng.uniform(200, 900, N)
    days = np.ceil(np.minimum(death, lost))
    frame = pd.DataFrame({"days": days, "event": (death <= lost).astype(int), "x": x})
    row = cox_regression(frame, "days", "event", ["x"]).coefficients.iloc[0]
    yield "Cox, log hazard ratio", EFFECT, row["estimate"], np.log(row["ci_low"]), np.log(row["ci_high"])
    yield "Kaplan-Meier at a year", _alive(HORIZON), *kaplan_meier(days, frame["event"]).at(HORIZON)
    mean = restricted_mean(days, frame["event"], HORIZON)
    yield "restricted mean, a year", _MEAN_DAYS, mean.estimate, mean.ci_low, mean.ci_high


def _alive(t: float) -> float:
    """Survival averaged over x."""
    integral, _ = integrate.quad(lambda x: np.exp(-RATE * np.exp(EFFECT * x) * t) * stats.norm.pdf(x), -8, 8)
    return float(integral)


# days are rounded up: the curve falls at the end of each day
_MEAN_DAYS = float(sum(_alive(day) for day in range(int(HORIZON))))


def competing(rng: np.random.Generator) -> Iterator:
    """Fine and Gray's design: incidence 1 - (1 - p (1 - exp(-t)))^exp(x beta), and an exponential rival."""
    x = rng.normal(size=N)
    ratio = np.exp(EFFECT * x)
    first = rng.random(N) < 1 - (1 - SHARE) ** ratio
    u = rng.random(N) * (1 - (1 - SHARE) ** ratio)
    own = -np.log(1 - (1 - (1 - u) ** (1 / ratio)) / SHARE)
    time = np.where(first, own, rng.exponential(1, N))
    lost = rng.uniform(0.5, 3, N)
    frame = pd.DataFrame({"days": np.minimum(time, lost), "x": x})
    frame["event"] = np.where(time > lost, 0, np.where(first, 1, 2))
    row = fit_fine_gray(frame, "days", "event", ["x"]).coefficients.iloc[0]
    yield "Fine-Gray, log ratio", EFFECT, row["estimate"], np.log(row["ci_low"]), np.log(row["ci_high"])
    curve = cumulative_incidence(frame["days"], frame["event"])
    yield "incidence at 1", _INCIDENCE, *curve.at(1.0)


def _reached(x: float) -> float:
    """Incidence at time 1, weighted by the density of x."""
    return float((1 - (1 - SHARE * (1 - np.exp(-1))) ** np.exp(EFFECT * x)) * stats.norm.pdf(x))


_INCIDENCE = float(integrate.quad(_reached, -8, 8)[0])


def prediction(rng: np.random.Generator) -> Iterator:
    """Two correlated scores, each shifted by the outcome, and true risks for calibration."""
    y = (rng.random(N) < 0.3).astype(int)
    a = y + rng.normal(size=N)
    b = 0.6 * y + 0.5 * (a - y) + np.sqrt(0.75) * rng.normal(size=N)
    truth = [float(stats.norm.cdf(shift / np.sqrt(2))) for shift in (1.0, 0.6)]
    one = auc(y, a)
    yield "AUC (DeLong)", truth[0], one.auc, one.ci_low, one.ci_high
    both = compare_auc(y, a, b)
    yield "difference of AUCs", truth[0] - truth[1], both.difference, both.ci_low, both.ci_high
    odds = compare_concordance(y, a, b)
    yield "difference of C", truth[0] - truth[1], odds.difference, odds.ci_low, odds.ci_high
    x = rng.normal(size=N)
    risk = 1 / (1 + np.exp(1 - x))
    table = calibration((rng.random(N) < risk).astype(int), risk).table
    for term, expected in (("intercept", 0.0), ("slope", 1.0)):
        row = table.set_index("term").loc[term]
        yield f"calibration {term}", expected, row["estimate"], row["ci_low"], row["ci_high"]


def mediated(rng: np.random.Generator) -> Iterator:
    """A chain of linear effects 0.5 and 0.4 with a direct one of 0.3."""
    age = rng.normal(size=N)
    volume = 0.5 * age + rng.normal(size=N)
    frame = pd.DataFrame({"age": age, "volume": volume, "y": 0.3 * age + 0.4 * volume + rng.normal(size=N)})
    table = mediate(frame, "age", "volume", "y", n_draws=500, seed=int(rng.integers(2**31))).effects
    for effect, truth in (("indirect", 0.2), ("direct", 0.3)):
        row = table.set_index("effect").loc[effect]
        yield f"{effect} effect", truth, row["estimate"], row["ci_low"], row["ci_high"]


def selected(rng: np.random.Generator) -> Iterator:
    """Patients with z are imaged more often and have a larger effect of x: 0.2 + 0.6 / 2 in everybody."""
    frame = pd.DataFrame({"x": rng.normal(size=N), "z": rng.integers(0, 2, N)})
    frame["y"] = (0.2 + 0.6 * frame["z"]) * frame["x"] + rng.normal(size=N)
    frame["imaged"] = (rng.random(N) < np.where(frame["z"] == 1, 0.9, 0.3)).astype(int)
    weights = selection_weights(frame, "imaged", ["z"])
    table = compare_weighted(frame.drop(columns="z"), "y", ["x"], weights).coefficients.set_index(
        "estimate_of"
    )
    for name in ("weighted", "plain"):
        row = table.loc[name]
        yield name, 0.5, row["estimate"], row["ci_low"], row["ci_high"]


def repeats(rng: np.random.Generator) -> Iterator:
    """Forty patients scanned twice: within-SD 0.5, ICC 0.8."""
    patient = np.repeat(np.arange(40), 2)
    values = rng.normal(size=40)[patient] + 0.5 * rng.normal(size=80)
    fit = repeated_scans(pd.DataFrame({"patient": patient, "value": values}), "patient", "value")
    yield "within-SD", 0.5, fit.within_sd, fit.within_sd_low, fit.within_sd_high
    yield "ICC", 0.8, fit.icc, fit.icc_low, fit.icc_high


SCENARIOS = {
    "events": events,
    "competing events": competing,
    "prediction": prediction,
    "mediation": mediated,
    "selection": selected,
    "repeats": repeats,
}
KNOWN = {
    ("selection", "plain"): "not weighted: the imaged differ from all patients",
    ("repeats", "ICC"): "a ratio of mean squares, low by about 2 % with 40 patients",
}
