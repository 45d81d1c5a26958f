"""From drawn variables to the registry's tables, with the data dictionary's column names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.shards import canonical_json, sha256_json
from la_outcomes.simulation.clinical_draws import Columns
from la_outcomes.simulation.parameters import Parameters

VALID_FROM = pd.Timestamp("2000-01-01")
REPEAT_SUFFIX = "-ct2"
_YES_NO = ("hypertension", "diabetes", "hyperlipidaemia", "smoking", "atrial_fibrillation", "prior_stroke")
_NUMBERS = {
    "age_years": 1, "bmi_kg_m2": 1, "systolic_bp_mmhg": 0, "glucose_mmol_l": 2, "infarct_volume_ml": 2,
    "onset_to_ct_hours": 2,
}  # fmt: skip
_GRADES = ("nihss_admission", "pre_stroke_mrs")


def registry_tables(columns: Columns, seed: int, parameters: Parameters) -> dict[str, pd.DataFrame]:
    """Return one frame a table, in an order in which foreign keys exist before they are used."""
    ids = _patient_ids(columns, seed, parameters)
    ct_ids, flair_ids = ids + "-ct", ids + "-flair"
    with_mri = columns["mri_selected"]
    card = measurement_card(parameters)
    ct_scans = _ct_scans(columns, ids, ct_ids)
    return {
        "models": _models(card),
        "patients": _patients(columns, ids),
        "scans": pd.concat(
            [
                ct_scans,
                _repeated(ct_scans, ids, columns["ct_repeated"]),
                _flair_scans(columns, ids, flair_ids)[with_mri],
            ],
            ignore_index=True,
        ),
        "pairs": pd.DataFrame(
            {"ct_scan_id": ct_ids, "flair_scan_id": flair_ids, "days_between": columns["days_between"]}
        )[with_mri].reset_index(drop=True),
        "clinical": _clinical(columns, ids),
        "outcomes": _outcomes(columns, ids),
        "fazekas_ratings": _fazekas(columns, ct_ids, list(parameters["clinical"]["fazekas"]["readers"])),
        "la_measurements": pd.concat(
            [
                _la_measurements(columns, ct_ids, card),
                _la_measurements(columns, ids + REPEAT_SUFFIX, card, "_repeat")[columns["ct_repeated"]],
            ],
            ignore_index=True,
        ),
        "wmh_measurements": _wmh_measurements(columns, flair_ids, card, parameters)[with_mri].reset_index(
            drop=True
        ),
        "simulation_truth": _truth(columns, ids, seed, parameters),
    }


def measurement_card(parameters: Parameters) -> dict[str, Any]:
    """Return the card of the declared measurement-error model: what it is and every parameter of it."""
    clinical = parameters["clinical"]
    return {
        "name": "simulated-measurement",
        "kind": "simulated-measurement",
        "simulator_version": parameters["version"],
        "declared_error": clinical["measurement"],
        "vendor_ln_offset": {name: value["ln_offset"] for name, value in clinical["scanners"].items()},
        "intended_use": "patients simulated without images; never a real patient",
    }


def _patient_ids(columns: Columns, seed: int, parameters: Parameters) -> pd.Series:
    codes = {name: cohort["code"] for name, cohort in parameters["clinical"]["cohorts"].items()}
    prefix = pd.Series(columns["cohort"], dtype=object).map(codes)
    number = pd.Series(columns["number"]).astype(str).str.zfill(6)
    return "sim" + str(seed) + "-" + prefix + "-" + number


def _models(card: dict[str, Any]) -> pd.DataFrame:
    row = {
        "model_sha256": sha256_json(card),
        "name": card["name"],
        "kind": card["kind"],
        "is_active": True,
        "card": canonical_json(card),
    }
    return pd.DataFrame([row])


def _patients(columns: Columns, ids: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": ids,
            "cohort": columns["cohort"],
            "is_simulated": True,
            "site": columns["site"],
            "sex": columns["sex"],
        }
    )


def _ct_scans(columns: Columns, ids: pd.Series, scan_ids: pd.Series) -> pd.DataFrame:
    onset = np.where(columns["missing_onset_to_ct_hours"], np.nan, columns["onset_to_ct_hours"] / 24)
    return pd.DataFrame(
        {
            "scan_id": scan_ids,
            "patient_id": ids,
            "modality": "CT",
            "is_contrast_enhanced": False,
            "manufacturer": columns["ct_manufacturer"],
            "kernel": columns["ct_kernel"],
            "kvp": columns["ct_kvp"],
            "slice_thickness_mm": columns["ct_slice_thickness_mm"],
            "pixel_spacing_mm": columns["ct_pixel_spacing_mm"],
            "slice_spacing_mm": columns["ct_slice_thickness_mm"],
            "gantry_tilt_deg": columns["ct_gantry_tilt_deg"],
            "days_from_onset": np.round(onset, 3),
        }
    )


def _repeated(ct_scans: pd.DataFrame, ids: pd.Series, repeated: np.ndarray) -> pd.DataFrame:
    """A second CT on the same scanner a quarter of an hour later, of the patients who get one."""
    again = ct_scans.assign(
        scan_id=ids + REPEAT_SUFFIX, days_from_onset=np.round(ct_scans["days_from_onset"] + 0.01, 3)
    )
    return again[repeated]


def _flair_scans(columns: Columns, ids: pd.Series, scan_ids: pd.Series) -> pd.DataFrame:
    days = columns["onset_to_ct_hours"] / 24 + columns["days_between"]
    return pd.DataFrame(
        {
            "scan_id": scan_ids,
            "patient_id": ids,
            "modality": "FLAIR",
            "is_contrast_enhanced": False,
            "manufacturer": columns["flair_manufacturer"],
            "slice_thickness_mm": columns["flair_slice_thickness_mm"],
            "slice_spacing_mm": columns["flair_slice_thickness_mm"],
            "days_from_onset": np.round(np.where(columns["missing_onset_to_ct_hours"], np.nan, days), 3),
        }
    )


def _clinical(columns: Columns, ids: pd.Series) -> pd.DataFrame:
    table = pd.DataFrame({"patient_id": ids, "valid_from": VALID_FROM})
    for name in _YES_NO:
        table[name] = pd.array(columns[name], dtype="boolean")
    for name, digits in _NUMBERS.items():
        table[name] = np.round(columns[name], digits)
    for name in _GRADES:
        table[name] = pd.array(columns[name], dtype="Int64")
    table["reperfusion_treatment"] = columns["reperfusion_treatment"]
    for name in table.columns:
        if f"missing_{name}" in columns:
            table[name] = table[name].mask(columns[f"missing_{name}"])
    return table


def _outcomes(columns: Columns, ids: pd.Series) -> pd.DataFrame:
    table = pd.DataFrame({"patient_id": ids, "valid_from": VALID_FROM})
    table["mrs_3m"] = _integers(columns["mrs_3m"])
    table["mrs_discharge"] = _integers(
        np.where(columns["missing_mrs_discharge"], np.nan, columns["mrs_discharge"])
    )
    for name in ("death_days", "recurrence_days", "last_seen_days"):
        table[name] = columns[name]
    return table


def _integers(values: np.ndarray) -> pd.Series:
    return pd.Series(values).astype("Int64")


def _fazekas(columns: Columns, scan_ids: pd.Series, readers: list[str]) -> pd.DataFrame:
    tables = []
    for reader in readers:
        for pass_no in (1, 2):
            grades = {
                name: _integers(columns[f"{name}/{reader}/{pass_no}"])
                for name in ("fazekas_periventricular", "fazekas_deep")
            }
            table = pd.DataFrame({"scan_id": scan_ids, "rater": reader, "pass_no": pass_no, **grades})
            tables.append(table if pass_no == 1 else table[columns["second_pass"]])
    return pd.concat(tables, ignore_index=True)


def _la_measurements(
    columns: Columns, scan_ids: pd.Series, card: dict[str, Any], which: str = ""
) -> pd.DataFrame:
    measured = ~np.isnan(columns["la_volume_ml" + which])
    return pd.DataFrame(
        {
            "scan_id": scan_ids,
            "model_sha256": sha256_json(card),
            "parameters_sha256": sha256_json(card["declared_error"]),
            "la_volume_ml": np.round(columns["la_volume_ml" + which], 3),
            "not_measured_reason": columns["not_measured_reason" + which],
            "brain_volume_ml": np.where(measured, np.round(columns["brain_volume_ml"], 1), np.nan),
            "icv_ml": np.where(measured, np.round(columns["icv_ml"], 1), np.nan),
        }
    )


def _wmh_measurements(
    columns: Columns, scan_ids: pd.Series, card: dict[str, Any], parameters: Parameters
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scan_id": scan_ids,
            "source": "simulated",
            "parameters_sha256": sha256_json(card["declared_error"]),
            "wmh_volume_ml": np.round(columns["wmh_volume_ml"], 3),
            "tool_version": str(parameters["version"]),
        }
    )


def _truth(columns: Columns, ids: pd.Series, seed: int, parameters: Parameters) -> pd.DataFrame:
    outcome = parameters["clinical"]["outcome"]
    return pd.DataFrame(
        {
            "patient_id": ids,
            "simulator_version": str(parameters["version"]),
            "seed": seed,
            "tissue_volume_ml": columns["tissue_volume_ml"],
            "visible_la_volume_ml": columns["visible_la_volume_ml"],
            "infarct_volume_ml": columns["infarct_volume_ml"],
            "true_log_or_per_sd": outcome["coefficients"]["tissue_sd"]
            if outcome["proportional_odds"]
            else np.nan,
            "sd_ln_tissue_volume": parameters["clinical"]["tissue_scale"]["sd"],
            "age_years": columns["age_years"],
            "mri_selected": columns["mri_selected"],
        }
    )
