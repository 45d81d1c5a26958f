"""Write a registry anew without some patients, so that their bytes are in no block of the file."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import duckdb

from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry import schema
from la_outcomes.registry.files import discard, snapshot_path
from la_outcomes.registry.rules import literal, quote
from la_outcomes.registry.withdrawal.tombstones import about, pseudonym_columns


def copy_without(
    connection: duckdb.DuckDBPyConnection, registry: Path, ids: Collection[str], gone: Collection[str]
) -> dict[str, int]:
    """Replace the registry that this connection holds by one without these pseudonyms; rows removed by table.

    ``gone`` are names of shards that no longer exist, which leave the ledger. DuckDB would keep deleted rows
    in free blocks of the file, hence the copy. Close the connection afterwards: it holds the old file.
    """
    fresh = registry.with_name(f".{registry.stem}.without.duckdb")
    discard(fresh)
    (old,) = connection.execute("SELECT current_database()").fetchall()[0]
    connection.execute(f"ATTACH {literal(str(fresh))} AS fresh")
    connection.execute("USE fresh")
    try:
        schema.create_from_dictionary(connection, load_dictionary())
        schema.comment(connection)
        schema.refresh(connection)
        removed = _copy_tables(connection, quote(old), list(ids), list(gone))
    finally:
        connection.execute(f"USE {quote(old)}")
        connection.execute("DETACH fresh")
    os.replace(fresh, registry)
    snapshot_path(registry).unlink(missing_ok=True)
    return {table: n for table, n in removed.items() if n}


def delete_copies(registry: Path) -> None:
    """Delete what earlier migrations, rebuilds and restores set aside, as it holds erased patients."""
    for path in registry.parent.glob(f"{registry.stem}.before-*.duckdb"):
        path.unlink(missing_ok=True)


def _copy_tables(
    connection: duckdb.DuckDBPyConnection, old: str, ids: list[str], gone: list[str]
) -> dict[str, int]:
    removed = {}
    for table in load_dictionary().tables.values():
        source, condition = f"{old}.main.{quote(table.name)}", about(table)
        values: list[list[str]] = [ids] * len(pseudonym_columns(table))
        if table.name == "ingested":
            condition, values = "list_contains(?, file_name)", [gone]
        connection.execute(
            f"INSERT INTO {quote(table.name)} BY NAME SELECT * FROM {source} WHERE NOT {condition}", values
        )
        counts = connection.execute(
            f"SELECT (SELECT count(*) FROM {source}) - (SELECT count(*) FROM {quote(table.name)})"
        )
        removed[table.name] = int(counts.fetchall()[0][0])
    return removed
