"""What a BIDS sidecar (participants.json) says about a table's columns: units and the meaning of codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from la_outcomes.errors import InputError
from la_outcomes.registry.imports.mapping import ColumnRule, TableMapping
from la_outcomes.registry.imports.units import factor_to

_SAME_UNIT = {"year": "years", "y": "years", "yr": "years", "month": "months", "day": "days", "ml": "mL"}


def with_sidecar(mapping: TableMapping, table: str | Path) -> TableMapping:
    """The mapping completed by the JSON file beside a TSV; as it is where there is none.

    Units lead to a factor where the mapping gives none; levels whose label is a code of the dictionary, as
    ``{"1": "Male"}``, add to the mapping's recoding. What the mapping itself says goes first.

    Raises
    ------
    InputError
        The sidecar is no JSON object, or a unit has no known factor to the dictionary's.
    """
    path = Path(table).with_suffix(".json")
    if Path(table).suffix != ".tsv" or not path.is_file():
        return mapping
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the sidecar is no JSON: {error}", where=path.name) from error
    if not isinstance(told, dict):
        raise InputError("the sidecar is no JSON object", where=path.name)
    return replace(
        mapping, rules=tuple(_completed(rule, told.get(rule.source), path) for rule in mapping.rules)
    )


def _completed(rule: ColumnRule, told: Any, path: Path) -> ColumnRule:
    if not isinstance(told, dict):
        return rule
    unit, levels = told.get("Units"), told.get("Levels")
    if unit and rule.target.unit and rule.factor == 1:
        name = _SAME_UNIT.get(str(unit).lower(), str(unit))
        rule = replace(rule, factor=factor_to(rule.target, name, f"{path.name}: {rule.source}"))
    if isinstance(levels, dict):
        rule = replace(rule, recode=_meanings(rule, levels) | dict(rule.recode))
    return rule


def _meanings(rule: ColumnRule, levels: dict[str, Any]) -> dict[str, Any]:
    """Codes of the table whose label is one of the dictionary's codes or labels."""
    known = {str(code).lower(): code for code in rule.target.labels}
    known |= {str(label).lower(): code for code, label in rule.target.labels.items()}
    labels = {str(code): _label(level) for code, level in levels.items()}
    return {code: known[label] for code, label in labels.items() if label in known}


def _label(level: Any) -> str:
    """A level is a text, or an object with a description."""
    return str(level.get("Description", "") if isinstance(level, dict) else level).strip().lower()
