"""From a published number back to its run, cohort, measurements, models and masks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from la_outcomes.errors import InputError
from la_outcomes.registry.database import open_read_only

_MODELS = """
SELECT m.model_sha256, any_value(m.name) AS name, any_value(m.kind) AS kind, count(*) AS patients,
       list(DISTINCT r.run_id) AS runs, list(DISTINCT r.package_version) AS package_versions
FROM ({population}) a JOIN current_la_volume v USING (patient_id) JOIN models m USING (model_sha256)
LEFT JOIN runs r ON r.run_id = v.run_id GROUP BY m.model_sha256 ORDER BY patients DESC
"""
_MEASUREMENTS = """
SELECT a.patient_id, v.scan_id, s.sha256 AS scan_sha256, v.la_volume_ml, v.not_measured_reason,
       v.model_sha256, v.parameters_sha256, v.run_id, v.mask_path, v.mask_sha256
FROM ({population}) a JOIN current_la_volume v USING (patient_id) LEFT JOIN scans s ON s.scan_id = v.scan_id
ORDER BY a.patient_id
"""

_SINCE = """
SELECT kind, count(*) AS shards, max(ingested_at) AS latest FROM ingested
WHERE ingested_at > ? AND NOT starts_with(kind, 'result') GROUP BY kind ORDER BY kind
"""


@dataclass(frozen=True)
class Trace:
    """Where a number came from; the rows are the registry's, as dictionaries.

    ``population`` says which patients are listed: the result's own, or more where its population was narrowed
    in a way SQL does not tell. ``changed_since`` names what has been taken in after the run began, so that a
    rerun could give another number.
    """

    result: dict[str, Any]
    run: dict[str, Any]
    population: str
    cohort: list[dict[str, Any]]
    models: list[dict[str, Any]]
    measurements: list[dict[str, Any]]
    changed_since: list[dict[str, Any]]


def trace(registry: str | Path, result_id: str) -> Trace:
    """Follow one row of ``results``; raises ``InputError`` where there is no such result."""
    with open_read_only(registry) as connection:
        found = _rows(connection, "SELECT * FROM results WHERE result_id = ?", [result_id])
        if not found:
            raise InputError(
                "there is no such result",
                where=result_id,
                hint="la-outcomes query 'SELECT result_id, analysis, term FROM results'",
            )
        result = found[0]
        (run,) = _rows(connection, "SELECT * FROM runs WHERE run_id = ?", [result["run_id"]])
        condition, note = _population(connection, result, run)
        population = f"SELECT patient_id, cohort, is_simulated FROM analysis_cohort WHERE {condition}"
        cohort = (
            f"SELECT cohort, is_simulated, count(*) AS patients FROM ({population}) GROUP BY ALL ORDER BY ALL"
        )
        return Trace(
            result,
            run,
            note,
            _rows(connection, cohort),
            _rows(connection, _MODELS.format(population=population)),
            _rows(connection, _MEASUREMENTS.format(population=population)),
            _rows(connection, _SINCE, [run["started_at"]]),
        )


def _population(
    connection: duckdb.DuckDBPyConnection, result: dict[str, Any], run: dict[str, Any]
) -> tuple[str, str]:
    """The SQL condition the result's population was asked for with, and what to say about it."""
    asked = json.loads(run["parameters"] or "{}").get("population")
    for condition in filter(None, (result["population"], asked)):
        try:
            connection.execute(f"SELECT 1 FROM analysis_cohort WHERE {condition} LIMIT 0")
        except duckdb.Error:
            continue
        if condition == result["population"]:
            return condition, f"patients with {condition}"
        return condition, f"{result['population']}: listed are all patients with {condition}"
    return "TRUE", f"{result['population'] or 'all patients'}: listed are all patients of the registry"


def _rows(
    connection: duckdb.DuckDBPyConnection, sql: str, values: list[Any] | None = None
) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, values or [])
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
