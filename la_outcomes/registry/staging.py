"""Put shards' rows into temporary tables and find the shards that break a rule, before anything is merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from la_outcomes.dictionary import Column, Table, load_dictionary
from la_outcomes.registry.rules import Rule, quote, row_rules
from la_outcomes.registry.shard_files import SHARD_COLUMN, Shard, gather

Reasons = dict[int, str]


def stage_name(table: str) -> str:
    """Name of the temporary table that holds the rows on their way into ``table``."""
    return quote(f"stage_{table}")


@dataclass
class Stage:
    """Rows waiting in temporary tables; ``refused`` maps a shard's place to why it is left out."""

    connection: duckdb.DuckDBPyConnection
    tables: list[Table]
    refused: Reasons = field(default_factory=dict)

    def refuse(self, reasons: Mapping[int, str]) -> None:
        """Take the rows of these shards out of all temporary tables."""
        new = [place for place in reasons if place not in self.refused]
        self.refused |= {place: reasons[place] for place in new}
        for table in self.tables if new else ():
            self.connection.execute(
                f"DELETE FROM {stage_name(table.name)} WHERE {SHARD_COLUMN} IN (SELECT unnest(?))", [new]
            )


def stage_shards(connection: duckdb.DuckDBPyConnection, shards: Sequence[Shard]) -> Stage:
    """Stage the shards' rows, given in the order in which they count, and refuse shards with faults."""
    gathered = gather(shards)
    stage = Stage(connection, [t for t in load_dictionary().tables.values() if t.name in gathered])
    for table in stage.tables:
        _create(connection, table, gathered[table.name])
    for table in stage.tables:
        stage.refuse(_broken_rules(connection, table))
    for table in stage.tables:
        for column in table.columns.values():
            if column.fixed:
                stage.refuse(_contradictions(connection, table, column))
    _refuse_orphans(stage)
    return stage


def _create(connection: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table) -> None:
    connection.register("arriving", rows)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {stage_name(table.name)} AS FROM arriving")
    connection.unregister("arriving")


def _broken_rules(connection: duckdb.DuckDBPyConnection, table: Table) -> Reasons:
    rules = row_rules(table)
    counts = ", ".join(f"count(*) FILTER (NOT ({rule.condition})) AS r{i}" for i, rule in enumerate(rules))
    total = " + ".join(f"r{i}" for i in range(len(rules)))
    found = connection.execute(
        f"SELECT {SHARD_COLUMN}, {counts} FROM {stage_name(table.name)} GROUP BY ALL HAVING {total} > 0"
    ).fetchall()
    return {
        row[0]: "; ".join(
            _describe(connection, table, rule, row[0], n) for rule, n in zip(rules, row[1:], strict=True) if n
        )
        for row in found
    }


def _describe(connection: duckdb.DuckDBPyConnection, table: Table, rule: Rule, place: int, count: int) -> str:
    key = f"concat_ws(', ', {', '.join(map(quote, table.primary_key))})"
    value = f"{quote(rule.column)}::VARCHAR" if rule.column else "NULL"
    example = connection.execute(
        f"SELECT {key}, {value} FROM {stage_name(table.name)}"
        f" WHERE {SHARD_COLUMN} = ? AND NOT ({rule.condition}) LIMIT 1",
        [place],
    ).fetchall()[0]
    subject = f"{table.name}.{rule.column}" if rule.column else table.name
    shown = f", value {example[1]}" if example[1] is not None else ""
    return f"{subject}: {rule.description}; not so in {count} row(s), as in {example[0]}{shown}"


def _contradictions(connection: duckdb.DuckDBPyConnection, table: Table, column: Column) -> Reasons:
    """Shards that say another value of a fixed column than the registry, or than an earlier shard."""
    (key,) = map(quote, table.primary_key)
    name, stage = quote(column.name), stage_name(table.name)
    found = connection.execute(
        f"""
        WITH earliest AS (
            SELECT {key}, arg_min({name}, {SHARD_COLUMN}) AS value FROM {stage} GROUP BY {key}
        ),
        known AS (
            SELECT {key}, coalesce(t.{name}, e.value) AS value
            FROM earliest e LEFT JOIN {quote(table.name)} t USING ({key})
        )
        SELECT s.{SHARD_COLUMN}, any_value({key}), any_value(s.{name}::VARCHAR), any_value(k.value::VARCHAR)
        FROM {stage} s JOIN known k USING ({key})
        WHERE s.{name} <> k.value GROUP BY ALL
        """
    ).fetchall()
    return {
        place: f"{table.name}.{column.name}: {who} is {known} before, {said} in this shard"
        for place, who, said, known in found
    }


def _refuse_orphans(stage: Stage) -> None:
    """Refuse rows whose parent is nowhere; a refused shard may orphan others, hence the loop."""
    staged = {table.name for table in stage.tables}
    while True:
        before = len(stage.refused)
        for table in stage.tables:
            for column in table.columns.values():
                if column.references:
                    stage.refuse(_orphans(stage.connection, table, column, staged))
        if len(stage.refused) == before:
            return


def _orphans(
    connection: duckdb.DuckDBPyConnection, table: Table, column: Column, staged: Iterable[str]
) -> Reasons:
    parent, key = column.references or ("", "")
    sources = [quote(parent)] + ([stage_name(parent)] if parent in staged else [])
    known = " UNION ALL ".join(f"SELECT {quote(key)} FROM {source}" for source in sources)
    found = connection.execute(
        f"SELECT {SHARD_COLUMN}, any_value({quote(column.name)}), count(*) FROM {stage_name(table.name)}"
        f" WHERE {quote(column.name)} IS NOT NULL AND {quote(column.name)} NOT IN ({known}) GROUP BY ALL"
    ).fetchall()
    return {
        place: f"{table.name}.{column.name}: {count} row(s) refer to {parent} the registry does not know, "
        f"as {example}; ingest the shard that holds it"
        for place, example, count in found
    }
