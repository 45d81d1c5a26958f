"""The simulator's parameters: one YAML, changed by name only."""

from __future__ import annotations

import pytest

from la_outcomes.errors import InputError
from la_outcomes.simulation.parameters import SECTIONS, load_parameters, simulator_version


def test_the_packaged_file_has_its_sections_and_a_version() -> None:
    parameters = load_parameters()
    assert set(parameters) == set(SECTIONS)
    assert simulator_version() == str(parameters["version"])


def test_a_change_is_laid_over_and_leaves_the_packaged_values_alone() -> None:
    changed = load_parameters({"clinical": {"missingness": {"mechanism": "none"}}})
    assert changed["clinical"]["missingness"]["mechanism"] == "none"
    assert (
        changed["clinical"]["missingness"]["rates"] == load_parameters()["clinical"]["missingness"]["rates"]
    )
    assert load_parameters()["clinical"]["missingness"]["mechanism"] == "mar"


def test_a_misspelt_parameter_is_refused_with_its_place() -> None:
    with pytest.raises(InputError, match=r"clinical\.missingnes'"):
        load_parameters({"clinical": {"missingnes": {}}})
