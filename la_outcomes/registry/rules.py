"""The dictionary's rules for one row as SQL: the same text makes CHECKs, validates shards and audits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from la_outcomes.dictionary import Column, Scalar, Table


@dataclass(frozen=True)
class Rule:
    """A condition every row must fulfil; NULL counts as fulfilled.

    ``column`` is the column it is about, or None where it joins several.
    """

    name: str
    column: str | None
    condition: str
    description: str


def quote(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Scalar) -> str:
    """A value of the dictionary as an SQL literal."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def not_null_rules(table: Table) -> list[Rule]:
    """Columns that must have a value, those with a default left out."""
    return [
        Rule("required", column.name, f"{quote(column.name)} IS NOT NULL", "must have a value")
        for column in table.columns.values()
        if not column.nullable and column.default is None
    ]


def lookup_rules(table: Table) -> list[Rule]:
    """Columns whose codes stand in a lookup table."""
    return [
        Rule("lookup", column.name, _is_one_of(column), f"one of {_codes(column)}")
        for column in table.columns.values()
        if column.lookup
    ]


def value_rules(table: Table) -> list[Rule]:
    """Allowed and possible values of each column, and the checks that join columns."""
    rules = [rule for column in table.columns.values() for rule in _column_rules(column)]
    return rules + [Rule(check.name, None, check.sql, check.description) for check in table.checks]


def row_rules(table: Table) -> list[Rule]:
    """All rules of one row."""
    return not_null_rules(table) + lookup_rules(table) + value_rules(table)


def plausible_rules(table: Table) -> list[Rule]:
    """Ranges outside which a value is possible but worth a look."""
    return [
        Rule("plausible", column.name, _between(column.name, column.plausible), _range_text(column.plausible))
        for column in table.columns.values()
        if column.plausible
    ]


def _column_rules(column: Column) -> Iterator[Rule]:
    if column.allowed:
        yield Rule("allowed", column.name, _is_one_of(column), f"one of {_codes(column)}")
    if column.possible:
        yield Rule(
            "possible", column.name, _between(column.name, column.possible), _range_text(column.possible)
        )
    elif column.type == "number":
        yield Rule("finite", column.name, f"isfinite({quote(column.name)})", "a finite number")


def _codes(column: Column) -> str:
    return ", ".join(str(code) for code in column.labels)


def _is_one_of(column: Column) -> str:
    return f"{quote(column.name)} IN ({', '.join(literal(code) for code in column.labels)})"


def _between(name: str, limits: tuple[float, float]) -> str:
    return f"{quote(name)} BETWEEN {limits[0]!r} AND {limits[1]!r}"


def _range_text(limits: tuple[float, float]) -> str:
    return f"between {limits[0]:g} and {limits[1]:g}"
