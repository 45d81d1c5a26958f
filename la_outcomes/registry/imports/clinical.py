"""Clinical tables: plan what an import would change, and take it in when the user accepts.

A changed value makes a new version of the patient's row; the old one stays with ``superseded_by``. A cell
that is missing in the table never erases a value the registry has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from la_outcomes.bulk import write_bulk
from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.provenance import Run
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.imports.conversion import CellFault, Converted, convert
from la_outcomes.registry.imports.mapping import TableMapping
from la_outcomes.registry.imports.validation import faults_of, to_dtypes
from la_outcomes.registry.ingest import IngestReport, ingest
from la_outcomes.registry.rules import quote

TABLES = ("patients", "clinical", "outcomes")
VERSIONED = ("clinical", "outcomes")


@dataclass(frozen=True)
class Change:
    """One value of a known patient that the import would replace."""

    patient_id: str
    column: str
    known: str
    new: str


@dataclass
class ImportPlan:
    """What an import found and would do; nothing has been written.

    ``frames`` holds the rows to write by table; ``n_kept`` counts cells that are missing in the table and
    known in the registry.
    """

    mapping: TableMapping
    n_rows: int
    faults: list[CellFault]
    notes: list[str]
    not_taken: list[str]
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    new_patients: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    n_filled: int = 0
    n_kept: int = 0

    @property
    def is_empty(self) -> bool:
        """True where the registry already says all that the table says."""
        return not any(len(frame) for frame in self.frames.values())


def plan_import(source: pd.DataFrame, mapping: TableMapping, registry: str | Path) -> ImportPlan:
    """Map and validate a table and compare it with the registry, which need not exist yet.

    Raises ``InputError`` where the mapping writes other tables than patients, clinical and outcomes, or names
    a column the table lacks. Faulty cells do not raise: they are in the plan.
    """
    if others := set(mapping.tables) - set(TABLES):
        raise InputError(
            f"a clinical import cannot write {', '.join(sorted(others))}", where=f"mapping {mapping.name}"
        )
    converted = convert(source, mapping)
    faults = faults_of(converted, mapping)
    plan = ImportPlan(mapping, len(source), faults, converted.notes, converted.not_taken)
    if not faults:
        _compare(plan, converted, Path(registry))
    return plan


def accept_import(plan: ImportPlan, registry: str | Path, parameters: Mapping[str, Any]) -> IngestReport:
    """Write the plan's rows as shards beside the registry and take them in.

    Raises ``InputError`` where the plan has faults.
    """
    if plan.faults:
        raise InputError(f"{len(plan.faults)} faulty cells; nothing was taken in", hint="correct them first")
    run = Run(
        "import-clinical",
        {
            "mapping": plan.mapping.name,
            "mapping_sha256": plan.mapping.sha256,
            "notes": plan.notes,
            **parameters,
        },
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    for table, frame in plan.frames.items():
        if len(frame):
            rows = frame.reset_index(names="patient_id")
            if table in VERSIONED:
                rows["valid_from"] = now
            write_bulk(
                imports_folder(Path(registry)), kind="clinical_import", table=table, frame=rows, run=run
            )
    return ingest([], registry)


def _compare(plan: ImportPlan, converted: Converted, registry: Path) -> None:
    ids = converted.frames["patients"]["patient_id"]
    for table, frame in converted.frames.items():
        arriving = frame.drop(columns="patient_id", errors="ignore").set_axis(ids, axis=0)
        arriving = to_dtypes(load_dictionary().table(table), arriving)
        known = _known_rows(registry, table)
        if table == "patients":
            plan.new_patients = [patient for patient in ids if patient not in known.index]
            _list_contradictions(plan, arriving, known)
        else:
            arriving = arriving[arriving.notna().any(axis=1) | arriving.index.isin(known.index)]
        plan.frames[table] = _changed_rows(plan, table, arriving, known)


def _known_rows(registry: Path, table: str) -> pd.DataFrame:
    entry = load_dictionary().table(table)
    names = [name for name in entry.columns if name not in ("valid_from", "superseded_by", "run_id")]
    if not registry.exists():
        return _by_patient(to_dtypes(entry, pd.DataFrame(columns=names, dtype=object)))
    current = "WHERE superseded_by IS NULL" if table in VERSIONED else ""
    with open_read_only(registry) as connection:
        rows = connection.sql(f"SELECT {', '.join(map(quote, names))} FROM {quote(table)} {current}")
        frame = rows.to_arrow_table().to_pandas(integer_object_nulls=True)
    return _by_patient(to_dtypes(entry, frame))


def _by_patient(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_index(frame.pop("patient_id").astype(object))


def _list_contradictions(plan: ImportPlan, arriving: pd.DataFrame, known: pd.DataFrame) -> None:
    """Add as faults the values of fixed columns that differ from the registry's."""
    columns = load_dictionary().table("patients").columns
    both = arriving.index.intersection(known.index)
    for name in (name for name in arriving.columns if columns[name].fixed):
        new, old = arriving.loc[both, name], known.loc[both, name]
        for patient in both[(new != old).fillna(False)]:
            plan.faults.append(CellFault(0, name, f"{patient}: {new[patient]}", f"known as {old[patient]}"))


def _changed_rows(plan: ImportPlan, table: str, arriving: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Whole rows to write: arriving values laid over the known ones, where anything is new."""
    before = known.reindex(arriving.index)
    merged = before.copy()
    for name in arriving.columns:
        merged[name] = arriving[name].fillna(before[name])
    was, now = before[arriving.columns].notna(), arriving.notna()
    changed = was & now & (arriving != before[arriving.columns]).fillna(False).astype(bool)
    is_known = pd.Series(arriving.index.isin(known.index), index=arriving.index)
    plan.n_kept += int((was & ~now).to_numpy().sum())
    plan.n_filled += int((~was & now)[~arriving.index.isin(plan.new_patients)].to_numpy().sum())
    plan.changes += [
        Change(
            str(patient), f"{table}.{name}", str(before.at[patient, name]), str(arriving.at[patient, name])
        )
        for name in arriving.columns
        for patient in arriving.index[changed[name]]
    ]
    return merged[~is_known | changed.any(axis=1) | (~was & now).any(axis=1)]
