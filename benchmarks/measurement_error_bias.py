"""Bias of naive, corrected and true effects over many studies, without intervals; prints one line a setting.

    python benchmarks/measurement_error_bias.py [--studies 300] [--only "error linear"]

The settings are those of ``coverage_scenarios/measurement_error.py``. `coverage.py` judges their intervals,
at a bootstrap a study; a bias of a few per cent needs this cheaper script. In brackets the Monte-Carlo
standard error; "refused" counts corrections that refused the pairs. Multiple imputation is not shown here.
"""

# ruff: noqa: E402 - threads are limited, and this folder taken off the path, before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics``.
_FOLDER = os.path.dirname(os.path.realpath(__file__))
sys.path = [place for place in sys.path if os.path.realpath(place) != _FOLDER]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import zlib
from importlib import import_module
from typing import Any

import numpy as np

from la_outcomes.analysis.error_specification import read_study
from la_outcomes.analysis.exposure_outcome import read_outcome
from la_outcomes.analysis.regression_calibration import calibrated_fit
from la_outcomes.analysis.truth_model import learn_truth
from la_outcomes.errors import StatisticsError

sys.path.append(_FOLDER)
scenarios = import_module("coverage_scenarios.measurement_error")
METHODS = ("true", "naive", "calibration", "error")


def effects(setting: Any, number: int) -> dict[str, float]:
    """Estimates of one study; a refused correction is left out."""
    rng = np.random.default_rng([number, zlib.crc32(setting.name.encode())])
    cohort, pairs = scenarios.study(rng, setting)
    found: dict[str, float] = {}
    for transport in ("calibration", "error"):
        data = read_study(cohort, pairs, "y", scenarios.TERMS, scenarios.specification(setting, transport))
        outcome = read_outcome(data.rows["y"], setting.kind)
        if not found:
            for name, x in (("true", cohort["truth"]), ("naive", data.cohort.measured)):
                found[name] = float(outcome.fit(np.column_stack([x, data.cohort.terms])).slopes[0])
        try:
            found[transport] = float(calibrated_fit(data, outcome, learn_truth(data)).slopes[0])
        except StatisticsError:
            continue
    return found


def line(setting: Any, studies: int) -> str:
    """One row of the table."""
    results = [effects(setting, number) for number in range(studies)]
    cells = []
    for method in METHODS:
        values = np.array([each[method] for each in results if method in each]) / scenarios.EFFECT - 1
        cells.append(f"{100 * values.mean():+.1f} ({100 * values.std(ddof=1) / np.sqrt(len(values)):.1f})")
    refused = sum(method not in each for each in results for method in METHODS)
    return f"| {setting.name.removeprefix('error ')} | {studies} | {' | '.join(cells)} | {refused} |"


def main() -> None:
    """Print the table as it grows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print("| setting | studies | true, % | naive, % | RC, calibration, % | RC, error, % | refused |")
    print("|---|---|---|---|---|---|---|")
    for setting in scenarios.settings():
        if setting.name.startswith(options.only):
            print(line(setting, options.studies), flush=True)


if __name__ == "__main__":
    main()
