"""Put shards' rows into temporary tables, before anything is checked or merged.

A temporary table has only the columns that some shard gives, so that a million rows take the memory of what
they say; `Staged.rows` shows it with all columns of the dictionary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from la_outcomes.bulk import BulkShard, arrow_schema
from la_outcomes.dictionary import Table, load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.registry.rules import literal, quote
from la_outcomes.registry.schema import SQL_TYPES
from la_outcomes.registry.shard_files import SHARD_COLUMN, Shard

_ALWAYS = ("is_active", "is_transient", "run_id")


@dataclass
class Staged:
    """The arriving rows of one table.

    ``is_doubled`` tells that two of them have one key, ``is_known`` that the registry has some of the keys;
    where neither holds, rows need no comparing and go in as they are.
    """

    table: Table
    columns: tuple[str, ...]
    is_doubled: bool = True
    is_known: bool = True

    @property
    def name(self) -> str:
        """Quoted name of the temporary table."""
        return quote(f"stage_{self.table.name}")

    @property
    def rows(self) -> str:
        """The rows as a relation with every column of the dictionary."""
        absent = [
            f"NULL::{SQL_TYPES[column.type]} AS {quote(name)}"
            for name, column in self.table.columns.items()
            if name not in self.columns
        ]
        return f"(SELECT {', '.join(['*', *absent])} FROM {self.name})"

    @property
    def key(self) -> str:
        """The key's columns as SQL."""
        return ", ".join(map(quote, self.table.primary_key))

    def compare_keys(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Look whether keys occur twice or are in the registry."""
        known = quote(self.table.name)
        doubled = f"SELECT count(*) > count(DISTINCT ({self.key})) FROM {self.name}"
        both = f"SELECT count(*) > 0 FROM (FROM {self.name} SEMI JOIN {known} USING ({self.key}) LIMIT 1)"
        self.is_doubled = bool(connection.execute(doubled).fetchall()[0][0])
        self.is_known = bool(connection.execute(both).fetchall()[0][0])


@dataclass
class Stage:
    """Rows waiting in temporary tables; ``refused`` maps a shard's place to why it is left out."""

    connection: duckdb.DuckDBPyConnection
    tables: dict[str, Staged]
    refused: dict[int, str] = field(default_factory=dict)

    def refuse(self, reasons: Mapping[int, str]) -> None:
        """Take the rows of these shards out of all temporary tables."""
        new = [place for place in reasons if place not in self.refused]
        self.refused |= {place: reasons[place] for place in new}
        for staged in self.tables.values() if new else ():
            self.connection.execute(
                f"DELETE FROM {staged.name} WHERE {SHARD_COLUMN} IN (SELECT unnest(?))", [new]
            )


def stage_shards(connection: duckdb.DuckDBPyConnection, shards: Sequence[Shard]) -> Stage:
    """Stage the shards' rows, given in the order in which they count; tables come parents first."""
    lists: dict[str, list[dict[str, Any]]] = {}
    bulks: dict[str, list[tuple[int, Shard, BulkShard]]] = {}
    for place, shard in enumerate(shards):
        for name, rows in shard.rows.items():
            lists.setdefault(name, []).extend(row | {SHARD_COLUMN: place} for row in rows)
        if shard.bulk:
            bulks.setdefault(shard.bulk.table, []).append((place, shard, shard.bulk))
    stage = Stage(connection, {})
    for table in load_dictionary().tables.values():
        rows, bulk = lists.get(table.name, []), bulks.get(table.name, [])
        if rows or bulk:
            given = {name for row in rows for name in row}.union(*(entry.columns for _, _, entry in bulk))
            staged = _create(connection, table, given)
            _add_rows(connection, staged, rows)
            for place, shard, entry in bulk:
                _add_bulk(connection, staged, place, shard, entry)
            stage.tables[table.name] = staged
    return stage


def _create(connection: duckdb.DuckDBPyConnection, table: Table, given: Iterable[str]) -> Staged:
    given = {*given, *_ALWAYS}
    columns = tuple(name for name in table.columns if name in given)
    staged = Staged(table, columns)
    typed = [f"{quote(name)} {SQL_TYPES[table.columns[name].type]}" for name in columns]
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {staged.name} ({', '.join([*typed, f'{SHARD_COLUMN} INTEGER'])})"
    )
    return staged


def _add_rows(connection: duckdb.DuckDBPyConnection, staged: Staged, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    whole = arrow_schema(staged.table.name)
    schema = pa.schema([whole.field(name) for name in staged.columns] + [(SHARD_COLUMN, pa.int32())])
    connection.register("arriving", pa.Table.from_pylist(rows, schema=schema))
    connection.execute(f"INSERT INTO {staged.name} BY NAME FROM arriving")
    connection.unregister("arriving")


def _add_bulk(
    connection: duckdb.DuckDBPyConnection, staged: Staged, place: int, shard: Shard, bulk: BulkShard
) -> None:
    """Let DuckDB read the file; what says no run of its own gets the shard's."""
    values = [quote(name) for name in bulk.columns] + [f"{place} AS {SHARD_COLUMN}"]
    if "run_id" in staged.columns and "run_id" not in bulk.columns:
        values.append(f"{literal(bulk.run['run_id'])} AS run_id")
    try:
        connection.execute(
            f"INSERT INTO {staged.name} BY NAME SELECT {', '.join(values)} FROM read_parquet(?)",
            [str(bulk.path)],
        )
    except duckdb.IOException as error:
        raise InputError("a bulk shard vanished while it was read", where=bulk.path.name) from error
    if not shard.file.is_unchanged():
        raise InputError("a bulk shard changed while it was read", where=bulk.path.name, hint="ingest again")
