"""The tables of work beside a simulated cohort's images: scans.csv, pairs.csv, and what BIDS asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from la_outcomes.imaging.bids_names import bids_label
from la_outcomes.shards import Rows, atomic_path, write_text_atomic
from la_outcomes.simulation.outputs import Outputs
from la_outcomes.simulation.parameters import simulator_version

_SCAN_COLUMNS = (
    "patient_id", "scan_id", "modality", "path", "cohort", "is_simulated", "site", "sex",
    "is_contrast_enhanced", "sha256", "manufacturer", "kernel", "kvp", "slice_thickness_mm",
    "pixel_spacing_mm", "slice_spacing_mm", "gantry_tilt_deg", "days_from_onset",
)  # fmt: skip
_PAIR_COLUMNS = (
    "patient_id", "cohort", "is_simulated", "site", "sex", "ct_scan_id", "ct_path", "flair_scan_id",
    "flair_path", "wmh_mask_path", "infarct_mask_path", "days_between", "anatomy",
)  # fmt: skip


def write_tables(out_dir: Path, patients: Sequence[Rows], outputs: Outputs) -> None:
    """``scans.csv`` and ``pairs.csv``, the tables of work of ``segment`` and ``label``; BIDS' if asked."""
    scans = [{**rows["patients"][0], **scan} for rows in patients for scan in rows["scans"]]
    pairs = [_pair_row(rows, outputs) for rows in patients if rows["pairs"]]
    for name, table, columns in (("scans", scans, _SCAN_COLUMNS), ("pairs", pairs, _PAIR_COLUMNS)):
        _write(out_dir / f"{name}.csv", pd.DataFrame(table, columns=list(columns)), ",")
    if outputs.layout == "bids":
        _write_bids(out_dir, patients)


def _write(path: Path, table: pd.DataFrame, separator: str) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(
            temporary, sep=separator, index=False, lineterminator="\n", na_rep="n/a" * (separator == "\t")
        )


def _pair_row(rows: Rows, outputs: Outputs) -> dict[str, Any]:
    pair = rows["pairs"][0]
    paths = {scan["scan_id"]: scan["path"] for scan in rows["scans"]}
    patient = str(rows["patients"][0]["patient_id"])
    return {
        **rows["patients"][0],
        **pair,
        "ct_path": paths[pair["ct_scan_id"]],
        "flair_path": paths[pair["flair_scan_id"]],
        "wmh_mask_path": outputs.path(patient, "truth_wmh_flair").as_posix(),
        "infarct_mask_path": outputs.path(patient, "infarct_flair").as_posix(),
        "anatomy": rows["simulation_truth"][0]["anatomy"],
    }


def _write_bids(out_dir: Path, patients: Sequence[Rows]) -> None:
    """Descriptions of the data set and of the truth, participants.tsv, .bidsignore for CT and our tables."""
    name = f"Simulated CT-FLAIR pairs (la_outcomes simulator {simulator_version()})"
    generated = [{"Name": "la_outcomes simulate", "Version": simulator_version()}]
    about = {"Name": name, "BIDSVersion": "1.9.0", "DatasetType": "raw", "GeneratedBy": generated}
    truth = {**about, "Name": f"Truth of: {name}", "DatasetType": "derivative"}
    write_text_atomic(out_dir / "dataset_description.json", json.dumps(about, indent=2) + "\n")
    write_text_atomic(
        out_dir / "derivatives" / "truth" / "dataset_description.json", json.dumps(truth, indent=2) + "\n"
    )
    write_text_atomic(out_dir / ".bidsignore", "**/ct/\nscans.csv\npairs.csv\nshards/\ndicom/\n")
    table = [
        {
            "participant_id": f"sub-{bids_label(str(rows['patients'][0]['patient_id']))}",
            **{key: rows["patients"][0].get(key) for key in ("patient_id", "sex", "cohort", "site")},
            "age": rows["clinical"][0].get("age_years"),
        }
        for rows in patients
    ]
    _write(out_dir / "participants.tsv", pd.DataFrame(table), "\t")
