"""Real patients of the SOOP table come in by the shipped mapping."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from la_outcomes.cli.main import run
from la_outcomes.registry.database import open_read_only

REAL = os.environ.get("LA_OUTCOMES_REAL_DATA")
pytestmark = pytest.mark.skipif(not REAL, reason="LA_OUTCOMES_REAL_DATA is not set")
COUNTS = """
SELECT count(*), count(age_years), count(nihss_admission), count(mrs_discharge), count(mrs_3m),
       count(infarct_volume_mni_ml), count(infarct_volume_ml), max(age_years), bool_or(is_simulated),
       count(*) FILTER (mrs_discharge + nihss_admission + age_years + infarct_volume_mni_ml IS NOT NULL)
FROM analysis_cohort
"""


def counts(registry: Path) -> tuple[object, ...]:
    with open_read_only(registry) as connection:
        return connection.execute(COUNTS).fetchall()[0]


def take_in(registry: Path, *more: str) -> int:
    table = Path(str(REAL)) / "soop" / "participants.tsv"
    return run(["import-clinical", str(table), "--mapping", "soop", "--registry", str(registry), *more])


def test_the_soop_table_comes_in_once(tmp_path: Path) -> None:
    registry = tmp_path / "registry.duckdb"
    assert take_in(registry) == 0
    assert not registry.exists()
    assert take_in(registry, "--accept") == 0
    assert take_in(registry, "--accept") == 0
    assert counts(registry) == (1505, 1106, 1106, 738, 0, 0, 0, 89.0, False, 0)
    assert run(["audit", "--registry", str(registry)]) == 0


@pytest.mark.slow
def test_infarct_volumes_come_from_the_masks(tmp_path: Path) -> None:
    registry = tmp_path / "registry.duckdb"
    assert take_in(registry, "--accept", "--infarct-masks", str(Path(str(REAL)) / "infarcts")) == 0
    assert counts(registry) == (1505, 1106, 1106, 738, 0, 848, 0, 89.0, False, 416)
