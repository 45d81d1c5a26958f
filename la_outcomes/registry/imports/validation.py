"""pandera schemas made from the data dictionary, and what they find in a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pandera.pandas as pa

from la_outcomes.dictionary import Column, Table, load_dictionary
from la_outcomes.registry.imports.conversion import CellFault, Converted, as_text
from la_outcomes.registry.imports.mapping import TableMapping

_DTYPES = {
    "text": "string",
    "integer": "Int64",
    "bigint": "Int64",
    "number": "Float64",
    "boolean": "boolean",
    "timestamp": "datetime64[us]",
}


def frame_schema(table: str, columns: Iterable[str]) -> pa.DataFrameSchema:
    """The pandera schema of some columns of a registry table: types, ranges, codes, keys, presence."""
    entry = load_dictionary().table(table)
    chosen = [entry.columns[name] for name in columns]
    key = [name for name in entry.primary_key if name in {column.name for column in chosen}]
    return pa.DataFrameSchema(
        {column.name: _column(column) for column in chosen},
        unique=key if set(key) == set(entry.primary_key) else None,
        strict=True,
    )


def to_dtypes(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the nullable pandas types that stand for the dictionary's types."""
    return frame.astype({name: _DTYPES[table.columns[name].type] for name in frame.columns})


def _column(column: Column) -> pa.Column:
    checks = []
    if column.labels:
        codes = list(column.labels)
        checks.append(pa.Check.isin(codes, error=f"one of {', '.join(map(str, codes))}"))
    if column.possible:
        low, high = column.possible
        checks.append(pa.Check.in_range(low, high, error=f"possible values: {low:g} to {high:g}"))
    must_be_there = not column.nullable and column.default is None
    return pa.Column(_DTYPES[column.type], checks=checks, nullable=not must_be_there)


def faults_of(converted: Converted, mapping: TableMapping) -> list[CellFault]:
    """All faults of a converted table, those of conversion and those of the dictionary's rules, by line."""
    faults = list(converted.faults)
    for table, frame in converted.frames.items():
        names = {rule.target.name: rule.source for rule in mapping.rules if rule.table == table}
        faults += validate(table, frame, names)
    return sorted(dict.fromkeys(faults), key=lambda fault: (fault.line, fault.column))


def validate(table: str, frame: pd.DataFrame, shown_as: dict[str, str]) -> list[CellFault]:
    """Faults of a frame indexed by line; ``shown_as`` maps columns to their names in the user's table."""
    typed = to_dtypes(load_dictionary().table(table), frame)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # pandera's own use of pandas
            frame_schema(table, frame.columns).validate(typed, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.to_dict("records")
        return [_fault(case, frame, shown_as) for case in cases]
    return []


def _fault(case: dict[str, Any], frame: pd.DataFrame, shown_as: dict[str, str]) -> CellFault:
    line, column, check = int(case["index"]), str(case["column"]), str(case["check"])
    rule = {"not_nullable": "must have a value", "multiple_fields_uniqueness": "occurs more than once"}
    return CellFault(
        line=line,
        column=shown_as.get(column, column),
        value=as_text(frame.at[line, column]),
        rule=rule.get(check, check),
    )
