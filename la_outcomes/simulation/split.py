"""Which anatomies and infarct masks each cohort may use: ``anatomy_split.yaml``, read in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from la_outcomes.errors import InputError
from la_outcomes.simulation.anatomy import TEMPLATE
from la_outcomes.simulation.infarcts import infarct_subject

PARTS = ("training", "validation", "test")


@cache
def _split() -> dict[str, Any]:
    text = (
        resources.files("la_outcomes.simulation").joinpath("anatomy_split.yaml").read_text(encoding="utf-8")
    )
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def part_of_cohort(cohort: str) -> str:
    """Part (training, validation, test) that a cohort's heads come from."""
    return str(_split()["cohorts"][cohort])


def part_of_anatomy(name: str) -> str:
    """Part an anatomy belongs to: as listed, else by its name."""
    for part, names in _split()["anatomies"].items():
        if name in names:
            return str(part)
    return _by_name(name)


def part_of_infarct(path: str | Path) -> str:
    """Part an infarct mask belongs to, by its subject: all masks of a subject fall into one part."""
    return _by_name(infarct_subject(path))


def _by_name(name: str) -> str:
    fraction = int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8
    limits: dict[str, float] = _split()["by_name"]
    return next(part for part in PARTS if fraction < limits[part])


def anatomies_for(cohort: str, names: Sequence[str]) -> list[str]:
    """Those of the anatomies that a cohort may use; the embedded template serves every cohort.

    Raises ``InputError`` where none of the names falls into the cohort's part.
    """
    if list(names) == [TEMPLATE]:
        return [TEMPLATE]
    part = part_of_cohort(cohort)
    chosen = [name for name in names if part_of_anatomy(name) == part]
    if not chosen:
        raise InputError(
            f"none of the {len(names)} anatomies belongs to the {part} part, which cohort {cohort!r} needs",
            where="anatomy_split.yaml",
            hint="give more label maps, so that training, validation and test heads stay apart",
        )
    return chosen


def infarcts_for(cohort: str, masks: Sequence[Path]) -> list[Path]:
    """Those of the infarct masks that a cohort may use. Raises ``InputError`` where there are none."""
    part = part_of_cohort(cohort)
    chosen = [path for path in masks if part_of_infarct(path) == part]
    if not chosen:
        raise InputError(
            f"none of the {len(masks)} infarct masks belongs to the {part} part",
            where="anatomy_split.yaml",
            hint="give more masks, so that training, validation and test infarcts stay apart",
        )
    return chosen
