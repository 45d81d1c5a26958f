"""The YAML that says what each column of a foreign table is in the registry.

::

    name: my_hospital
    missing_codes: [n/a, -99]            # besides those of the dictionary
    constants: {patients.cohort: clinical, patients.site: centre_1}
    columns:
      pat_no: {to: patients.patient_id}
      sex: {to: patients.sex, recode: {1: male, 2: female}}
      age: {to: clinical.age_years, cap_suffix: '+'}
      glucose: {to: clinical.glucose_mmol_l, unit: mg/dL}
      lesion_mm3: {to: clinical.infarct_volume_ml, factor: 0.001}
      died_on: {to: outcomes.death_days, days_since: onset_on}
    ignore: [onset_on, name]

Every target is ``table.column`` of the data dictionary. ``cap_suffix`` reads ``89+`` as 89 and counts it;
``days_since`` turns two dates into days; ``optional: true`` allows the column to be absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from la_outcomes.dictionary import Column, load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.registry.imports.units import factor_to
from la_outcomes.shards import sha256_json

_RULE_KEYS = {"to", "recode", "unit", "factor", "cap_suffix", "days_since", "missing_codes", "optional"}
_MAPPING_KEYS = {"name", "description", "missing_codes", "constants", "columns", "ignore", "tool"}


@dataclass(frozen=True)
class ColumnRule:
    """How one column of the foreign table becomes one of the registry's."""

    source: str
    table: str
    target: Column
    recode: Mapping[str, Any] = field(default_factory=dict)
    factor: float = 1.0
    cap_suffix: str | None = None
    days_since: str | None = None
    missing_codes: frozenset[str] = frozenset()
    optional: bool = False


@dataclass(frozen=True)
class TableMapping:
    """All rules for one kind of table; ``constants`` hold for every row, by table and column."""

    name: str
    rules: tuple[ColumnRule, ...]
    constants: Mapping[str, Mapping[str, Any]]
    ignore: frozenset[str]
    tool: Mapping[str, str]
    sha256: str

    @property
    def tables(self) -> list[str]:
        """Registry tables it writes to, parents first."""
        named = {rule.table for rule in self.rules} | set(self.constants)
        return [name for name in load_dictionary().tables if name in named]

    @property
    def id_column(self) -> str:
        """The foreign column with the patients' pseudonyms."""
        return next(rule.source for rule in self.rules if _is_patient_id(rule))


def _is_patient_id(rule: ColumnRule) -> bool:
    return (rule.table, rule.target.name) == ("patients", "patient_id")


def shipped_mappings() -> list[str]:
    """Names of the mappings that come with the package."""
    folder = files("la_outcomes.registry").joinpath("mappings")
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_mapping(name_or_path: str | Path) -> TableMapping:
    """Read a mapping file, or one that ships with the package by its name.

    Raises ``InputError`` naming the rule that does not fit the dictionary.
    """
    if str(name_or_path) in shipped_mappings():
        text = files("la_outcomes.registry").joinpath(f"mappings/{name_or_path}.yaml").read_text("utf-8")
    elif Path(name_or_path).is_file():
        text = Path(name_or_path).read_text(encoding="utf-8")
    else:
        raise InputError(
            "there is no such mapping", where=name_or_path, hint=f"a file, or {', '.join(shipped_mappings())}"
        )
    return parse_mapping(text)


def parse_mapping(text: str) -> TableMapping:
    """The mapping written in a YAML text; raises as `load_mapping`."""
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"the mapping is no YAML: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("columns"), dict):
        raise InputError(
            "a mapping needs a section 'columns'", hint="see: la-outcomes import-clinical --help"
        )
    _no_unknown(body, _MAPPING_KEYS, "mapping")
    general = frozenset(str(code) for code in body.get("missing_codes", []))
    rules = tuple(_rule(str(source), entry, general) for source, entry in body["columns"].items())
    if sum(map(_is_patient_id, rules)) != 1:
        raise InputError("one column must go to patients.patient_id", where=f"mapping {body.get('name', '')}")
    return TableMapping(
        name=str(body.get("name", "unnamed")),
        rules=rules,
        constants=_constants(body.get("constants", {})),
        ignore=frozenset(map(str, body.get("ignore", []))),
        tool={str(key): str(value) for key, value in body.get("tool", {}).items()},
        sha256=sha256_json(body),
    )


def _no_unknown(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := set(entry) - known:
        raise InputError(
            f"unknown key {', '.join(sorted(map(str, unknown)))}",
            where=where,
            hint=f"known: {', '.join(sorted(known))}",
        )


def _target(text: str, where: str) -> tuple[str, Column]:
    table, dot, column = str(text).partition(".")
    if not dot:
        raise InputError(f"target {text!r} is not table.column", where=where)
    return table, load_dictionary().column(table, column)


def _rule(source: str, entry: Any, general: frozenset[str]) -> ColumnRule:
    where = f"mapping, column {source}"
    if not isinstance(entry, dict) or "to" not in entry:
        raise InputError("a column's rule needs 'to: table.column'", where=where)
    _no_unknown(entry, _RULE_KEYS, where)
    if "unit" in entry and "factor" in entry:
        raise InputError("unit and factor do not go together", where=where)
    table, target = _target(entry["to"], where)
    factor = (
        factor_to(target, str(entry["unit"]), where) if "unit" in entry else float(entry.get("factor", 1))
    )
    codes = general | set(target.missing_codes) | {str(code) for code in entry.get("missing_codes", [])}
    return ColumnRule(
        source=source,
        table=table,
        target=target,
        recode={str(code): value for code, value in entry.get("recode", {}).items()},
        factor=factor,
        cap_suffix=entry.get("cap_suffix"),
        days_since=entry.get("days_since"),
        missing_codes=codes | {""},
        optional=bool(entry.get("optional", False)),
    )


def _constants(entries: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, value in entries.items():
        table, column = _target(name, "mapping, constants")
        found.setdefault(table, {})[column.name] = value
    return found
