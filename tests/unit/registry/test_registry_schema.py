"""The tables are the dictionary's, whichever way they came about, and enforce what it says."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_shards import measurement_rows, put, run_at

from la_outcomes.dictionary import Column, load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.registry import schema
from la_outcomes.registry.database import open_for_writing, open_read_only
from la_outcomes.registry.imports.validation import validate
from la_outcomes.registry.ingest import ingest
from la_outcomes.registry.migrations import migrate, migrations
from la_outcomes.registry.rules import value_rules

DICTIONARY = load_dictionary()


def test_replayed_migrations_equal_the_dictionary(empty_registry: Path) -> None:
    fresh = duckdb.connect()
    schema.create_from_dictionary(fresh, DICTIONARY)
    with open_read_only(empty_registry) as connection:
        assert schema.describe(connection) == schema.describe(fresh)


@pytest.mark.parametrize("table", ["clinical", "la_measurements", "qc_reviews"])
def test_a_table_is_rebuilt_with_its_rows(registry: Path, tmp_path: Path, table: str) -> None:
    rows = measurement_rows(run_at(1), cohort="clinical", sex="female")
    rows["clinical"] = [{"patient_id": "p1", "valid_from": "2026-01-01T00:00:00", "age_years": 71.0}]
    put(tmp_path, "one", rows)
    ingest([tmp_path], registry)
    before = contents(registry)
    with open_for_writing(registry) as connection:
        described = schema.describe(connection)
        connection.execute(";".join(schema.rebuild_statements(DICTIONARY, table)))
        assert schema.describe(connection) == described
    assert contents(registry) == before
    assert before["clinical"]


@pytest.mark.parametrize(("table", "told"), [("patients", "refer to it"), ("nothing", "not a table")])
def test_what_cannot_be_rebuilt_by_itself_is_refused(table: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        schema.rebuild_statements(DICTIONARY, table)


def contents(registry: Path) -> dict[str, list[tuple[object, ...]]]:
    moved = ("ingested", "schema_migrations")
    with open_read_only(registry) as connection:
        return {
            name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall()
            for name in [*DICTIONARY.tables, *DICTIONARY.views]
            if name not in moved
        }


@pytest.mark.parametrize("version", sorted(migrations())[:-1])
def test_a_registry_of_an_older_schema_equals_a_new_one(registry: Path, tmp_path: Path, version: int) -> None:
    """Rows put in by the older schema's own columns come out as a new registry has them from its shards."""
    rows = measurement_rows(run_at(1), cohort="clinical", sex="female")
    rows["outcomes"] = [{"patient_id": "p1", "valid_from": "2026-01-01T00:00:00", "mrs_3m": 2}]
    for table in ("la_measurements", "outcomes"):
        rows[table][0]["run_id"] = rows["runs"][0]["run_id"]
    rows["models"][0]["is_active"] = True
    old = tmp_path / "old.duckdb"
    with duckdb.connect(str(old)) as connection:
        migrate(connection, old, {n: sql for n, sql in migrations().items() if n <= version})
        for lookup in DICTIONARY.lookups.values():
            codes = [(code, label, i) for i, (code, label) in enumerate(lookup.values.items())]
            connection.executemany(f"INSERT INTO {lookup.table} VALUES (?, ?, ?)", codes)
        for table, entries in rows.items():
            for entry in entries:
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(entry)}) VALUES ({', '.join('?' * len(entry))})",
                    list(entry.values()),
                )
    put(tmp_path, "one", rows)
    ingest([tmp_path], registry)
    with pytest.raises(InputError, match=f"schema {version}"):
        open_read_only(old)
    with open_for_writing(old) as connection:
        migrated = schema.describe(connection)
    with open_read_only(registry) as connection:
        assert migrated == schema.describe(connection)
    assert contents(old) == contents(registry)
    assert len(contents(old)["la_measurements"]) == 1


def test_an_interval_after_calibration_moves_to_columns_of_its_own(tmp_path: Path) -> None:
    steps = migrations()
    with duckdb.connect(str(tmp_path / "old.duckdb")) as connection:
        for number in (1, 2, 3, 4):
            connection.execute(steps[number])
        for lookup in DICTIONARY.lookups.values():
            codes = [(code, label, i) for i, (code, label) in enumerate(lookup.values.items())]
            connection.executemany(f"INSERT INTO {lookup.table} VALUES (?, ?, ?)", codes)
        connection.execute("INSERT INTO patients (patient_id, cohort) VALUES ('p', 'clinical')")
        connection.execute(
            "INSERT INTO scans (scan_id, patient_id, modality) VALUES ('s1', 'p', 'CT'), ('s2', 'p', 'CT')"
        )
        connection.execute("INSERT INTO models (model_sha256, name, kind) VALUES ('m', 'm', 'segmentation')")
        connection.execute(
            "INSERT INTO la_measurements (scan_id, model_sha256, parameters_sha256, la_volume_ml, "
            "la_volume_calibrated_ml, la_volume_low_ml, la_volume_high_ml) VALUES "
            "('s1', 'm', 'x', 5, 7, 3, 12), ('s2', 'm', 'x', 5, NULL, 4, 6)"
        )
        connection.execute(steps[5])
        found = connection.execute(
            "SELECT la_volume_low_ml, la_volume_high_ml, "
            "la_volume_calibrated_low_ml, la_volume_calibrated_high_ml FROM la_measurements ORDER BY scan_id"
        ).fetchall()
    assert found == [(None, None, 3.0, 12.0), (4.0, 6.0, None, None)]


def test_an_old_registry_is_copied_and_brought_up_to_date(registry: Path) -> None:
    steps = migrations()
    newest = max(steps)
    added = {**steps, newest + 1: "ALTER TABLE patients ADD COLUMN handedness VARCHAR"}
    with open_for_writing(registry) as connection:
        connection.execute("INSERT INTO patients (patient_id) VALUES ('p1')")
    with open_for_writing(registry) as connection:
        assert migrate(connection, registry, added) == newest + 1
        assert migrate(connection, registry, added) == newest + 1
        ledger = connection.execute("SELECT version FROM schema_migrations ORDER BY 1").fetchall()
        assert connection.execute("SELECT patient_id, handedness FROM patients").fetchall() == [("p1", None)]
    assert [row[0] for row in ledger] == [*steps, newest + 1]
    with duckdb.connect(str(registry.with_suffix(f".before-v{newest + 1}.duckdb"))) as before:
        assert before.execute("SELECT * FROM patients").fetchall() == [("p1", "clinical", False, None, None)]


def test_a_failing_migration_leaves_nothing_behind(registry: Path) -> None:
    steps = migrations()
    broken = {**steps, max(steps) + 1: "CREATE TABLE half (a INTEGER); SELECT * FROM nowhere"}
    with open_for_writing(registry) as connection:
        with pytest.raises(duckdb.Error):
            migrate(connection, registry, broken)
        assert connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'half'"
        ).fetchall() == [(0,)]


def test_a_newer_registry_is_refused(registry: Path) -> None:
    with duckdb.connect(str(registry)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (999, TIMESTAMP '2026-01-01', 'v')")
    for opened in (open_for_writing, open_read_only):
        with pytest.raises(InputError, match="999"), opened(registry):
            pass


def test_every_column_of_the_views_is_described(empty_registry: Path) -> None:
    with open_read_only(empty_registry) as connection:
        for view in DICTIONARY.views:
            names = [row[0] for row in connection.execute(f"DESCRIBE {view}").fetchall()]
            assert [name for name in names if DICTIONARY.describe(view, name) is None] == [], view
            assert set(DICTIONARY.views[view].derived) <= set(names), view


def test_comments_and_labels_stand_in_the_database(empty_registry: Path) -> None:
    with open_read_only(empty_registry) as connection:
        found = connection.execute(
            "SELECT comment FROM duckdb_columns()"
            " WHERE table_name = 'la_measurements' AND column_name = 'icv_ml'"
        ).fetchall()
        codes = connection.execute("SELECT code FROM lookup_cohort ORDER BY position").fetchall()
    assert found == [("Intracranial volume on CT. [mL]",)]
    assert [code for (code,) in codes] == list(DICTIONARY.lookups["cohort"].values)


def bounded_columns() -> list[tuple[str, Column]]:
    return [
        (table.name, column)
        for table in DICTIONARY.tables.values()
        for column in table.columns.values()
        if column.possible or column.allowed
    ]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(bounded_columns()), st.floats(-1e4, 1e4, allow_nan=False), st.booleans())
def test_sql_and_pandera_refuse_the_same_values(
    entry: tuple[str, Column], number: float, at_limit: bool
) -> None:
    table, column = entry
    if column.type == "text":
        value: object = next(iter(column.labels)) if at_limit else "no such code"
    else:
        low, high = column.possible or (0.0, float(max(map(float, column.labels))))  # type: ignore[arg-type]
        value = (low if number < 0 else high) if at_limit else number
        value = round(value) if column.type in ("integer", "bigint") else value
    rules = [rule for rule in value_rules(DICTIONARY.tables[table]) if rule.column == column.name]
    condition = " AND ".join(f"({rule.condition})" for rule in rules)
    frame = pd.DataFrame({column.name: [value]}, index=[7])
    in_sql = duckdb.connect().execute(f"SELECT {condition} FROM frame").fetchall()[0][0]
    faults = [fault for fault in validate(table, frame, {}) if fault.column == column.name]
    assert in_sql == (not faults)
    assert all(fault.line == 7 for fault in faults)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_numbers_are_finite_or_empty(registry: Path, value: float) -> None:
    insert = "INSERT INTO results (result_id, run_id, analysis, statistic, is_simulated, estimate)"
    with open_for_writing(registry) as connection:
        connection.execute(
            "INSERT INTO runs (run_id, command, started_at) VALUES ('r', 'c', now()::TIMESTAMP)"
        )
        with pytest.raises(duckdb.ConstraintException):
            connection.execute(f"{insert} VALUES ('x', 'r', 'a', 's', FALSE, ?)", [value])
