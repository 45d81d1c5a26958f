"""Read ``data_dictionary/*.yaml`` and refuse what does not fit together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, get_args

import yaml

from la_outcomes.dictionary.model import (
    Check,
    Column,
    ColumnType,
    Dictionary,
    Identifies,
    Lookup,
    Table,
    View,
)
from la_outcomes.errors import InputError

LOOKUPS_FILE = "lookups.yaml"
VIEWS_FILE = "views.yaml"
_COLUMN_KEYS = set(Column.__dataclass_fields__) - {"name"}


def dictionary_folder() -> Path:
    """The folder of the YAML files: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "data_dictionary", package.parent / "data_dictionary"):
        if (folder / LOOKUPS_FILE).is_file():
            return folder
    raise InputError("the data dictionary is not installed", where=package, hint="install the package again")


@cache
def load_dictionary(folder: Path | None = None) -> Dictionary:
    """Read the dictionary, parents before children; raises ``InputError`` naming file and column."""
    folder = folder or dictionary_folder()
    lookups = _lookups(folder / LOOKUPS_FILE)
    files = sorted(path for path in folder.glob("*.yaml") if path.name not in (LOOKUPS_FILE, VIEWS_FILE))
    tables = {path.stem: _table(path, lookups) for path in files}
    _check_references(tables)
    views = _views(folder / VIEWS_FILE, lookups, tables)
    return Dictionary({name: tables[name] for name in _parents_first(tables)}, lookups, views)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"cannot be read as YAML: {error}", where=path.name) from error
    if not isinstance(body, dict):
        raise InputError("not a mapping of names to values", where=path.name)
    return body


def _lookups(path: Path) -> dict[str, Lookup]:
    return {
        name: Lookup(name, entry["description"], {str(c): str(v) for c, v in entry["values"].items()})
        for name, entry in _read(path).items()
    }


def _table(path: Path, lookups: Mapping[str, Lookup]) -> Table:
    body = _read(path)
    if body.get("table") != path.stem:
        raise InputError("the file's name and its table differ", where=path.name)
    columns = {
        name: _column(name, entry, lookups, f"{path.name}: {name}") for name, entry in body["columns"].items()
    }
    key = tuple(body["primary_key"])
    for name in key:
        if name not in columns or columns[name].nullable:
            raise InputError("a key's column is missing or nullable", where=f"{path.name}: {name}")
    checks = tuple(Check(name, **entry) for name, entry in body.get("checks", {}).items())
    return Table(path.stem, body["description"], key, columns, checks, body.get("fills", False))


def _column(name: str, entry: Mapping[str, Any], lookups: Mapping[str, Lookup], where: str) -> Column:
    if unknown := set(entry) - _COLUMN_KEYS:
        raise InputError(f"unknown property {', '.join(sorted(unknown))}", where=where)
    values = dict(entry)
    _one_of(values.get("type"), get_args(ColumnType), "type", where)
    _one_of(values.get("identifies", "no"), get_args(Identifies), "identifies", where)
    if "lookup" in values:
        _one_of(values["lookup"], lookups, "lookup", where)
        values["lookup"] = lookups[values["lookup"]]
    if "references" in values:
        table, _, column = values["references"].partition(".")
        values["references"] = (table, column)
    for key in ("plausible", "possible"):
        if key in values:
            values[key] = _range(values[key], f"{where}: {key}")
    if "missing_codes" in values:
        values["missing_codes"] = tuple(str(code) for code in values["missing_codes"])
    return Column(name, **values)


def _views(path: Path, lookups: Mapping[str, Lookup], tables: Mapping[str, Table]) -> dict[str, View]:
    views = {}
    for name, entry in _read(path).items() if path.exists() else ():
        where = f"{path.name}: {name}"
        for table in entry["tables"]:
            _one_of(table, tables, "table", where)
        derived = {
            column: _column(column, values, lookups, f"{where}.{column}")
            for column, values in entry.get("columns", {}).items()
        }
        views[name] = View(name, entry["description"], tuple(entry["tables"]), derived)
    return views


def _one_of(value: object, known: Iterable[str], what: str, where: str) -> None:
    if value not in list(known):
        raise InputError(f"{what} {value!r} is not known", where=where, hint=f"one of {', '.join(known)}")


def _range(value: object, where: str) -> tuple[float, float]:
    if not (isinstance(value, list) and len(value) == 2 and value[0] < value[1]):
        raise InputError("a range is [lowest, highest]", where=where)
    return float(value[0]), float(value[1])


def _check_references(tables: Mapping[str, Table]) -> None:
    parents = {name for table in tables.values() for name in table.parents}
    for table in tables.values():
        for column in table.columns.values():
            if column.lookup and not column.fixed and table.name in parents:
                raise InputError(
                    "DuckDB cannot change an indexed column of a row that others refer to",
                    where=f"{table.name}.{column.name}",
                    hint="say allowed: in place of lookup:, or fixed: true",
                )
            if column.references is None:
                continue
            parent, key = column.references
            if parent not in tables or tables[parent].primary_key != (key,):
                raise InputError("refers to what is no table's key", where=f"{table.name}.{column.name}")


def _parents_first(tables: Mapping[str, Table]) -> list[str]:
    try:
        return list(TopologicalSorter({name: sorted(t.parents) for name, t in tables.items()}).static_order())
    except CycleError as error:
        raise InputError("tables refer to each other in a circle", where=error.args[1]) from error
