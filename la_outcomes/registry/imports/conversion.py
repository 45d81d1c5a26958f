"""Turn the cells of a foreign table into the dictionary's values; every cell that cannot be is listed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import pandas as pd

from la_outcomes.errors import InputError
from la_outcomes.registry.imports.mapping import ColumnRule, TableMapping

_TRUE = {"1", "true", "yes", "y", "t"}
_FALSE = {"0", "false", "no", "n", "f"}


@dataclass(frozen=True)
class CellFault:
    """One value that cannot go in: line of the table (the header is line 1), column, value and rule."""

    line: int
    column: str
    value: str
    rule: str


@dataclass
class Converted:
    """Frames by registry table, indexed by line, with what was found on the way."""

    frames: dict[str, pd.DataFrame]
    faults: list[CellFault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_taken: list[str] = field(default_factory=list)


def convert(source: pd.DataFrame, mapping: TableMapping) -> Converted:
    """Apply a mapping to a table.

    Raises ``InputError`` where a column the mapping names is not in the table.
    """
    rules = _present(source, mapping)
    lines = pd.RangeIndex(2, len(source) + 2)
    converted = Converted({table: pd.DataFrame(index=lines) for table in mapping.tables})
    for rule in rules:
        values = _column(source, rule, converted)
        converted.frames[rule.table][rule.target.name] = pd.Series(values, index=lines, dtype=object)
    for table, constants in mapping.constants.items():
        for name, value in constants.items():
            converted.frames[table][name] = value
    used = {rule.source for rule in rules} | {rule.days_since for rule in rules}
    converted.not_taken = [name for name in source.columns if name not in used | mapping.ignore]
    return converted


def _present(source: pd.DataFrame, mapping: TableMapping) -> list[ColumnRule]:
    needed = [r.source for r in mapping.rules if not r.optional]
    needed += [r.days_since for r in mapping.rules if r.days_since and not r.optional]
    if absent := [name for name in needed if name not in source.columns]:
        raise InputError(
            f"the table has no column {', '.join(absent)}",
            hint=f"the table's columns: {', '.join(source.columns)}; say optional: true if it may be absent",
        )
    return [rule for rule in mapping.rules if rule.source in source.columns]


def _column(source: pd.DataFrame, rule: ColumnRule, converted: Converted) -> list[Any]:
    starts = source[rule.days_since] if rule.days_since else [None] * len(source)
    counts: Counter[str] = Counter()
    values: list[Any] = []
    for line, (cell, start) in enumerate(zip(source[rule.source], starts, strict=True), start=2):
        try:
            values.append(_cell(cell, start, rule, counts))
        except ValueError as error:
            values.append(None)
            converted.faults.append(CellFault(line, rule.source, str(cell), str(error)))
    if counts["capped"]:
        converted.notes.append(
            f"{rule.source}: {counts['capped']} values with {rule.cap_suffix!r} read as the number before it"
        )
    return values


def _cell(cell: Any, start: Any, rule: ColumnRule, counts: Counter[str]) -> Any:
    text = as_text(cell)
    if text in rule.missing_codes:
        return None
    if rule.recode:
        if text not in rule.recode:
            raise ValueError(f"not among the codes {', '.join(rule.recode)}")
        return _PARSERS[rule.target.type](as_text(rule.recode[text]))
    if rule.days_since:
        return None if as_text(start) in rule.missing_codes else (_day(cell) - _day(start)).days
    if rule.cap_suffix and text.endswith(rule.cap_suffix):
        text = text.removesuffix(rule.cap_suffix)
        counts["capped"] += 1
    if rule.factor == 1:
        return _PARSERS[rule.target.type](text)
    return _PARSERS[rule.target.type](repr(_number(text) * rule.factor))


def as_text(cell: Any) -> str:
    """A cell as one writes it: 3.0 as 3, nothing as the empty text."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = str(cell).strip()
    return text[:-2] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("not a number") from None
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _integer(text: str) -> int:
    number = _number(text)
    if not number.is_integer():
        raise ValueError("not a whole number")
    return int(number)


def _boolean(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("not yes or no (1, 0, yes, no, true, false); use recode for other codes")


def _day(cell: Any) -> date:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    try:
        return datetime.fromisoformat(as_text(cell)).date()
    except ValueError:
        raise ValueError("not a date as YYYY-MM-DD") from None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("not a time as YYYY-MM-DDTHH:MM:SS") from None


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "integer": _integer,
    "bigint": _integer,
    "number": _number,
    "boolean": _boolean,
    "timestamp": _moment,
}
