"""Open the registry: one writer at a time, any number of readers who never wait for it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from la_outcomes.errors import InputError, LaOutcomesError, RegistryLockedError
from la_outcomes.registry import schema
from la_outcomes.registry.files import copy_while_open, same_state, snapshot_path, wal_path
from la_outcomes.registry.migrations import migrate, migrations, version_of

_HOLDER = re.compile(r"held in (?P<program>\S+) \(PID (?P<pid>\d+)\)")
_DAMAGE = re.compile("(?i)corrupt|checksum|could not read enough bytes|failed to deserialize")
_HEADERS = 3 * 4096
_READ_ONLY: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "lock_configuration": "true",
}


@contextmanager
def open_for_writing(path: str | Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Hold the registry as its only writer; create it, or bring its schema up to date, where needed.

    When the block ends without an error, a read-only snapshot is published by atomic replacement.

    Raises
    ------
    RegistryLockedError
        Another process holds the registry; the error names it.
    InputError
        The file is no registry, is damaged, or was made by a newer version of this package.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect_to_write(path)
    try:
        migrate(connection, path)
        schema.refresh(connection)
        yield connection
        connection.execute("CHECKPOINT")
        if not same_state(path, snapshot_path(path)):
            copy_while_open(path, snapshot_path(path))
    finally:
        connection.close()


def open_read_only(path: str | Path) -> duckdb.DuckDBPyConnection:
    """Open the registry for reading, without access to files or networks from SQL.

    Reads the published snapshot, so that no writer waits for a reader or the reverse. Where a writer died
    before it published, its registry is read itself if nobody holds it. Use as a context manager, or close.

    Raises
    ------
    InputError
        There is no registry at the path, it is damaged, or its schema is older or newer than this package's.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("there is no registry", where=path, hint="make one with: la-outcomes ingest")
    connection = _freshest(path)
    version, newest = version_of(connection), max(migrations())
    if version != newest:
        connection.close()
        raise InputError(
            f"the registry has schema {version}, this version of the package reads {newest}",
            where=path.name,
            hint="la-outcomes ingest brings an older registry up to date",
        )
    return connection


def _connect_to_write(path: Path) -> duckdb.DuckDBPyConnection:
    """Open as the writer; after a crash a reader may hold the registry itself for the moment it reads."""
    for pause_s in (0.1, 0.2, 0.4, 0.8):
        try:
            return _connect(path, read_only=False)
        except RegistryLockedError:
            time.sleep(pause_s)
    return _connect(path, read_only=False)


def check_not_held(registry: Path) -> None:
    """Raise ``RegistryLockedError`` where another process holds the registry; a damaged one passes."""
    try:
        _connect_to_write(registry).close()
    except RegistryLockedError:
        raise
    except InputError:
        return


def _freshest(path: Path) -> duckdb.DuckDBPyConnection:
    snapshot = snapshot_path(path)
    if same_state(path, snapshot):
        return _connect(snapshot, read_only=True)
    try:
        return _connect(path, read_only=True)
    except RegistryLockedError:
        if snapshot.exists():
            return _connect(snapshot, read_only=True)
        raise


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    before = path.stat().st_ino if path.exists() else None
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=_READ_ONLY if read_only else {})
    except duckdb.Error as error:
        raise _explained(error, path) from error
    now = path.stat()
    was_replaced = now.st_ino != before  # by a newer snapshot: its size says nothing of what was opened
    if not was_replaced and not wal_path(path).exists() and now.st_size < _least_size(connection):
        connection.close()
        raise damaged("the file was cut short", path)
    return connection


def _least_size(connection: duckdb.DuckDBPyConnection) -> int:
    """Bytes that the blocks in use take; DuckDB itself would notice only on reading a lost one.

    Free blocks do not count: those at the end of the file need never have been written.
    """
    rows = connection.execute(
        "SELECT used_blocks * block_size FROM pragma_database_size() WHERE database_name = current_database()"
    ).fetchall()
    return _HEADERS + int(rows[0][0] or 0)


def _explained(error: duckdb.Error, path: Path) -> LaOutcomesError:
    text = str(error)
    if isinstance(error, duckdb.ConnectionException):
        return RegistryLockedError(
            "this process already holds the registry", where=path.name, hint="close it first"
        )
    if "Could not set lock" in text:
        holder = _HOLDER.search(text)
        who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "another process"
        return RegistryLockedError(
            f"the registry is held by {who}", where=path.name, hint="wait till it ends"
        )
    return damaged(text.splitlines()[0], path)


def damaged(reason: str, path: Path) -> InputError:
    """The error for a registry file that cannot be read, with the way back."""
    return InputError(
        f"the registry cannot be read: {reason}",
        where=path.name,
        hint="la-outcomes ingest DIR --rebuild makes it anew from the shards; or: la-outcomes restore",
    )


def damage_told_by(error: Exception) -> InputError | None:
    """The error to tell where DuckDB found a damaged file while it read; None for any other error."""
    if isinstance(error, duckdb.Error) and _DAMAGE.search(text := str(error)):
        return damaged(text.splitlines()[0], Path("registry"))
    return None
