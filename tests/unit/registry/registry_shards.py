"""Small shards that fit the dictionary, for the registry's tests."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from la_outcomes.provenance import Run
from la_outcomes.shards import Rows, sha256_json, write_shard

MODEL = "a" * 64
OTHER_MODEL = "b" * 64


def run_at(hour: int, **parameters: Any) -> Run:
    """A run of a stated hour, so that its rows are earlier or later than others'."""
    moment = datetime(2026, 1, 1, hour)
    return Run("segment", parameters, run_id=f"run-{hour}-{sha256_json(parameters)[:6]}", started_at=moment)


def measurement_rows(
    run: Run,
    patient: str = "p1",
    scan: str = "p1-ct",
    volume: float | None = 5.0,
    model: str = MODEL,
    reason: str | None = None,
    **patient_columns: Any,
) -> Rows:
    """Rows of one segmented CT; without a volume ``reason`` says why."""
    return {
        "runs": [run.row()],
        "patients": [{"patient_id": patient, **patient_columns}],
        "scans": [{"scan_id": scan, "patient_id": patient, "modality": "CT", "days_from_onset": 1.0}],
        "models": [{"model_sha256": model, "name": model[:3], "kind": "segmentation"}],
        "la_measurements": [
            {
                "scan_id": scan,
                "model_sha256": model,
                "parameters_sha256": run.parameters_sha256,
                "la_volume_ml": volume,
                "not_measured_reason": reason,
            }
        ],
    }


def put(folder: Path, name: str, rows: Rows, status: str = "done", kind: str = "la_measurement") -> Path:
    """Write a shard whose key comes from its name."""
    return write_shard(folder, kind=kind, case_id=name, key=sha256_json(name), status=status, rows=rows)
