"""Find result shards on disk and read them into typed rows; a faulty shard is named and left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from la_outcomes.bulk import BulkShard, read_bulk
from la_outcomes.dictionary import Column, load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.shards import FINAL_STATUSES, TRANSIENT_STATUS, read_shard

SHARD_COLUMN = "_shard"
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class ShardFile:
    """A shard's file as the folder lists it; name, size and time of change tell a known one."""

    path: Path
    size_bytes: int
    modified_ns: int

    @property
    def identity(self) -> tuple[str, int, int]:
        """What the ledger compares before anything is read."""
        return self.path.name, self.size_bytes, self.modified_ns

    def is_unchanged(self) -> bool:
        """True where the file is still what the folder listed."""
        try:
            stat = self.path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size_bytes, self.modified_ns)


@dataclass(frozen=True)
class Fault:
    """Why a shard was not taken in."""

    file: str
    reason: str


@dataclass
class Shard:
    """A whole shard: its header, and its rows by table as typed dictionaries, or where its bulk rows are."""

    file: ShardFile
    sha256: str
    kind: str
    status: str
    started_at: datetime
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bulk: BulkShard | None = None

    @property
    def n_rows(self) -> int:
        """Rows over all tables."""
        return sum(map(len, self.rows.values())) + (self.bulk.n_rows if self.bulk else 0)


def find_shards(folders: Iterable[Path]) -> list[ShardFile]:
    """All shard files in folders named ``shards`` at or below the given ones, in order of their paths."""
    found: dict[Path, ShardFile] = {}
    for folder in folders:
        for parent, _, _ in os.walk(folder):
            if Path(parent).name == "shards":
                found |= {entry.path: entry for entry in _listed(parent)}
    return [found[path] for path in sorted(found)]


def _listed(folder: str) -> Iterator[ShardFile]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith((".json", ".parquet")) and not entry.name.startswith("."):
                with suppress(FileNotFoundError):  # taken away since it was listed
                    stat = entry.stat()
                    yield ShardFile(Path(entry.path), stat.st_size, stat.st_mtime_ns)


def read_any(file: ShardFile) -> Shard:
    """Read a shard of either form.

    Raises ``InputError`` where it is damaged, does not fit the dictionary, or the disk does not give it.
    """
    try:
        return _read_bulk(file) if file.path.suffix == ".parquet" else _read_json(file)
    except OSError as error:
        raise InputError(
            f"a shard cannot be read: {error.strerror}", where=file.path.name, hint="ingest again later"
        ) from error


def _read_json(file: ShardFile) -> Shard:
    body = read_shard(file.path)
    if body["status"] not in (*FINAL_STATUSES, TRANSIENT_STATUS):
        raise InputError(f"status {body['status']!r} is not known", where=file.path.name)
    rows = {table: [_typed(table, row) for row in entries] for table, entries in body["rows"].items()}
    runs = rows.get("runs", [])
    shard = Shard(file, body["content_sha256"], body["kind"], body["status"], _started_at(runs), rows)
    run_id = runs[0]["run_id"] if len(runs) == 1 else None
    for table, entries in rows.items():
        _complete(table, entries, run_id, body["status"] == TRANSIENT_STATUS)
    return shard


def _read_bulk(file: ShardFile) -> Shard:
    bulk = read_bulk(file.path)
    run = _typed("runs", bulk.run)
    return Shard(file, bulk.sha256, bulk.kind, "done", _started_at([run]), {"runs": [run]}, bulk)


def _started_at(runs: list[dict[str, Any]]) -> datetime:
    return max((run["started_at"] for run in runs if run.get("started_at")), default=_EPOCH)


def _complete(table: str, rows: list[dict[str, Any]], run_id: str | None, is_transient: bool) -> None:
    """Fill what the shard's header says about each of its rows."""
    columns = load_dictionary().table(table).columns
    for row in rows:
        if "run_id" in columns and row.get("run_id") is None:
            row["run_id"] = run_id
        if "is_transient" in columns:
            row["is_transient"] = is_transient


def _typed(table: str, row: dict[str, Any]) -> dict[str, Any]:
    columns = load_dictionary().table(table).columns
    if unknown := row.keys() - columns.keys():
        raise InputError(f"table {table} has no column {', '.join(sorted(unknown))}")
    return {name: _value(columns[name], value, table) for name, value in row.items()}


def _value(column: Column, value: Any, table: str) -> Any:
    if value is None:
        return None
    try:
        return _READERS[column.type](value)
    except (TypeError, ValueError) as error:
        raise InputError(f"{value!r} is no {column.type}", where=f"{table}.{column.name}") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: Any, bits: int = 32) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise TypeError
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError
    return int(value)


def _long(value: Any) -> int:
    return _integer(value, bits=64)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _timestamp(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is not None:
        raise ValueError("times are UTC without a zone")
    return moment


_READERS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "bigint": _long,
    "number": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
}
