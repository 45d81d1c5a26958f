"""Merge staged rows into the registry's tables, by rules that say which of several rows counts.

Of rows with one key, a final one counts before one that will be tried again, then that of the later run;
this holds among the arriving rows and against what the registry has. In tables that fill (patients, scans,
pairs, models, runs) a value that nobody says again stays.
"""

from __future__ import annotations

import duckdb

from la_outcomes.dictionary import Column, Table
from la_outcomes.registry.rules import literal, quote
from la_outcomes.registry.shard_files import SHARD_COLUMN
from la_outcomes.registry.staging import Stage, Staged

START_TABLE = "staged_start"


def merge(stage: Stage) -> dict[str, int]:
    """Merge all staged tables, parents first, and return the number of rows by table."""
    return {staged.table.name: _merge_table(stage.connection, staged) for staged in stage.tables.values()}


def _merge_table(connection: duckdb.DuckDBPyConnection, staged: Staged) -> int:
    if staged.is_doubled:
        _keep_one_a_key(connection, staged)
    if staged.table.name == "models":
        _hand_over_activity(connection, staged)
    if staged.is_known and staged.table.fills:
        _fill_known(connection, staged)
    elif staged.is_known:
        _drop_outdated(connection, staged)
    _insert(connection, staged)
    if "superseded_by" in staged.table.columns:
        _chain_versions(connection, staged.table)
    return connection.execute(f"SELECT count(*) FROM {staged.name}").fetchall()[0][0]


def _keep_one_a_key(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    key = staged.key
    if staged.table.fills:
        others = [quote(name) for name in staged.columns if name not in staged.table.primary_key]
        latest = ", ".join(f"arg_max({name}, {SHARD_COLUMN}) AS {name}" for name in [*others, SHARD_COLUMN])
        query = f"SELECT {key}, {latest} FROM {staged.name} GROUP BY {key}"
    else:
        final = "is_transient ASC NULLS FIRST, " if "is_transient" in staged.columns else ""
        query = (
            f"SELECT * FROM {staged.name} QUALIFY row_number() OVER"
            f" (PARTITION BY {key} ORDER BY {final}{SHARD_COLUMN} DESC) = 1"
        )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {staged.name} AS {query}")


def _fill_known(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Update rows the registry has; fixed columns are equal by now, and DuckDB could not change them."""
    table = staged.table
    names = [
        quote(name)
        for name in staged.columns
        if name not in table.primary_key and not table.columns[name].fixed
    ]
    if not names:
        return
    values = ", ".join(f"{name} = coalesce(s.{name}, t.{name})" for name in names)
    changed = " OR ".join(
        f"s.{name} <> t.{name} OR (t.{name} IS NULL AND s.{name} IS NOT NULL)" for name in names
    )
    connection.execute(
        f"UPDATE {quote(table.name)} AS t SET {values} FROM {staged.name} s"
        f" WHERE {_same_key(table)} AND ({changed})"
    )


def _same_key(table: Table) -> str:
    return " AND ".join(f"s.{quote(name)} = t.{quote(name)}" for name in table.primary_key)


def _drop_outdated(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Remove staged rows that count less than the registry's row of the same key."""
    table = staged.table
    if "run_id" not in table.columns:
        return
    transient = "is_transient" in table.columns
    worse = "coalesce(s.is_transient, FALSE) > t.is_transient OR " if transient else ""
    equal = "coalesce(s.is_transient, FALSE) = t.is_transient AND " if transient else ""
    connection.execute(
        f"DELETE FROM {staged.name} AS s"
        f" USING {quote(table.name)} t JOIN runs r ON r.run_id = t.run_id, {START_TABLE} a"
        f" WHERE {_same_key(table)} AND a.{SHARD_COLUMN} = s.{SHARD_COLUMN}"
        f" AND ({worse}({equal}a.started_at < r.started_at))"
    )


def _insert(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    table = staged.table
    names = ", ".join(map(quote, table.columns))
    values = ", ".join(_with_default(column) for column in table.columns.values())
    conflict = f" ON CONFLICT ({staged.key}) DO {_update(table)}" if staged.is_known else ""
    connection.execute(
        f"INSERT INTO {quote(table.name)} ({names}) SELECT {values} FROM {staged.rows}{conflict}"
    )


def _update(table: Table) -> str:
    others = [quote(name) for name in table.columns if name not in table.primary_key]
    return "NOTHING" if table.fills else "UPDATE SET " + ", ".join(f"{n} = excluded.{n}" for n in others)


def _with_default(column: Column) -> str:
    name = quote(column.name)
    return name if column.default is None else f"coalesce({name}, {literal(column.default)})"


def _chain_versions(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Let each version of a patient point to the next one; the last is current."""
    name = quote(table.name)
    connection.execute(
        f"""
        UPDATE {name} AS t SET superseded_by = n.next_from
        FROM (
            SELECT patient_id, valid_from,
                   lead(valid_from) OVER (PARTITION BY patient_id ORDER BY valid_from) AS next_from
            FROM {name}
            WHERE patient_id IN (SELECT patient_id FROM {name} GROUP BY patient_id HAVING count(*) > 1)
        ) n
        WHERE t.patient_id = n.patient_id AND t.valid_from = n.valid_from
          AND t.superseded_by IS DISTINCT FROM n.next_from
        """
    )


def _hand_over_activity(connection: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Keep one active model a kind: the last that a shard called active, else the first that arrived.

    What is staged as not active says nothing, as a bundle does not know which models a registry holds.
    """
    stage = staged.name
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE newly_active AS
        SELECT kind, coalesce(
            arg_max(model_sha256, {SHARD_COLUMN}) FILTER (is_active),
            arg_min(model_sha256, {SHARD_COLUMN}) FILTER (
                kind NOT IN (SELECT kind FROM models WHERE is_active)
            )
        ) AS model_sha256
        FROM {stage} GROUP BY kind HAVING model_sha256 IS NOT NULL
        """
    )
    connection.execute(
        f"UPDATE {stage} SET is_active ="
        " if(model_sha256 IN (SELECT model_sha256 FROM newly_active), TRUE, NULL)"
    )
    connection.execute(
        "UPDATE models SET is_active = FALSE WHERE is_active AND kind IN (SELECT kind FROM newly_active)"
        " AND model_sha256 NOT IN (SELECT model_sha256 FROM newly_active)"
    )
