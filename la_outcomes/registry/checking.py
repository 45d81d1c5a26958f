"""Find staged shards that break a rule, contradict what is known, or refer to what nobody knows."""

from __future__ import annotations

import duckdb

from la_outcomes.dictionary import Column
from la_outcomes.registry.rules import Rule, quote, row_rules
from la_outcomes.registry.shard_files import SHARD_COLUMN
from la_outcomes.registry.staging import Stage, Staged

Reasons = dict[int, str]


def refuse_faulty(stage: Stage) -> None:
    """Take shards with faults out of the stage, each with its reason, and compare the keys of the others."""
    for staged in stage.tables.values():
        stage.refuse(_broken_rules(stage.connection, staged))
    for staged in stage.tables.values():
        staged.compare_keys(stage.connection)
        for column in staged.table.columns.values():
            if column.fixed and (staged.is_doubled or staged.is_known):
                stage.refuse(_contradictions(stage.connection, staged, column))
    _refuse_orphans(stage)


def _broken_rules(connection: duckdb.DuckDBPyConnection, staged: Staged) -> Reasons:
    rules = row_rules(staged.table)
    counts = ", ".join(f"count(*) FILTER (NOT ({rule.condition})) AS r{i}" for i, rule in enumerate(rules))
    total = " + ".join(f"r{i}" for i in range(len(rules)))
    found = connection.execute(
        f"SELECT {SHARD_COLUMN}, {counts} FROM {staged.rows} GROUP BY ALL HAVING {total} > 0"
    ).fetchall()
    return {
        row[0]: "; ".join(
            _describe(connection, staged, rule, row[0], n)
            for rule, n in zip(rules, row[1:], strict=True)
            if n
        )
        for row in found
    }


def _describe(
    connection: duckdb.DuckDBPyConnection, staged: Staged, rule: Rule, place: int, count: int
) -> str:
    key = f"concat_ws(', ', {', '.join(map(quote, staged.table.primary_key))})"
    value = f"{quote(rule.column)}::VARCHAR" if rule.column else "NULL"
    example = connection.execute(
        f"SELECT {key}, {value} FROM {staged.rows}"
        f" WHERE {SHARD_COLUMN} = ? AND NOT ({rule.condition}) LIMIT 1",
        [place],
    ).fetchall()[0]
    subject = f"{staged.table.name}.{rule.column}" if rule.column else staged.table.name
    shown = f", value {example[1]}" if example[1] is not None else ""
    return f"{subject}: {rule.description}; not so in {count} row(s), as in {example[0]}{shown}"


def _contradictions(connection: duckdb.DuckDBPyConnection, staged: Staged, column: Column) -> Reasons:
    """Shards that say another value of a fixed column than the registry, or than an earlier shard."""
    key, name = staged.key, quote(column.name)
    found = connection.execute(
        f"""
        WITH earliest AS (
            SELECT {key}, arg_min({name}, {SHARD_COLUMN}) AS value FROM {staged.rows} GROUP BY {key}
        ),
        known AS (
            SELECT {key}, coalesce(t.{name}, e.value) AS value
            FROM earliest e LEFT JOIN {quote(staged.table.name)} t USING ({key})
        )
        SELECT s.{SHARD_COLUMN}, any_value({key}), any_value(s.{name}::VARCHAR), any_value(k.value::VARCHAR)
        FROM {staged.rows} s JOIN known k USING ({key})
        WHERE s.{name} <> k.value GROUP BY ALL
        """
    ).fetchall()
    return {
        place: f"{staged.table.name}.{column.name}: {who} is {known} before, {said} in this shard"
        for place, who, said, known in found
    }


def _refuse_orphans(stage: Stage) -> None:
    """Refuse rows whose parent is nowhere; a refused shard may orphan others, hence the loop."""
    while True:
        before = len(stage.refused)
        for staged in stage.tables.values():
            for column in staged.table.columns.values():
                if column.references and column.name in staged.columns:
                    stage.refuse(_orphans(stage, staged, column))
        if len(stage.refused) == before:
            return


def _orphans(stage: Stage, staged: Staged, column: Column) -> Reasons:
    parent, key = column.references or ("", "")
    name = quote(column.name)
    sources = [quote(parent)] + ([stage.tables[parent].name] if parent in stage.tables else [])
    absent = " ".join(
        f"ANTI JOIN {source} p{i} ON p{i}.{quote(key)} = s.{name}" for i, source in enumerate(sources)
    )
    found = stage.connection.execute(
        f"SELECT s.{SHARD_COLUMN}, any_value(s.{name}), count(*)"
        f" FROM (FROM {staged.name} WHERE {name} IS NOT NULL) s {absent} GROUP BY ALL"
    ).fetchall()
    return {
        place: f"{staged.table.name}.{column.name}: {count} row(s) refer to {parent} the registry does not"
        f" know, as {example}; ingest the shard that holds it"
        for place, example, count in found
    }
