"""The simulator's parameters: one YAML, one version, read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any

import yaml

from la_outcomes.errors import InputError

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
        not named keeps its packaged value.

    Raises
    ------
    InputError
        A change names a parameter that does not exist: a misspelt one would be silently without effect.
    """
    parameters = deepcopy(_packaged())
    _lay_over(parameters, changes or {}, "")
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
