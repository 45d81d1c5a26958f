"""Fix a cohort for a publication, and show later that nothing about it changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from la_outcomes import __version__
from la_outcomes.bulk import write_bulk
from la_outcomes.errors import InputError, UsageError
from la_outcomes.provenance import Run, git_commit
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.ingest import ingest
from la_outcomes.registry.migrations import version_of
from la_outcomes.registry.query import check_condition
from la_outcomes.registry.rules import quote
from la_outcomes.shards import canonical_json

EVERYBODY = "TRUE"


@dataclass(frozen=True)
class Frozen:
    """A frozen cohort as it was: ``columns`` maps each column of analysis_cohort to its hash."""

    name: str
    frozen_at: datetime
    population: str
    n: int
    cohort_sha256: str
    columns: dict[str, str]
    versions: dict[str, Any]


@dataclass
class Difference:
    """How the registry differs from a frozen cohort.

    ``gone`` and ``changed`` are frozen patients; ``joined`` meet the population now and did not then;
    ``columns`` have other values in some patient, or no longer exist.
    """

    frozen: Frozen
    n_now: int = 0
    gone: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    n_erased: int = 0

    @property
    def is_none(self) -> bool:
        """True where every frozen patient is there and each of its values is as it was."""
        return not (self.n_erased or self.gone or self.joined or self.changed or self.columns)


def freeze(registry: str | Path, name: str, population: str | None = None) -> Frozen:
    """Write down which patients meet a condition on ``analysis_cohort``, with a hash of each row.

    Goes in as a shard beside the registry, so that it holds through rebuilds and restores.

    Raises
    ------
    UsageError
        The name is taken, the condition is none, or nobody meets it.
    RegistryLockedError
        Another process holds the registry.
    """
    registry, condition = Path(registry), population or EVERYBODY
    with open_read_only(registry) as connection:
        if connection.execute("SELECT 1 FROM freezes WHERE freeze_name = ?", [name]).fetchall():
            raise UsageError(f"a cohort {name!r} was frozen before", hint="take another name, or --check")
        check_condition(connection, condition)
        columns = [row[0] for row in connection.execute("DESCRIBE analysis_cohort").fetchall()]
        patients = _row_hashes(connection, columns, _chosen(condition), [])
        if patients.empty:
            raise UsageError("no patient meets the population", where=condition)
        frozen = Frozen(
            name,
            datetime.now(UTC).replace(tzinfo=None, microsecond=0),
            condition,
            len(patients),
            _cohort_hash(connection, patients),
            _column_hashes(connection, columns, list(patients["patient_id"])),
            _versions(connection),
        )
    _write(registry, frozen, patients)
    return frozen


def frozen_cohorts(registry: str | Path) -> list[Frozen]:
    """All frozen cohorts, the oldest first."""
    with open_read_only(registry) as connection:
        rows = connection.execute(
            "SELECT freeze_name, frozen_at, population, n, cohort_sha256, columns_sha256, versions"
            " FROM freezes ORDER BY frozen_at, freeze_name"
        ).fetchall()
    return [
        Frozen(name, at, population, n, digest, json.loads(columns), json.loads(versions))
        for name, at, population, n, digest, columns, versions in rows
    ]


def compare(registry: str | Path, name: str) -> Difference:
    """Compare a frozen cohort with the registry as it is; raises ``InputError`` for an unknown name."""
    found = [frozen for frozen in frozen_cohorts(registry) if frozen.name == name]
    if not found:
        raise InputError("there is no frozen cohort of this name", where=name)
    difference = Difference(found[0])
    with open_read_only(registry) as connection:
        _compare(connection, difference)
    return difference


def _compare(connection: duckdb.DuckDBPyConnection, difference: Difference) -> None:
    frozen = difference.frozen
    rows = connection.execute(
        "SELECT patient_id, row_sha256 FROM frozen_patients WHERE freeze_name = ?", [frozen.name]
    )
    before: dict[str, str] = dict(rows.fetchall())
    there = {row[0] for row in connection.execute("DESCRIBE analysis_cohort").fetchall()}
    difference.n_erased = frozen.n - len(before)
    difference.columns = [column for column in frozen.columns if column not in there]
    now = {row[0] for row in connection.execute(_chosen(frozen.population)).fetchall()}
    difference.n_now = len(now)
    difference.gone = sorted(before.keys() - now)
    difference.joined = sorted(now - before.keys())
    if difference.columns:
        return
    kept = sorted(before)
    hashes = _row_hashes(connection, list(frozen.columns), "SELECT unnest(?)", [kept])
    after = dict(zip(hashes["patient_id"], hashes["row_sha256"], strict=True))
    difference.changed = [patient for patient in kept if before[patient] != after.get(patient)]
    if difference.changed and not difference.n_erased:
        columns = _column_hashes(connection, list(frozen.columns), kept)
        difference.columns = [name for name, digest in frozen.columns.items() if columns[name] != digest]


def _chosen(condition: str) -> str:
    return f"SELECT patient_id FROM analysis_cohort WHERE ({condition}\n)"


def _row_hashes(
    connection: duckdb.DuckDBPyConnection, columns: list[str], chosen: str, values: list[Any]
) -> pd.DataFrame:
    """Columns patient_id and row_sha256 of the chosen patients, in the order of patient_id."""
    packed = ", ".join(f"{quote(name)} := {quote(name)}" for name in sorted(columns))
    return connection.execute(
        f"SELECT patient_id, sha256(to_json(struct_pack({packed}))::VARCHAR) AS row_sha256"
        f" FROM analysis_cohort WHERE patient_id IN ({chosen}) ORDER BY patient_id",
        values,
    ).df()


def _cohort_hash(connection: duckdb.DuckDBPyConnection, patients: pd.DataFrame) -> str:
    joined = "\n".join(patients["row_sha256"])
    return str(connection.execute("SELECT sha256(?)", [joined]).fetchall()[0][0])


def _column_hashes(
    connection: duckdb.DuckDBPyConnection, columns: list[str], patients: list[str]
) -> dict[str, str]:
    """A hash of each column's values in the order of patient_id, NULL told from any text."""
    sums = ", ".join(f"sha256(to_json(list({quote(name)} ORDER BY patient_id))::VARCHAR)" for name in columns)
    row = connection.execute(
        f"SELECT {sums} FROM analysis_cohort WHERE patient_id IN (SELECT unnest(?))", [patients]
    ).fetchall()[0]
    return dict(zip(columns, row, strict=True))


def _versions(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    return {
        "package": __version__,
        "commit": git_commit(),
        "schema": version_of(connection),
        "duckdb": duckdb.__version__,
    }


def _write(registry: Path, frozen: Frozen, patients: pd.DataFrame) -> None:
    run = Run("freeze", {"name": frozen.name, "population": frozen.population})
    head = pd.DataFrame(
        [
            {
                "freeze_name": frozen.name,
                "frozen_at": frozen.frozen_at,
                "population": frozen.population,
                "n": frozen.n,
                "cohort_sha256": frozen.cohort_sha256,
                "columns_sha256": canonical_json(frozen.columns),
                "versions": canonical_json(frozen.versions),
            }
        ]
    )
    patients.insert(0, "freeze_name", frozen.name)
    for table, frame in (("freezes", head), ("frozen_patients", patients)):
        write_bulk(imports_folder(registry), kind="freeze", table=table, frame=frame, run=run)
    ingest([], registry)
