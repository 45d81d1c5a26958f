"""The cohort that the registry's benchmark takes in: bulk shards of many patients, or a shard each."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from la_outcomes.bulk import write_bulk
from la_outcomes.provenance import Run
from la_outcomes.shards import sha256_json, write_shard


def drawn(rng: np.random.Generator, values: list[str], n: int) -> np.ndarray:
    """n values drawn with equal probability."""
    return np.array(values, dtype=object)[rng.integers(0, len(values), n)]


def patient_frames(n: int, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Patients with their clinical and outcome rows."""
    ids = np.array([f"p{i:08d}" for i in range(n)], dtype=object)
    version = {"patient_id": ids, "valid_from": datetime(2026, 1, 1)}
    clinical = version | {
        "age_years": np.round(rng.uniform(40, 95, n), 1),
        "hypertension": rng.random(n) < 0.6,
        "diabetes": rng.random(n) < 0.3,
        "nihss_admission": rng.integers(0, 30, n),
        "glucose_mmol_l": np.round(rng.uniform(4, 15, n), 2),
        "pre_stroke_mrs": rng.integers(0, 6, n),
        "infarct_volume_ml": np.round(rng.lognormal(2, 1, n).clip(0, 1400), 2),
        "reperfusion_treatment": drawn(rng, ["none", "intravenous", "endovascular", "both"], n),
    }
    outcomes = version | {"mrs_3m": rng.integers(0, 6, n), "last_seen_days": rng.uniform(90, 900, n).round()}
    patients = {
        "patient_id": ids,
        "cohort": "clinical",
        "is_simulated": True,
        "site": drawn(rng, [f"centre {i}" for i in range(20)], n),
        "sex": drawn(rng, ["female", "male"], n),
    }
    tables = {"patients": patients, "clinical": clinical, "outcomes": outcomes}
    return {name: pd.DataFrame(columns) for name, columns in tables.items()}


def scan_frames(n: int, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """1.2 CT scans a patient and one model's volume of each."""
    second = np.sort(rng.choice(n, n // 5, replace=False))
    owner = np.concatenate([np.arange(n), second])
    ids = np.array([f"p{i:08d}" for i in range(n)], dtype=object)[owner]
    scan_ids = ids + np.concatenate([np.full(n, "-ct1", object), np.full(len(second), "-ct2", object)])
    m, model = len(owner), sha256_json("model")
    failed = rng.random(m) < 0.02
    scans = {
        "scan_id": scan_ids,
        "patient_id": ids,
        "modality": "CT",
        "manufacturer": drawn(rng, ["A", "B", "C", "D"], m),
        "slice_thickness_mm": rng.choice([1.0, 3.0, 5.0], m),
        "days_from_onset": np.concatenate([np.zeros(n), rng.uniform(1, 9, len(second))]),
    }
    measured = {
        "scan_id": scan_ids,
        "model_sha256": model,
        "parameters_sha256": sha256_json("parameters"),
        "la_volume_ml": np.where(failed, np.nan, rng.lognormal(1.5, 1, m).clip(0, 900).round(3)),
        "not_measured_reason": np.where(failed, "motion", None),
    }
    models = {"model_sha256": [model], "name": "m", "kind": "simulated-measurement", "card": "{}"}
    tables = {"scans": scans, "models": models, "la_measurements": measured}
    return {name: pd.DataFrame(columns) for name, columns in tables.items()}


def write_cohort(folder: Path, n: int) -> None:
    """Bulk shards of n patients."""
    rng, run = np.random.default_rng(1), Run("simulate", {"n": n}, seed=1)
    for table, frame in (patient_frames(n, rng) | scan_frames(n, rng)).items():
        write_bulk(folder, kind="simulation", table=table, frame=frame, run=run)


def write_small(folder: Path, n: int) -> None:
    """n JSON shards, each a patient with scan, measurement, model and run."""
    run = Run("segment", {})
    model = sha256_json("model")
    for i in range(n):
        measured = {"scan_id": f"s{i}", "model_sha256": model, "parameters_sha256": run.parameters_sha256}
        rows = {
            "runs": [run.row()],
            "patients": [{"patient_id": f"q{i}", "cohort": "clinical"}],
            "scans": [{"scan_id": f"s{i}", "patient_id": f"q{i}", "modality": "CT", "days_from_onset": 1.0}],
            "models": [{"model_sha256": model, "name": "m", "kind": "segmentation"}],
            "la_measurements": [measured | {"la_volume_ml": float(i % 50)}],
        }
        write_shard(
            folder, kind="la_measurement", case_id=str(i), key=sha256_json(i), status="done", rows=rows
        )
