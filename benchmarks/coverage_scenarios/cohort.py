"""The cohort that the scenarios of regression share: 867 patients, three covariates, the mRS.

Effects are large enough that 2,000 cohorts show a bias of 2 %.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import expit

N = 867
TERMS = ["log_volume", "age", "hypertension"]
EFFECTS = {"log_volume": 0.4, "age": 0.4, "hypertension": 0.8, "teaching": 1.0}
# Shares of the modified Rankin scale 0-6 at three months after mild strokes.
SHARES = np.array([0.22, 0.25, 0.16, 0.14, 0.12, 0.06, 0.05])


def covariates(rng: np.random.Generator, age: np.ndarray | None = None) -> pd.DataFrame:
    """log_volume and age in SDs (correlation 0.5), hypertension 0/1 (more common at high age)."""
    age = rng.normal(size=N) if age is None else age
    volume = 0.5 * age + np.sqrt(0.75) * rng.normal(size=N)
    hypertension = (rng.random(N) < expit(0.3 + 0.5 * age)).astype(float)
    return pd.DataFrame({"log_volume": volume, "age": age, "hypertension": hypertension})


def predictor(frame: pd.DataFrame, terms: list[str]) -> np.ndarray:
    """x beta."""
    return frame[terms].to_numpy() @ np.array([EFFECTS[term] for term in terms])


def grades(latent: np.ndarray) -> np.ndarray:
    """Levels 0-6 of a latent score with logistic errors: thresholds at the logits of SHARES, plus 0.5."""
    below = np.cumsum(SHARES)[:-1]
    return np.searchsorted(np.log(below / (1 - below)) + 0.5, latent)


def rows(table: pd.DataFrame, suffix: str = "", *, odds: bool = False) -> Iterator:
    """Rows of the terms with a known effect; ``odds`` where the interval is that of an odds ratio."""
    for row in table[table["term"].isin(EFFECTS)].to_dict("records"):
        ends = [row["ci_low"], row["ci_high"]]
        low, high = np.log(ends) if odds else ends
        yield row["term"] + suffix, EFFECTS[row["term"]], row["estimate"], low, high
