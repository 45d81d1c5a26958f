"""The dictionary as a Markdown page: ``data_dictionary/README.md``."""

from __future__ import annotations

from la_outcomes.dictionary.model import Column, Dictionary, Lookup, Table, View

_HEAD = """# Data dictionary

Every table and column of the registry. This page is written from the YAML files beside it
(`python -m la_outcomes.dictionary`); the same files make the DuckDB tables with their keys, checks and
comments, the validation of imported tables, and the codebooks of exports.

*Possible* values are enforced: others are refused. *Plausible* values are not: others are listed by
`la-outcomes audit`. A column marked *pseudonym* or *indirect* can point to a person.
"""
_COLUMNS = (
    "column",
    "type, unit",
    "what it is",
    "values",
    "empty",
    "points to a person",
    "source",
    "simulated",
)


def render(dictionary: Dictionary) -> str:
    """The whole page, tables in the order in which they are created."""
    contents = " · ".join(f"[{name}](#{name})" for name in dictionary.tables)
    tables = [_table(table) for table in dictionary.tables.values()]
    lookups = ["## Lookup tables", *(_lookup(lookup) for lookup in dictionary.lookups.values())]
    views = ["## Views", *(_view(view) for view in dictionary.views.values())]
    return "\n\n".join([_HEAD.strip(), contents, *tables, *views, *lookups]) + "\n"


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(table: Table) -> str:
    lines = [f"## {table.name}", "", table.description]
    lines += ["", f"Key: {', '.join(f'`{name}`' for name in table.primary_key)}."]
    lines += [f"Each row: {check.description} (`{check.sql}`)." for check in table.checks]
    lines += ["", _row(_COLUMNS), _row(("---",) * len(_COLUMNS))]
    return "\n".join(lines + [_row(_cells(column)) for column in table.columns.values()])


def _cells(column: Column) -> tuple[str, ...]:
    return (
        f"`{column.name}`",
        column.type + (f", {column.unit}" if column.unit else ""),
        column.description,
        "; ".join(_values(column)),
        "may be" if column.nullable else "never",
        column.identifies,
        column.source or "",
        column.simulated or "",
    )


def _values(column: Column) -> list[str]:
    parts = []
    if column.references:
        parts.append(f"from {column.references[0]}")
    if column.lookup:
        parts.append(f"codes: {column.lookup.name}")
    if column.allowed:
        parts.append(", ".join(f"{code} {label}" for code, label in column.allowed.items()))
    if column.possible:
        parts.append(f"possible {column.possible[0]:g} to {column.possible[1]:g}")
    if column.plausible:
        parts.append(f"plausible {column.plausible[0]:g} to {column.plausible[1]:g}")
    if column.default is not None:
        parts.append(f"where nothing is said: {str(column.default).lower()}")
    if column.fixed:
        parts.append("never replaced by another value")
    if column.missing_codes:
        parts.append(f"missing: {', '.join(column.missing_codes)}")
    return parts


def _view(view: View) -> str:
    repeated = ", ".join(f"[{name}](#{name})" for name in view.tables)
    head = [f"### {view.name}", "", view.description, "", f"Columns of {repeated}, and derived ones:", ""]
    rows = [_row(_cells(column)[:4]) for column in view.derived.values()]
    return "\n".join([*head, _row(_COLUMNS[:4]), _row(("---",) * 4), *rows])


def _lookup(lookup: Lookup) -> str:
    rows = [_row((f"`{code}`", label)) for code, label in lookup.values.items()]
    head = [f"### {lookup.name}", "", lookup.description, "", _row(("code", "label")), _row(("---", "---"))]
    return "\n".join(head + rows)
