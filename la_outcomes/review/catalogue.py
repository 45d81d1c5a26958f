"""What there is to look at and what was said of it, in memory: the published registry and all review shards.

The registry's file is open only while it is copied, so that an ingest never waits for the page nor the page
for an ingest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from la_outcomes.bulk import arrow_schema
from la_outcomes.errors import InputError, LaOutcomesError
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.files import imports_folder, snapshot_path, wal_path
from la_outcomes.review.figures import ALL_FIGURES, add_concern
from la_outcomes.review.records import GRADING_KIND, REVIEW_KIND
from la_outcomes.shards import Rows, read_shard

Row = dict[str, Any]
_LOOK_AGAIN_SECONDS = 1.0
_SCANS = "SELECT s.*, p.cohort, p.site, p.is_simulated FROM scans s JOIN patients p USING (patient_id)"
_TIMES = ("reviewed_at", "undoes", "rated_at")
_REVIEW_TABLES = ("qc_reviews", "fazekas_ratings")


class Catalogue:
    """Tables ``item``, ``scan``, ``qc_reviews`` and ``fazekas_ratings`` that follow the registry.

    ``refresh`` takes in what changed; ``add`` what this process has just written. Safe for threads. Raises
    ``InputError`` or ``RegistryLockedError`` where the registry cannot be read at the start.
    """

    def __init__(self, registry: Path) -> None:
        self.registry = registry
        self._memory = duckdb.connect(":memory:")
        self._lock = threading.RLock()
        self._stamp: object = None
        self._looked = 0.0
        self._read_shards: set[str] = set()
        self._shard_rows: dict[str, list[Row]] = {table: [] for table in _REVIEW_TABLES}
        with self._lock:
            self._load_registry()
            self.refresh()

    def ask(self, sql: str, values: Mapping[str, Any]) -> list[Row]:
        """Rows of a query with named parameters ($name), as dictionaries."""
        with self._lock:
            found = self._memory.sql(sql, params=dict(values))
            return found.to_arrow_table().to_pylist()

    @contextmanager
    def held(self, name: str, sql: str, values: Mapping[str, Any]) -> Iterator[None]:
        """Keep a query's rows as a table of that name while several questions are asked of it."""
        with self._lock:
            found = self._memory.sql(sql, params=dict(values)).to_arrow_table()
            self._memory.register(name, found)
            try:
                yield
            finally:
                self._memory.unregister(name)

    def refresh(self) -> None:
        """Look, at most once a second, whether the registry or the folder of shards changed."""
        with self._lock:
            if time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS:
                return
            if self._stamp != self._state():
                self._reload()
            self._load_shards()
            self._looked = time.monotonic()

    def add(self, table: str, rows: Sequence[Row]) -> None:
        """Take rows in that this process wrote to a shard."""
        with self._lock:
            self._shard_rows[table].extend(rows)
            self._insert(table, rows)

    def _reload(self) -> None:
        try:
            self._load_registry()
        except (LaOutcomesError, OSError, duckdb.Error):
            return  # an ingest is at work: what is known stays, and the next look tries again

    def _state(self) -> object:
        paths = (self.registry, snapshot_path(self.registry), wal_path(self.registry))
        return [(p.stat().st_size, p.stat().st_mtime_ns) if p.exists() else None for p in paths]

    def _load_registry(self) -> None:
        stamp = self._state()
        items = files("la_outcomes.review").joinpath("items.sql").read_text(encoding="utf-8")
        with open_read_only(self.registry) as connection:
            found = connection.sql(items).to_arrow_table()
            scans = connection.sql(_SCANS).to_arrow_table()
            said = {name: connection.sql(f"FROM {name}").to_arrow_table() for name in _REVIEW_TABLES}
        tables = {"item": _prepared(found), "scan": scans, **said}
        for name, rows in tables.items():
            self._memory.register("arriving", rows)
            ref = ", substr(sha256(kind || '|' || target_id), 1, 16) AS ref" if name == "item" else ""
            self._memory.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT *{ref} FROM arriving")
            self._memory.unregister("arriving")
        for table, rows in self._shard_rows.items():
            self._insert(table, rows)
        self._stamp = stamp

    def _load_shards(self) -> None:
        folder = imports_folder(self.registry) / "shards"
        new = [
            path
            for kind in (REVIEW_KIND, GRADING_KIND)
            for path in sorted(folder.glob(f"{kind}-*.json"))
            if path.name not in self._read_shards
        ]
        found = [_rows_of(path) for path in new]
        for table in _REVIEW_TABLES:
            self.add(table, [row for rows in found for row in rows.get(table, [])])
        self._read_shards.update(path.name for path in new)

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        """Add rows that are not there yet: what a shard says may have been ingested meanwhile."""
        if not rows:
            return
        schema = arrow_schema(table)
        self._memory.register("arriving", pa.Table.from_pylist([_typed(row) for row in rows], schema=schema))
        names = ", ".join(f'"{name}"' for name in schema.names)
        self._memory.execute(
            f"INSERT INTO {table} BY NAME SELECT {names} FROM arriving EXCEPT SELECT {names} FROM {table}"
        )
        self._memory.unregister("arriving")


def _rows_of(path: Path) -> Rows:
    try:
        return read_shard(path)["rows"]
    except InputError:
        return {}  # ingest names a damaged shard


def _typed(row: Row) -> Row:
    """A shard's row with times as times and the dictionary's defaults."""
    times = {name: datetime.fromisoformat(row[name]) for name in _TIMES if row.get(name) is not None}
    return {"pass_no": 1, "is_adjudicator": False} | row | times


def _prepared(items: pa.Table) -> pa.Table:
    """Items with their concern; as Arrow, since types guessed from a frame depend on a sample of rows."""
    figures = {one.column: items[one.column].cast(pa.float64()).to_numpy() for one in ALL_FIGURES}
    judged = add_concern(pd.DataFrame({**figures, "has_warning": items["has_warning"].to_numpy()}))
    types = {"concern": pa.float64(), "worst": pa.string(), "out": pa.list_(pa.string())}
    for name, kind in types.items():
        items = items.append_column(name, pa.array(judged[name].tolist(), kind))
    return items
