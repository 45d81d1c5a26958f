"""Numbered schema changes, each applied once, in one transaction with its line in the ledger.

``0001_*.sql`` is the first schema; a new registry replays all of them, so that old and new ones are equal.
A table whose CHECK or key changes is rebuilt by its migration, as DuckDB cannot alter those.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import duckdb

from la_outcomes.errors import InputError
from la_outcomes.registry import schema
from la_outcomes.registry.files import copy_while_open


def migrations() -> dict[int, str]:
    """SQL text of each migration by number; raises ``InputError`` where a number is missing or used twice."""
    entries = [entry for entry in files(__package__).iterdir() if entry.name.endswith(".sql")]
    found = {int(entry.name[:4]): entry.read_text(encoding="utf-8") for entry in entries}
    if sorted(found) != list(range(1, len(entries) + 1)):
        raise InputError(
            "migrations must be numbered 1, 2, 3 ... without gaps",
            where=", ".join(sorted(entry.name for entry in entries)),
            hint="give the new file the next free number",
        )
    return dict(sorted(found.items()))


def version_of(connection: duckdb.DuckDBPyConnection) -> int:
    """Number of the last migration applied; 0 in an empty database.

    Raises ``InputError`` where the file holds something else than a registry.
    """
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not tables:
        return 0
    if "schema_migrations" not in tables:
        raise InputError("a DuckDB file, but no registry", hint="give --registry another file")
    return int(connection.execute("SELECT max(version) FROM schema_migrations").fetchall()[0][0])


def migrate(connection: duckdb.DuckDBPyConnection, path: Path, steps: dict[int, str] | None = None) -> int:
    """Apply what is missing and return the version arrived at; an existing registry is copied first.

    The copy is ``<name>.before-v<N>.duckdb`` beside the registry. Raises ``InputError`` where the registry
    is newer than this package.
    """
    steps = steps or migrations()
    version, newest = version_of(connection), max(steps)
    if version > newest:
        raise InputError(
            f"the registry has schema {version}, this version of the package knows {newest}",
            where=path.name,
            hint="install the newer version of la-outcomes",
        )
    if 0 < version < newest:
        connection.execute("CHECKPOINT")
        copy_while_open(path, path.with_suffix(f".before-v{newest}.duckdb"))
    for number in range(version + 1, newest + 1):
        _apply(connection, number, steps[number], is_last=number == newest)
    return newest


def _apply(connection: duckdb.DuckDBPyConnection, number: int, sql: str, *, is_last: bool) -> None:
    """One step; descriptions of columns are those of the newest schema, so the last step writes them."""
    now = datetime.now(UTC).replace(tzinfo=None)
    connection.begin()
    try:
        connection.execute(sql)
        connection.execute("INSERT INTO schema_migrations VALUES (?, ?, version())", [number, now])
        if is_last:
            schema.comment(connection)
    except duckdb.Error:
        connection.rollback()
        raise
    connection.commit()
