"""Units of foreign tables and the factors that lead to the dictionary's."""

from __future__ import annotations

from la_outcomes.dictionary import Column
from la_outcomes.errors import InputError

GLUCOSE_G_PER_MOL = 180.156

_FACTORS = {
    ("mL", "mm3"): 1e-3,
    ("mL", "mm³"): 1e-3,
    ("mL", "uL"): 1e-3,
    ("mL", "cm3"): 1.0,
    ("mL", "cm³"): 1.0,
    ("mL", "cc"): 1.0,
    ("mL", "L"): 1e3,
    ("mm", "cm"): 10.0,
    ("days", "h"): 1 / 24,
    ("days", "months"): 365.25 / 12,
    ("days", "years"): 365.25,
    ("h", "min"): 1 / 60,
    ("h", "days"): 24.0,
    ("years", "months"): 1 / 12,
    ("mmHg", "kPa"): 7.500617,
}
_OF_COLUMN = {("glucose_mmol_l", "mg/dL"): 10 / GLUCOSE_G_PER_MOL}


def factor_to(target: Column, unit: str, where: str) -> float:
    """Factor from ``unit`` to the unit of the dictionary's column.

    mg/dL depends on the substance: glucose has 180.156 g/mol, 18.02 mg/dL a mmol/L. Raises ``InputError``
    where no factor is known.
    """
    if unit == target.unit:
        return 1.0
    factor = _OF_COLUMN.get((target.name, unit), _FACTORS.get((target.unit or "", unit)))
    if factor is None:
        raise InputError(
            f"no factor is known from {unit} to {target.unit}", where=where, hint="give factor: in its place"
        )
    return factor
