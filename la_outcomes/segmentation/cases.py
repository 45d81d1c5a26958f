"""Tables of work: SCANS.csv (one scan a row) and PAIRS.csv (one CT and FLAIR of one patient a row)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from la_outcomes.errors import InputError

COHORTS = ("training", "internal_validation", "external_test", "us_test", "clinical")
MODALITIES = ("CT", "FLAIR")
PATIENT_COLUMNS: Mapping[str, type] = {"cohort": str, "is_simulated": bool, "site": str, "sex": str}
SCAN_COLUMNS: Mapping[str, type] = {
    "is_contrast_enhanced": bool,
    "sha256": str,
    "manufacturer": str,
    "model_name": str,
    "kernel": str,
    "kvp": float,
    "slice_thickness_mm": float,
    "pixel_spacing_mm": float,
    "slice_spacing_mm": float,
    "gantry_tilt_deg": float,
    "days_from_onset": float,
}
_SCAN_KEYS = ("patient_id", "scan_id", "modality", "path")
_PAIR_KEYS = ("patient_id", "cohort", "ct_scan_id", "ct_path", "flair_scan_id", "flair_path")
_PAIR_COLUMNS: Mapping[str, type] = {
    **PATIENT_COLUMNS,
    "wmh_mask_path": Path,
    "infarct_mask_path": Path,
    "t1_path": Path,
    "days_between": float,
    "anatomy": str,
}
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ScanCase:
    """One row of SCANS.csv: a scan of a patient, its file, and what is known of both."""

    patient_id: str
    scan_id: str
    modality: str
    path: Path
    patient: Mapping[str, Any] = field(default_factory=dict)
    scan: Mapping[str, Any] = field(default_factory=dict)

    @property
    def case_id(self) -> str:
        """Name of this piece of work in logs and shards."""
        return self.scan_id

    def patient_row(self) -> dict[str, Any]:
        """Row of the registry table ``patients``; only the columns that the table gave."""
        return {"patient_id": self.patient_id, **self.patient}

    def scan_row(self, sha256: str) -> dict[str, Any]:
        """Row of the registry table ``scans`` for a file of this hash (which outranks the table's)."""
        keys = {"scan_id": self.scan_id, "patient_id": self.patient_id, "modality": self.modality}
        return {**self.scan, **keys, "path": self.path.as_posix(), "sha256": sha256}


@dataclass(frozen=True)
class PairCase:
    """One row of PAIRS.csv: a CT and a FLAIR of one patient, and the masks that come with them."""

    patient_id: str
    cohort: str
    ct: ScanCase
    flair: ScanCase
    wmh_mask_path: Path | None = None
    infarct_mask_path: Path | None = None
    days_between: float | None = None
    anatomy: str | None = None
    t1_path: Path | None = None

    @property
    def case_id(self) -> str:
        """Name of this piece of work in logs and shards: the CT's scan id."""
        return self.ct.scan_id

    @property
    def site(self) -> str | None:
        """Centre of the patient, None where the table does not say."""
        return self.ct.patient.get("site")

    def row(self) -> dict[str, Any]:
        """Row of the registry table ``pairs``."""
        return {
            "ct_scan_id": self.ct.scan_id,
            "flair_scan_id": self.flair.scan_id,
            "days_between": self.days_between,
        }


def read_scans(path: str | Path, *, modality: str | None = None) -> list[ScanCase]:
    """Read and validate SCANS.csv; relative paths are taken from the table's folder.

    Required columns: patient_id, scan_id, modality (CT or FLAIR), path. Optional: the other columns of
    the registry tables ``scans`` and ``patients``. With ``modality`` only those scans are returned.
    Raises ``InputError`` for missing or unknown columns, empty or doubled ids, ids that cannot name a
    file, values of the wrong type, and one patient told in two ways. Whether a file exists is
    found out when its case runs.
    """
    table = _read_table(path, _SCAN_KEYS, {**PATIENT_COLUMNS, **SCAN_COLUMNS})
    _refuse_doubles(table, "scan_id", path)
    cases = [_scan_case(row, Path(path)) for row in _rows(table, {**PATIENT_COLUMNS, **SCAN_COLUMNS}, path)]
    _refuse_split_patients(cases, path)
    return [case for case in cases if modality is None or case.modality == modality]


def read_pairs(path: str | Path) -> list[PairCase]:
    """Read and validate PAIRS.csv; relative paths are taken from the table's folder.

    Required columns: patient_id, cohort, ct_scan_id, ct_path, flair_scan_id, flair_path. Optional: site,
    sex, is_simulated, wmh_mask_path, infarct_mask_path (both on the FLAIR's grid), t1_path (for tools that
    need one), days_between, anatomy.
    A CT may stand in one pair only, because its label is named after it. Raises as ``read_scans``.
    """
    table = _read_table(path, _PAIR_KEYS, _PAIR_COLUMNS)
    _refuse_doubles(table, "ct_scan_id", path)
    cases = [_pair_case(row, Path(path)) for row in _rows(table, _PAIR_COLUMNS, path)]
    _refuse_split_patients([case.ct for case in cases], path)
    return cases


def _read_table(path: str | Path, keys: tuple[str, ...], optional: Mapping[str, type]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise InputError("the table does not exist", where=path) from error
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError("the table cannot be read as CSV", where=path) from error
    table = table.apply(lambda column: column.str.strip())
    missing = [name for name in keys if name not in table.columns]
    if missing:
        raise InputError(f"columns are missing: {', '.join(missing)}", where=path)
    unknown = [name for name in table.columns if name not in keys and name not in optional]
    if unknown:
        hint = f"known columns: {', '.join([*keys, *optional])}"
        raise InputError(f"unknown columns: {', '.join(unknown)}", where=path, hint=hint)
    _check_keys(table, keys, path)
    return table


def _check_keys(table: pd.DataFrame, keys: tuple[str, ...], path: str | Path) -> None:
    for name in keys:
        empty = table.index[table[name] == ""]
        if len(empty):
            raise InputError(f"{name} is empty in line {empty[0] + 2}", where=path)
    for name in (name for name in keys if name.endswith("_id")):
        for line, value in enumerate(table[name], start=2):
            if not _SAFE_ID.fullmatch(value):
                hint = "use letters, digits, dot, dash and underscore: ids name files"
                raise InputError(f"{name} in line {line} cannot name a file", where=path, hint=hint)
    for name, allowed in (("cohort", COHORTS), ("modality", MODALITIES)):
        wrong = sorted(set(table.get(name, [])) - {*allowed, ""})
        if wrong:
            raise InputError(f"{name} is {wrong[0]!r}", where=path, hint=f"one of: {', '.join(allowed)}")


def _refuse_doubles(table: pd.DataFrame, key: str, path: str | Path) -> None:
    doubled = table.loc[table[key].duplicated(), key].tolist()
    if doubled:
        raise InputError(f"{key} {doubled[0]} stands in the table twice", where=path)


def _rows(table: pd.DataFrame, kinds: Mapping[str, type], path: str | Path) -> list[dict[str, Any]]:
    """Typed rows without the empty cells."""
    return [
        {
            str(name): _typed(value, kinds.get(str(name), str), f"{name}, line {line}", path)
            for name, value in row.items()
            if value != ""
        }
        for line, row in enumerate(table.to_dict("records"), start=2)
    ]


def _typed(value: str, kind: type, place: str, path: str | Path) -> Any:
    if kind is bool:
        if value.lower() not in _BOOLEANS:
            raise InputError(f"{place}: {value!r} is neither true nor false", where=path)
        return _BOOLEANS[value.lower()]
    if kind is float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InputError(f"{place}: {value!r} is not a number", where=path)
        return number
    return Path(path).parent / value if kind is Path else value


def _scan_case(row: dict[str, Any], table: Path) -> ScanCase:
    return ScanCase(
        row["patient_id"],
        row["scan_id"],
        row["modality"],
        table.parent / row["path"],
        {name: row[name] for name in PATIENT_COLUMNS if name in row},
        {name: row[name] for name in SCAN_COLUMNS if name in row},
    )


def _pair_case(row: dict[str, Any], table: Path) -> PairCase:
    ct, flair = (
        _scan_case(
            {**row, "scan_id": row[f"{name}_scan_id"], "path": row[f"{name}_path"], "modality": mod}, table
        )
        for name, mod in (("ct", "CT"), ("flair", "FLAIR"))
    )
    if ct.scan_id == flair.scan_id:
        raise InputError(f"CT and FLAIR have one scan id: {ct.scan_id}", where=table)
    extra = {
        name: row.get(name)
        for name in ("wmh_mask_path", "infarct_mask_path", "days_between", "anatomy", "t1_path")
    }
    return PairCase(row["patient_id"], row["cohort"], ct, flair, **extra)


def _refuse_split_patients(scans: list[ScanCase], path: str | Path) -> None:
    """One patient has one cohort, site and sex: two would leak over splits or count a person twice."""
    seen: dict[str, dict[str, Any]] = {}
    for scan in scans:
        known = seen.setdefault(scan.patient_id, {})
        for name, value in scan.patient.items():
            if known.setdefault(name, value) != value:
                raise InputError(f"patient {scan.patient_id} has two values of {name}", where=path)
