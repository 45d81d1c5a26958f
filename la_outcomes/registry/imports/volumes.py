"""Volumes that another tool measured: LA on CT or WMH on FLAIR, so that the analyses run on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from la_outcomes.bulk import write_bulk
from la_outcomes.errors import InputError
from la_outcomes.provenance import Run
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.imports.conversion import CellFault, Converted, convert
from la_outcomes.registry.imports.mapping import TableMapping
from la_outcomes.registry.imports.validation import faults_of
from la_outcomes.registry.ingest import IngestReport, ingest
from la_outcomes.shards import canonical_json, sha256_json

COMMAND = "import-volumes"
NO_VOLUME = "no volume in the imported table"
_MEASURES = {"la_measurements": ("CT", "la_volume_ml"), "wmh_measurements": ("FLAIR", "wmh_volume_ml")}


@dataclass(frozen=True)
class VolumePlan:
    """Frames by registry table, in the order in which they go in, and what was found wrong."""

    frames: dict[str, pd.DataFrame]
    run: Run
    faults: list[CellFault]
    notes: list[str]
    n_measured: int
    n_without: int


def plan_volumes(source: pd.DataFrame, mapping: TableMapping, parameters: Mapping[str, Any]) -> VolumePlan:
    """Map and validate a table of volumes, one row a scan; nothing is written.

    A row without a volume keeps its patient and scan with the reason, or `NO_VOLUME`. Without a scan column
    the scan is called ``<patient_id>-ct`` or ``-flair``. Faulty cells are in the plan.

    Raises
    ------
    InputError
        The mapping gives no tool name and version, no volume, or LA and WMH at once.
    """
    table = _measured_table(mapping)
    converted = convert(source, mapping)
    measured = converted.frames[table]
    run = Run(COMMAND, {"mapping_sha256": mapping.sha256, "tool": dict(mapping.tool), **parameters})
    modality, volume = _MEASURES[table]
    _complete_scans(converted, modality)
    measured["scan_id"] = converted.frames["scans"]["scan_id"]
    measured["parameters_sha256"] = sha256_json(dict(mapping.tool))
    reasons = measured.get("not_measured_reason", pd.Series(None, index=measured.index, dtype=object))
    measured["not_measured_reason"] = reasons.fillna(NO_VOLUME).where(measured[volume].isna(), None)
    if table == "la_measurements":
        converted.frames["models"] = _model(mapping)
        measured["model_sha256"] = converted.frames["models"]["model_sha256"].iloc[0]
    else:
        measured["source"] = mapping.tool["name"]
        measured["tool_version"] = mapping.tool["version"]
    faults = _faults(converted, mapping)
    n_measured = int(measured[volume].notna().sum())
    order = [name for name in ("patients", "scans", "models", table) if name in converted.frames]
    frames = {name: converted.frames[name] for name in order}
    frames["patients"] = frames["patients"].drop_duplicates("patient_id")
    return VolumePlan(frames, run, faults, converted.notes, n_measured, len(measured) - n_measured)


def is_known(plan: VolumePlan, registry: str | Path) -> bool:
    """True where this table was taken in before with this mapping."""
    if not Path(registry).exists():
        return False
    with open_read_only(registry) as connection:
        found = connection.execute(
            "SELECT count(*) FROM runs WHERE command = ? AND parameters_sha256 = ?",
            [COMMAND, plan.run.parameters_sha256],
        ).fetchall()
    return bool(found[0][0])


def accept_volumes(plan: VolumePlan, registry: str | Path) -> IngestReport:
    """Write the plan's rows as shards beside the registry and take them in; refuses a plan with faults."""
    if plan.faults:
        raise InputError(f"{len(plan.faults)} faulty cells; nothing was taken in", hint="correct them first")
    for table, frame in plan.frames.items():
        write_bulk(
            imports_folder(Path(registry)), kind="volume_import", table=table, frame=frame, run=plan.run
        )
    return ingest([], registry)


def _measured_table(mapping: TableMapping) -> str:
    tables = [name for name in mapping.tables if name in _MEASURES]
    if len(tables) != 1 or not any(rule.target.name == _MEASURES[tables[0]][1] for rule in mapping.rules):
        raise InputError(
            "one column must go to la_measurements.la_volume_ml or wmh_measurements.wmh_volume_ml",
            where=f"mapping {mapping.name}",
        )
    if not {"name", "version"} <= set(mapping.tool):
        raise InputError("the mapping does not name its tool", hint="tool: {name: ..., version: ...}")
    if others := set(mapping.tables) - {*tables, "patients", "scans"}:
        raise InputError(
            f"a volume import cannot write {', '.join(sorted(others))}", where=f"mapping {mapping.name}"
        )
    return tables[0]


def _complete_scans(converted: Converted, modality: str) -> None:
    """Give each row's scan its patient, modality and, where the table has none, its name."""
    patients = converted.frames["patients"]["patient_id"]
    scans = converted.frames.setdefault("scans", pd.DataFrame(index=patients.index))
    scans["patient_id"], scans["modality"] = patients, modality
    if "scan_id" not in scans:
        scans["scan_id"] = patients.map(lambda patient: f"{patient}-{modality.lower()}", na_action="ignore")


def _model(mapping: TableMapping) -> pd.DataFrame:
    tool = dict(mapping.tool)
    row = {"model_sha256": sha256_json(tool), "name": tool["name"], "kind": "imported"}
    return pd.DataFrame([row | {"card": canonical_json(tool)}])


def _faults(converted: Converted, mapping: TableMapping) -> list[CellFault]:
    """Faults of all rows; a patient may have several, and its site or cohort then stands in the first."""
    one_a_patient = converted.frames | {
        "patients": converted.frames["patients"].drop_duplicates("patient_id")
    }
    return faults_of(replace(converted, frames=one_a_patient), mapping)
