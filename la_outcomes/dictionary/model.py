"""What the dictionary is made of: lookups, columns, checks, tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from la_outcomes.errors import InputError

Scalar = str | int | float | bool
Range = tuple[float, float]
ColumnType = Literal["text", "integer", "bigint", "number", "boolean", "timestamp"]
Identifies = Literal["no", "indirect", "pseudonym"]


@dataclass(frozen=True)
class Lookup:
    """A named list of allowed codes; ``values`` maps code to label in the order of the file."""

    name: str
    description: str
    values: Mapping[Scalar, str]

    @property
    def table(self) -> str:
        """Name of the registry table that holds the codes."""
        return f"lookup_{self.name}"


@dataclass(frozen=True)
class Column:
    """One column of a registry table.

    Attributes
    ----------
    plausible : values outside are listed by the audit as warnings.
    possible : values outside are refused.
    allowed : codes and labels where the values are few and not shared with other columns.
    lookup : the shared list of codes, as its own table.
    default : value where nobody says anything.
    fixed : once known, a different value is refused instead of replacing the known one.
    identifies : whether the column can point to a person (``pseudonym``, ``indirect``, ``no``).
    """

    name: str
    type: ColumnType
    description: str
    unit: str | None = None
    nullable: bool = True
    default: Scalar | None = None
    fixed: bool = False
    lookup: Lookup | None = None
    allowed: Mapping[Scalar, str] | None = None
    references: tuple[str, str] | None = None
    plausible: Range | None = None
    possible: Range | None = None
    missing_codes: tuple[str, ...] = ()
    identifies: Identifies = "no"
    source: str | None = None
    simulated: str | None = None

    @property
    def labels(self) -> Mapping[Scalar, str]:
        """Codes and their labels, from the column or its lookup; empty where any value may occur."""
        if self.lookup is not None:
            return self.lookup.values
        return self.allowed or {}


@dataclass(frozen=True)
class Check:
    """A condition on one row that SQL can evaluate; NULL counts as fulfilled."""

    name: str
    sql: str
    description: str


@dataclass(frozen=True)
class Table:
    """One registry table.

    ``fills``: several sources each know a part of a row, so a value that a later source leaves out stays.
    """

    name: str
    description: str
    primary_key: tuple[str, ...]
    columns: Mapping[str, Column]
    checks: tuple[Check, ...] = ()
    fills: bool = False

    @property
    def parents(self) -> set[str]:
        """Tables this one refers to, lookups not among them."""
        return {c.references[0] for c in self.columns.values() if c.references}


@dataclass(frozen=True)
class View:
    """A view that analyses read: its derived columns, and the tables whose columns it repeats."""

    name: str
    description: str
    tables: tuple[str, ...]
    derived: Mapping[str, Column]


@dataclass(frozen=True)
class Dictionary:
    """All tables, parents before children, all lookups, and the views that analyses read."""

    tables: Mapping[str, Table]
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """The table of that name; raises ``InputError`` where there is none."""
        if name not in self.tables:
            raise InputError(
                f"the data dictionary has no table {name!r}", hint=f"tables: {', '.join(self.tables)}"
            )
        return self.tables[name]

    def column(self, table: str, name: str) -> Column:
        """The column of that name; raises ``InputError`` where there is none."""
        columns = self.table(table).columns
        if name not in columns:
            raise InputError(
                f"table {table} has no column {name!r}", where=table, hint=f"columns: {', '.join(columns)}"
            )
        return columns[name]

    def describe(self, relation: str, name: str) -> Column | None:
        """What a column of a table or view means; None where the dictionary does not know it."""
        if relation in self.tables:
            return self.tables[relation].columns.get(name)
        view = self.views[relation]
        if name in view.derived:
            return view.derived[name]
        holders = (self.tables[table] for table in view.tables)
        return next((table.columns[name] for table in holders if name in table.columns), None)
