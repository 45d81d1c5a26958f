"""Does the simulation's true common odds ratio come back where nothing is missing or mismeasured?

python benchmarks/simulated_truth.py [--cohorts N] [--first-seed S] [--patients N]

Fits the generating specification (all its terms, true tissue volume, true mRS; only the centres' random
effects are left out) to simulated clinical cohorts, one a seed. The named peer is the truth itself.
"""

# ruff: noqa: E402 - this folder is taken off the path before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics`` behind statistics.py.
sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]

import argparse

import numpy as np
import pandas as pd

from la_outcomes.analysis.ordinal import fit_proportional_odds
from la_outcomes.simulation.clinical import simulate_clinical
from la_outcomes.simulation.clinical_terms import term


def log_odds_ratio(seed: int, patients: int) -> tuple[float, float, float]:
    """Estimate, its standard error and the truth of ln cOR per SD of the true volume, for one cohort."""
    simulation = simulate_clinical({"clinical": patients}, seed=seed)
    coefficients = simulation.parameters["clinical"]["outcome"]["coefficients"]
    columns = {name: simulation.complete[name].to_numpy() for name in simulation.complete}
    names = [name for name in coefficients if name != "centre"]
    frame = pd.DataFrame({name: term(columns, name) for name in names})
    frame["mrs"] = simulation.complete["true_mrs_3m"].to_numpy()
    table = fit_proportional_odds(frame, "mrs", names).to_frame().set_index("term")
    return table.loc["tissue_sd", "estimate"], table.loc["tissue_sd", "se"], coefficients["tissue_sd"]


def main() -> None:
    """Mean, range and coverage over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--patients", type=int, default=867)
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.cohorts)
    found = np.array([log_odds_ratio(seed, options.patients) for seed in seeds])
    estimates, errors, truth = found[:, 0], found[:, 1], found[0, 2]
    mean, error = estimates.mean(), estimates.std(ddof=1) / np.sqrt(len(estimates))
    covered = float((np.abs(estimates - truth) < 1.959964 * errors).mean())
    off = (mean - truth) / error
    print(f"{options.cohorts} cohorts of {options.patients}, seeds from {options.first_seed}")
    print(f"true cOR {np.exp(truth):.3f}; mean {np.exp(mean):.3f} ({off:+.1f} Monte-Carlo SE)")
    print(f"lowest {np.exp(estimates.min()):.2f}, highest {np.exp(estimates.max()):.2f}")
    print(f"95 % intervals that cover the truth: {covered:.1%}")
    print(f"ratio of the mean to the truth on the log scale: {mean / truth:.3f}")


if __name__ == "__main__":
    main()
