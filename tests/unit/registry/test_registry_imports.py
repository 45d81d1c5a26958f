"""Foreign tables: every fault is listed, nothing goes in unasked, changed values make versions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest

from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.imports.clinical import accept_import, plan_import
from la_outcomes.registry.imports.conversion import convert
from la_outcomes.registry.imports.mapping import load_mapping, parse_mapping, shipped_mappings
from la_outcomes.registry.imports.reading import read_table
from la_outcomes.registry.imports.units import factor_to
from la_outcomes.registry.imports.volumes import NO_VOLUME, accept_volumes, is_known, plan_volumes
from la_outcomes.registry.ingest import rebuild

MAPPING = """
name: test
missing_codes: [n/a, -99]
constants: {patients.cohort: clinical, patients.site: x}
columns:
  id: {to: patients.patient_id}
  sex: {to: patients.sex, recode: {1: male, 2: female}}
  age: {to: clinical.age_years, cap_suffix: '+'}
  glucose: {to: clinical.glucose_mmol_l, unit: mg/dL, optional: true}
  nihss: {to: clinical.nihss_admission, optional: true}
  died: {to: outcomes.death_days, days_since: onset, optional: true}
  mrs: {to: outcomes.mrs_3m, optional: true}
"""


def table(**columns: list[Any]) -> pd.DataFrame:
    n = len(columns["id"])
    return pd.DataFrame({"sex": ["1"] * n, "age": ["70"] * n, **columns}, dtype=object)


def rows(registry: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_read_only(registry) as connection:
        return connection.execute(sql).fetchall()


def take_in(source: pd.DataFrame, registry: Path, mapping: str = MAPPING) -> None:
    plan = plan_import(source, parse_mapping(mapping), registry)
    assert plan.faults == []
    assert accept_import(plan, registry, {}).faults == []


def test_values_are_recoded_converted_and_capped(registry: Path) -> None:
    source = table(
        id=["a", "b"],
        sex=["2", "n/a"],
        age=["89+", "71.5"],
        glucose=["180.156", "-99"],
        onset=["2024-02-28", "2024-01-01"],
        died=["2024-03-01", ""],
    )
    take_in(source, registry)
    sql = "SELECT sex, age_years, glucose_mmol_l, death_days, site FROM analysis_cohort ORDER BY patient_id"
    assert rows(registry, sql) == [("female", 89.0, 10.0, 2.0, "x"), (None, 71.5, None, None, "x")]


def test_every_fault_is_listed_with_line_column_value_and_rule(registry: Path) -> None:
    source = table(
        id=["a", "", "c", "c"],
        sex=["3", "1", "1", "1"],
        age=["old", "130", "70", "70"],
        nihss=["4.5", "43", "3", "3"],
        mrs=["7", "6", "2", "2"],
    )
    plan = plan_import(source, parse_mapping(MAPPING), registry)
    found = {(fault.line, fault.column): (fault.value, fault.rule) for fault in plan.faults}
    assert found[2, "sex"] == ("3", "not among the codes 1, 2")
    assert found[2, "age"] == ("old", "not a number")
    assert found[2, "nihss"] == ("4.5", "not a whole number")
    assert found[2, "mrs"] == ("7", "one of 0, 1, 2, 3, 4, 5, 6")
    assert found[3, "id"] == ("", "must have a value")
    assert found[3, "age"] == ("130", "possible values: 0 to 120")
    assert found[3, "nihss"] == ("43", "possible values: 0 to 42")
    assert found[4, "id"] == found[5, "id"] == ("c", "occurs more than once")
    assert len(found) == 9
    with pytest.raises(InputError, match="nothing was taken in"):
        accept_import(plan, registry, {})
    assert rows(registry, "SELECT count(*) FROM patients") == [(0,)]


def test_planning_writes_nothing(tmp_path: Path) -> None:
    plan = plan_import(table(id=["a"]), parse_mapping(MAPPING), tmp_path / "new.duckdb")
    assert plan.new_patients == ["a"]
    assert list(tmp_path.iterdir()) == []


def test_the_same_table_again_changes_nothing(registry: Path) -> None:
    source = table(id=["a", "b"], mrs=["2", "n/a"])
    take_in(source, registry)
    again = plan_import(source, parse_mapping(MAPPING), registry)
    assert again.is_empty
    assert (again.new_patients, again.changes, again.n_filled, again.n_kept) == ([], [], 0, 0)


def test_a_changed_value_makes_a_new_version(registry: Path) -> None:
    take_in(table(id=["a", "b"], nihss=["4", "5"], mrs=["2", "n/a"]), registry)
    source = table(id=["a", "b"], nihss=["n/a", "6"], mrs=["2", "3"])
    plan = plan_import(source, parse_mapping(MAPPING), registry)
    assert [(c.patient_id, c.column, c.known, c.new) for c in plan.changes] == [
        ("b", "clinical.nihss_admission", "5", "6")
    ]
    assert (plan.n_kept, plan.n_filled) == (1, 1)
    accept_import(plan, registry, {})
    sql = "SELECT patient_id, nihss_admission, superseded_by IS NULL FROM clinical ORDER BY ALL"
    assert rows(registry, sql) == [("a", 4, True), ("b", 5, False), ("b", 6, True)]
    assert rows(registry, "SELECT nihss_admission, mrs_3m FROM analysis_cohort ORDER BY patient_id") == [
        (4, 2),
        (6, 3),
    ]


def test_columns_of_another_import_stay(registry: Path) -> None:
    take_in(table(id=["a"], nihss=["4"]), registry)
    take_in(table(id=["a"], age=["71"]), registry)
    assert rows(registry, "SELECT nihss_admission, age_years FROM analysis_cohort") == [(4, 71.0)]


def test_imports_survive_a_rebuild(registry: Path, tmp_path: Path) -> None:
    take_in(table(id=["a"], nihss=["4"]), registry)
    take_in(table(id=["a"], nihss=["5"]), registry)
    before = rows(registry, "SELECT * FROM clinical ORDER BY valid_from")
    (tmp_path / "empty").mkdir()
    rebuild([tmp_path / "empty"], registry)
    assert rows(registry, "SELECT * FROM clinical ORDER BY valid_from") == before


def test_a_patient_of_another_cohort_is_a_fault(registry: Path) -> None:
    take_in(table(id=["a"]), registry)
    other = MAPPING.replace("cohort: clinical", "cohort: training")
    plan = plan_import(table(id=["a"]), parse_mapping(other), registry)
    assert [(fault.column, fault.value, fault.rule) for fault in plan.faults] == [
        ("cohort", "a: training", "known as clinical")
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("  foo: {to: clinical.age}", "no column 'age'"),
        ("  foo: {too: clinical.age_years}", "needs 'to"),
        ("  foo: {to: clinical.age_years, factr: 2}", "factr"),
        ("  foo: {to: clinical.glucose_mmol_l, unit: stone}", "no factor is known from stone"),
        ("  foo: {to: clinical.glucose_mmol_l, unit: mg/dL, factor: 2}", "do not go together"),
        ("  foo: {to: age_years}", "not table.column"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(change: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_mapping(MAPPING + change)


def test_a_column_the_table_lacks_is_named() -> None:
    with pytest.raises(InputError, match="no column sex"):
        convert(pd.DataFrame({"id": ["a"], "age": ["1"]}), parse_mapping(MAPPING))


@pytest.mark.parametrize("name", shipped_mappings())
def test_shipped_mappings_fit_the_dictionary(name: str) -> None:
    assert load_mapping(name).rules


def test_units() -> None:
    column = load_dictionary().column
    assert factor_to(column("clinical", "glucose_mmol_l"), "mg/dL", "") == pytest.approx(1 / 18.0156)
    assert factor_to(column("clinical", "infarct_volume_ml"), "mm3", "") == 1e-3
    assert factor_to(column("outcomes", "death_days"), "months", "") == pytest.approx(30.4375)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx", ".dta", ".sav", ".xpt", ".sas7bdat"])
def test_every_format_gives_the_same_rows(tmp_path: Path, registry: Path, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    numbers = pd.DataFrame({"id": ["007", "b"], "sex": [1, 2], "age": [70.5, None], "nihss": [3, 4]})
    match suffix:
        case ".csv" | ".tsv":
            numbers.to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
        case ".xlsx":
            numbers.to_excel(path, index=False)
        case ".dta":
            pyreadstat.write_dta(numbers, str(path))
        case ".sav":
            pyreadstat.write_sav(numbers, str(path))
        case ".sas7bdat":  # the same rows by R: haven 2.5.1, write_sas(data.frame(...), "table.sas7bdat")
            shutil.copy2(Path(__file__).parent / "data" / path.name, path)
        case _:
            pyreadstat.write_xport(numbers, str(path), table_name="T")
    take_in(read_table(path), registry)
    sql = "SELECT patient_id, sex, age_years, nihss_admission FROM analysis_cohort ORDER BY patient_id"
    assert rows(registry, sql) == [("007", "male", 70.5, 3), ("b", "female", None, 4)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.docx", "x", "known table format"),
        ("a.csv", "id,id\n1,2\n", "twice"),
        ("a.csv", "id,age\n", "no rows"),
        ("a.sav", "no spss", "cannot be read"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said):
        read_table(tmp_path / name)


def test_volumes_of_another_tool_become_analysable(registry: Path) -> None:
    source = pd.DataFrame({"patient_id": ["a", "b", "c"], "la_volume_ml": ["3.5", "n/a", "0"]}, dtype=object)
    plan = plan_volumes(source, load_mapping("volumes_la"), {"table_sha256": "x"})
    assert (plan.n_measured, plan.n_without, plan.faults) == (2, 1, [])
    accept_volumes(plan, registry)
    sql = "SELECT la_volume_ml, not_measured_reason, model_kind FROM analysis_cohort ORDER BY patient_id"
    assert rows(registry, sql) == [
        (3.5, None, "imported"),
        (None, NO_VOLUME, "imported"),
        (0.0, None, "imported"),
    ]
    assert is_known(plan_volumes(source, load_mapping("volumes_la"), {"table_sha256": "x"}), registry)
    assert not is_known(plan_volumes(source, load_mapping("volumes_la"), {"table_sha256": "y"}), registry)


def test_wmh_volumes_and_their_unit(registry: Path) -> None:
    mapping = parse_mapping(
        "tool: {name: lst, version: '3'}\ncolumns:\n  id: {to: patients.patient_id}\n"
        "  mm3: {to: wmh_measurements.wmh_volume_ml, unit: mm3}\n"
    )
    source = pd.DataFrame({"id": ["a"], "mm3": ["1500"]}, dtype=object)
    accept_volumes(plan_volumes(source, mapping, {}), registry)
    sql = "SELECT scan_id, wmh_volume_ml, source, tool_version FROM wmh_measurements"
    assert rows(registry, sql) == [("a-flair", 1.5, "lst", "3")]


def test_volume_faults_and_a_tool_without_name_are_refused(registry: Path) -> None:
    source = pd.DataFrame({"patient_id": ["a", None], "la_volume_ml": ["-1", "2"]}, dtype=object)
    plan = plan_volumes(source, load_mapping("volumes_la"), {})
    assert {(fault.line, fault.column) for fault in plan.faults} >= {(2, "la_volume_ml"), (3, "patient_id")}
    with pytest.raises(InputError, match="nothing was taken in"):
        accept_volumes(plan, registry)
    unnamed = "columns:\n  patient_id: {to: patients.patient_id}\n  v: {to: la_measurements.la_volume_ml}\n"
    with pytest.raises(InputError, match="tool"):
        plan_volumes(source, parse_mapping(unnamed), {})
