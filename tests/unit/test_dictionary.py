"""The dictionary is read whole, refuses what does not fit, and its page is never stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.dictionary import dictionary_folder, load_dictionary
from la_outcomes.dictionary.page import render
from la_outcomes.errors import InputError

LOOKUPS = "colour:\n  description: Colours.\n  values: {red: red, blue: blue}\n"
HEAD = "description: d\nprimary_key: [id]\ncolumns:\n  id: {type: text, description: key, nullable: false}\n"


def folder(tmp_path: Path, **tables: str) -> Path:
    (tmp_path / "lookups.yaml").write_text(LOOKUPS, encoding="utf-8")
    for name, text in tables.items():
        (tmp_path / f"{name}.yaml").write_text(f"table: {name}\n{text}", encoding="utf-8")
    return tmp_path


def test_page_is_what_the_yaml_files_say() -> None:
    page = (dictionary_folder() / "README.md").read_text(encoding="utf-8")
    assert page == render(load_dictionary()), "stale: run python -m la_outcomes.dictionary"


def test_parents_come_before_their_children() -> None:
    tables = load_dictionary().tables
    order = list(tables)
    assert all(order.index(p) < order.index(t.name) for t in tables.values() for p in t.parents)


def test_plausible_values_are_possible_and_units_stand_in_names() -> None:
    for table in load_dictionary().tables.values():
        for column in table.columns.values():
            where = f"{table.name}.{column.name}"
            if column.plausible and column.possible:
                assert column.possible[0] <= column.plausible[0], where
                assert column.possible[1] >= column.plausible[1], where
            if column.unit == "mL":
                assert column.name.endswith(("_ml", "_ml_total")), where
            if column.unit == "mm":
                assert column.name.endswith("_mm"), where


def test_columns_that_can_point_to_a_person_are_marked() -> None:
    for table in load_dictionary().tables.values():
        for name in ("patient_id", "scan_id", "ct_scan_id", "flair_scan_id"):
            if name in table.columns:
                assert table.columns[name].identifies == "pseudonym", f"{table.name}.{name}"


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("{type: colour, description: x}", "type"),
        ("{type: text, description: x, lookup: shade}", "lookup"),
        ("{type: number, description: x, possible: [3, 1]}", "range"),
        ("{type: number, description: x, posible: [1, 3]}", "posible"),
        ("{type: text, description: x, references: nowhere.id}", "refers"),
    ],
)
def test_a_column_that_does_not_fit_is_named(tmp_path: Path, column: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        load_dictionary(folder(tmp_path, paint=f"{HEAD}  shade: {column}\n"))
    assert "shade" in str(raised.value)


def test_a_nullable_key_is_refused(tmp_path: Path) -> None:
    text = "description: d\nprimary_key: [id]\ncolumns:\n  id: {type: text, description: key}\n"
    with pytest.raises(InputError, match="key"):
        load_dictionary(folder(tmp_path, paint=text))


def test_tables_in_a_circle_are_refused(tmp_path: Path) -> None:
    one = f"{HEAD}  other: {{type: text, description: x, references: two.id}}\n"
    two = f"{HEAD}  other: {{type: text, description: x, references: one.id}}\n"
    with pytest.raises(InputError, match="circle"):
        load_dictionary(folder(tmp_path, one=one, two=two))


def test_a_changeable_lookup_of_a_parent_is_refused(tmp_path: Path) -> None:
    parent = f"{HEAD}  shade: {{type: text, description: x, lookup: colour}}\n"
    child = f"{HEAD}  paint_id: {{type: text, description: x, references: paint.id}}\n"
    with pytest.raises(InputError, match="DuckDB"):
        load_dictionary(folder(tmp_path, paint=parent, wall=child))


def test_an_unknown_table_or_column_is_named_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="patients"):
        load_dictionary().table("patient")
    with pytest.raises(InputError, match="la_volume_ml"):
        load_dictionary().column("la_measurements", "volume")
