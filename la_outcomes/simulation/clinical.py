"""Simulated patients as registry tables: a joint distribution with named structure and known truth.

age, risk factors -> tissue volume -> visible LA -> measured LA; tissue volume, infarct, NIHSS, treatment,
risk factors, pre-stroke mRS, centre -> mRS. Coefficients: ``parameters.yaml``. Same seed, same frames; the
first k patients of a cohort stay the same when more are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.errors import InputError
from la_outcomes.simulation.clinical_draws import Columns, Draws
from la_outcomes.simulation.clinical_missing import draw_missing
from la_outcomes.simulation.clinical_outcomes import draw_outcomes, follow
from la_outcomes.simulation.clinical_patients import draw_patients
from la_outcomes.simulation.clinical_readings import measure, rate_fazekas
from la_outcomes.simulation.clinical_scans import draw_ct, draw_flair
from la_outcomes.simulation.clinical_tables import registry_tables
from la_outcomes.simulation.parameters import Parameters, load_parameters


@dataclass(frozen=True)
class ClinicalSimulation:
    """Simulated patients.

    Attributes
    ----------
    tables : one frame a registry table, with the data dictionary's columns (``run_id`` left to the writer).
    complete : one row a patient with every drawn variable before anything went missing, for tests and truth.
    parameters : the parameters that made them.
    """

    tables: dict[str, pd.DataFrame]
    complete: pd.DataFrame
    parameters: Parameters


def simulate_clinical(
    n_by_cohort: Mapping[str, int] | None = None,
    n: int | None = None,
    seed: int = 1,
    parameters: Parameters | None = None,
) -> ClinicalSimulation:
    """Simulate patients without images.

    Parameters
    ----------
    n_by_cohort : patients a cohort; without it ``n`` patients in the default proportions; without either the
        default sizes.
    seed : any non-negative integer; part of the patients' identifiers.
    parameters : from ``load_parameters``, changed or not.

    Raises
    ------
    InputError
        Unknown cohort, negative size or seed, or an unknown mechanism of missingness.
    """
    parameters = parameters or load_parameters()
    clinical = parameters["clinical"]
    if seed < 0:
        raise InputError(f"seed {seed} is negative", where="seed", hint="use 0 or more")
    sizes = cohort_sizes(clinical["cohorts"], n_by_cohort, n)
    drawn = [_cohort(name, size, seed, clinical) for name, size in sizes.items() if size]
    if not drawn:
        drawn = [{name: values[:0] for name, values in _cohort("clinical", 1, seed, clinical).items()}]
    columns = {name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]}
    tables = registry_tables(columns, seed, parameters)
    return ClinicalSimulation(tables, pd.DataFrame(columns), parameters)


def cohort_sizes(
    cohorts: Mapping[str, Any], n_by_cohort: Mapping[str, int] | None, n: int | None
) -> dict[str, int]:
    """Return patients a cohort; ``n`` is shared out in the default proportions by largest remainder."""
    if n_by_cohort is not None and n is not None:
        raise InputError("both n and n_by_cohort were given", where="n", hint="give one of them")
    if n_by_cohort is not None:
        unknown = set(n_by_cohort) - set(cohorts)
        if unknown or min(n_by_cohort.values(), default=0) < 0:
            raise InputError(
                f"cohort sizes {dict(n_by_cohort)} cannot be simulated",
                where="n_by_cohort",
                hint=f"cohorts: {', '.join(cohorts)}; sizes of 0 or more",
            )
        return dict(n_by_cohort)
    default = {name: int(cohort["n"]) for name, cohort in cohorts.items()}
    if n is None:
        return default
    if n < 0:
        raise InputError(f"{n} patients cannot be simulated", where="n", hint="0 or more")
    exact = {name: n * size / sum(default.values()) for name, size in default.items()}
    sizes = {name: int(share) for name, share in exact.items()}
    by_remainder = sorted(exact, key=lambda name: sizes[name] - exact[name])
    for name in by_remainder[: n - sum(sizes.values())]:
        sizes[name] += 1
    return sizes


def _cohort(name: str, size: int, seed: int, clinical: dict[str, Any]) -> Columns:
    """Draw a cohort of ``size``; where an MRI is required, the first ``size`` candidates who got one."""
    cohort = clinical["cohorts"][name]
    candidates = size
    while True:
        columns = draw_patients(Draws(seed, name, candidates), cohort, clinical)
        kept = columns["mri_selected"] if cohort["mri_required"] else np.ones(candidates, dtype=bool)
        if kept.sum() >= size:
            break
        candidates = int(candidates * 1.3 * size / max(1, kept.sum())) + 10
    rows = np.flatnonzero(kept)[:size]
    draws = Draws(seed, name, candidates)
    columns |= _observe(draws, columns, clinical)
    chosen = {variable: values[rows] for variable, values in columns.items()}
    return chosen | {"cohort": np.full(size, name, dtype=object), "number": np.arange(1, size + 1)}


def _observe(draws: Draws, columns: Columns, clinical: dict[str, Any]) -> Columns:
    """Outcomes, scans, readings and what is missing, for patients who are drawn."""
    seen = draw_ct(draws, columns, clinical) | draw_flair(draws, clinical)
    outcomes = draw_outcomes(draws, columns, clinical)
    missing = draw_missing(draws, columns, clinical["missingness"])
    followed = follow(draws, outcomes, missing["mrs_3m"], clinical["follow_up"])
    everything = {f"true_{name}": values for name, values in outcomes.items()} | followed | seen
    everything |= measure(draws, columns | seen, clinical["measurement"], clinical["scanners"])
    again = measure(draws, columns | seen, clinical["measurement"], clinical["scanners"], " repeat")
    everything |= {f"{name}_repeat": again[name] for name in ("la_volume_ml", "not_measured_reason")}
    everything["ct_repeated"] = draws.uniform("repeat ct") < clinical["repeat_ct"]["share"]
    everything |= {f"missing_{name}": mask for name, mask in missing.items()}
    return everything | _ratings(draws, columns, clinical["fazekas"])


def _ratings(draws: Draws, columns: Columns, model: dict[str, Any]) -> Columns:
    rated: Columns = {"second_pass": draws.uniform("second_pass") < model["second_pass_share"]}
    for reader in model["readers"]:
        for pass_no in (1, 2):
            grades = rate_fazekas(draws, columns, model, reader, pass_no)
            rated |= {f"{name}/{reader}/{pass_no}": grade for name, grade in grades.items()}
    return rated
