"""The simulator's parameters: one YAML, one version, read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from la_outcomes.errors import InputError
from la_outcomes.shards import sha256_json

Parameters = dict[str, Any]
SECTIONS = ("version", "image", "clinical")


@cache
def _packaged() -> Parameters:
    text = resources.files("la_outcomes.simulation").joinpath("parameters.yaml").read_text(encoding="utf-8")
    loaded: Parameters = yaml.safe_load(text)
    return loaded


def load_parameters(changes: Mapping[str, Any] | None = None) -> Parameters:
    """Return a fresh copy of ``parameters.yaml``, with ``changes`` laid over it.

    Parameters
    ----------
    changes : nested mapping of the same shape as the YAML (``{"clinical": {"missingness": ...}}``); what is
        not named keeps its packaged value. The version then ends in a hash of the changes
        ("1.0+1a2b3c4d").

    Raises
    ------
    InputError
        A change names a parameter that does not exist: a misspelt one would be silently without effect.
    """
    parameters = deepcopy(_packaged())
    if changes:
        _lay_over(parameters, changes, "")
        parameters["version"] = f"{parameters['version']}+{sha256_json(changes)[:8]}"
    return parameters


def simulator_version() -> str:
    """Version of the frozen parameters; every simulated row and figure says it."""
    return str(_packaged()["version"])


def _lay_over(base: Parameters, changes: Mapping[str, Any], path: str) -> None:
    for key, value in changes.items():
        where = f"{path}{key}"
        if key not in base:
            raise InputError(
                f"the simulator has no parameter {where!r}",
                where="parameters.yaml",
                hint=f"here it knows: {', '.join(map(str, base))}",
            )
        if isinstance(base[key], dict) and isinstance(value, Mapping):
            _lay_over(base[key], value, f"{where}.")
        else:
            base[key] = deepcopy(value)


def read_changes(path: Path) -> dict[str, Any]:
    """Changes to the parameters from a YAML file. Raises ``InputError`` where it is no mapping."""
    try:
        changes = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("the file is no YAML", where=path, hint="see parameters.yaml") from error
    if not isinstance(changes, dict):
        raise InputError("the file holds no parameters", where=path, hint="for instance 'clinical: {...}'")
    return changes


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings as one; where both name a value the second's counts."""
    result = deepcopy(dict(first))
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else deepcopy(value)
    return result
