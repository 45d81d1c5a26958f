"""A REDCap export and a BIDS participants table with its sidecar come in by the shipped mappings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from la_outcomes.cli.main import run
from la_outcomes.registry.database import open_read_only


def take_in(table: Path, mapping: str, registry: Path) -> int:
    return run(["import-clinical", str(table), "--mapping", mapping, "--registry", str(registry), "--accept"])


def rows(registry: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_read_only(registry) as connection:
        return connection.execute(sql).fetchall()


def test_redcap(registry: Path, tmp_path: Path) -> None:
    table = tmp_path / "redcap.csv"
    table.write_text(
        "record_id,redcap_event_name,redcap_data_access_group,sex,age_years,hypertension,glucose_mmol_l,"
        "reperfusion_treatment,mrs_3m\n"
        "r1,baseline_arm_1,north,1,71,1,6.1,3,2\n"
        "r2,baseline_arm_1,south,2,64,0,-999,0,UNK\n"
    )
    assert take_in(table, "redcap", registry) == 0
    sql = (
        "SELECT patient_id, site, sex, age_years, hypertension, glucose_mmol_l, reperfusion_treatment, mrs_3m"
        " FROM analysis_cohort ORDER BY patient_id"
    )
    assert rows(registry, sql) == [
        ("r1", "north", "male", 71.0, True, 6.1, "both", 2),
        ("r2", "south", "female", 64.0, False, None, "none", None),
    ]


def bids(folder: Path, sidecar: object) -> Path:
    table = folder / "participants.tsv"
    table.write_text("participant_id\tage\tsex\nsub-1\t852\t1\nsub-2\tn/a\t2\n")
    table.with_suffix(".json").write_text(json.dumps(sidecar))
    return table


def test_bids_units_and_levels_come_from_the_sidecar(registry: Path, tmp_path: Path) -> None:
    told = {
        "age": {"Description": "age", "Units": "months"},
        "sex": {"Levels": {"1": "Male", "2": {"Description": "female"}}},
    }
    assert take_in(bids(tmp_path, told), "bids", registry) == 0
    assert rows(registry, "SELECT patient_id, sex, age_years FROM analysis_cohort ORDER BY patient_id") == [
        ("sub-1", "male", 71.0),
        ("sub-2", "female", None),
    ]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"sex": {"Levels": {"1": "Male"}}}, "not among the codes"),
        ({"age": {"Units": "fortnights"}}, "no factor is known from fortnights"),
        (["age"], "no JSON object"),
    ],
)
def test_a_sidecar_that_does_not_fit(
    registry: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: object, said: str
) -> None:
    assert take_in(bids(tmp_path, told), "bids", registry) == 3
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert rows(registry, "SELECT count(*) FROM patients") == [(0,)]
