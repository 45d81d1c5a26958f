"""DuckDB tables made from the data dictionary: keys, checks, lookup tables, comments, views."""

from __future__ import annotations

from collections.abc import Collection
from importlib.resources import files

import duckdb

from la_outcomes.dictionary import Column, Dictionary, Lookup, Table, load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.registry.rules import literal, quote, value_rules
from la_outcomes.shards import sha256_json

SQL_TYPES = {
    "text": "VARCHAR",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
}


def table_statements(dictionary: Dictionary) -> list[str]:
    """CREATE TABLE for every lookup and table, parents first; what a migration must arrive at."""
    lookups = [_create_lookup(lookup) for lookup in dictionary.lookups.values()]
    return lookups + [_create_table(table) for table in dictionary.tables.values()]


def rebuild_statements(dictionary: Dictionary, name: str) -> list[str]:
    """Statements that rebuild a table as the dictionary says and keep its rows: DuckDB cannot add a check.

    Raises ``InputError`` where there is no such table, or where other tables refer to it: DuckDB drops none
    of those, so the others have to be set aside and rebuilt with it by hand.
    """
    if name not in dictionary.tables:
        raise InputError("not a table of the registry", where=name, hint=", ".join(dictionary.tables))
    children = [table.name for table in dictionary.tables.values() if name in table.parents]
    if children:
        raise InputError(f"{', '.join(children)} refer to it and have to be rebuilt with it", where=name)
    table, before = quote(name), quote(f"{name}_before")
    return [
        f"CREATE TEMP TABLE {before} AS FROM {table}",
        f"DROP TABLE {table}",
        _create_table(dictionary.tables[name]),
        f"INSERT INTO {table} BY NAME FROM {before}",
        f"DROP TABLE {before}",
    ]


def create_from_dictionary(connection: duckdb.DuckDBPyConnection, dictionary: Dictionary) -> None:
    """Create the dictionary's tables in an empty database, without migrations."""
    for statement in table_statements(dictionary):
        connection.execute(statement)


def refresh(connection: duckdb.DuckDBPyConnection, dictionary: Dictionary | None = None) -> None:
    """Bring lookup codes and views up to what the installed package says; tables stay as they are.

    The comment of view ``analysis_cohort`` tells which definitions a registry has, so that nothing is written
    where they are these.
    """
    lookups = (dictionary or load_dictionary()).lookups
    views = files("la_outcomes.registry").joinpath("views.sql").read_text(encoding="utf-8")
    codes = [(lookup.name, list(lookup.values.items())) for lookup in lookups.values()]
    note = f"What analyses start from, one row a patient. Definitions {sha256_json([views, codes])[:16]}."
    found = connection.execute(
        "SELECT comment FROM duckdb_views()"
        " WHERE view_name = 'analysis_cohort' AND database_name = current_database()"
    ).fetchall()
    if found == [(note,)]:
        return
    fill = "; ".join(_fill_lookup(lookup) for lookup in lookups.values())
    connection.execute(f"BEGIN; {fill}; {views}; COMMENT ON VIEW analysis_cohort IS {literal(note)}; COMMIT")


def comment(connection: duckdb.DuckDBPyConnection, dictionary: Dictionary | None = None) -> None:
    """Write descriptions and units of the tables and columns there are into the database."""
    there = set(
        connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = current_database()"
        ).fetchall()
    )
    connection.execute(";\n".join(_comments(dictionary or load_dictionary(), there)))


def describe(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """Columns and constraints of all tables, comparable between two databases."""
    columns = connection.execute(
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM duckdb_columns()"
        " WHERE NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables()) ORDER BY ALL"
    ).fetchall()
    constraints = connection.execute(
        "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL"
    ).fetchall()
    return {"columns": columns, "constraints": constraints}


def _create_lookup(lookup: Lookup) -> str:
    return (
        f"CREATE TABLE {quote(lookup.table)} "
        "(code VARCHAR PRIMARY KEY, label VARCHAR NOT NULL, position INTEGER NOT NULL)"
    )


def _create_table(table: Table) -> str:
    parts = [_column_sql(column) for column in table.columns.values()]
    parts.append(f"PRIMARY KEY ({', '.join(map(quote, table.primary_key))})")
    parts += [f"CHECK ({rule.condition})" for rule in value_rules(table)]
    parts += [sql for column in table.columns.values() if (sql := _foreign_key(column))]
    return f"CREATE TABLE {quote(table.name)} (\n  " + ",\n  ".join(parts) + "\n)"


def _column_sql(column: Column) -> str:
    sql = f"{quote(column.name)} {SQL_TYPES[column.type]}"
    if not column.nullable:
        sql += " NOT NULL"
    if column.default is not None:
        sql += f" DEFAULT {literal(column.default)}"
    return sql


def _foreign_key(column: Column) -> str | None:
    if column.lookup:
        parent, key = column.lookup.table, "code"
    elif column.references:
        parent, key = column.references
    else:
        return None
    return f"FOREIGN KEY ({quote(column.name)}) REFERENCES {quote(parent)} ({quote(key)})"


def _fill_lookup(lookup: Lookup) -> str:
    rows = ", ".join(
        f"({literal(code)}, {literal(label)}, {i})" for i, (code, label) in enumerate(lookup.values.items())
    )
    return (
        f"INSERT INTO {quote(lookup.table)} VALUES {rows} ON CONFLICT (code)"
        " DO UPDATE SET label = excluded.label, position = excluded.position"
    )


def _comments(dictionary: Dictionary, there: Collection[tuple[str, str]]) -> list[str]:
    described = [(lookup.table, lookup.description) for lookup in dictionary.lookups.values()]
    described += [(table.name, table.description) for table in dictionary.tables.values()]
    names = {table for table, _ in there}
    statements = [
        f"COMMENT ON TABLE {quote(name)} IS {literal(text)}" for name, text in described if name in names
    ]
    for table in dictionary.tables.values():
        statements += [
            f"COMMENT ON COLUMN {quote(table.name)}.{quote(column.name)} IS {literal(column_comment(column))}"
            for column in table.columns.values()
            if (table.name, column.name) in there
        ]
    return statements


def column_comment(column: Column) -> str:
    """Description and unit in one line, as it stands in the database and the codebook."""
    return column.description + (f" [{column.unit}]" if column.unit else "")
