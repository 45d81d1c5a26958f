"""The dictionary says how each column is simulated, and simulated values keep to its ranges."""

from __future__ import annotations

import duckdb
import pytest

from la_outcomes.bulk import BulkShard, read_bulk
from la_outcomes.cli.main import run
from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry.rules import plausible_rules, row_rules

TOLD_BY_SOURCE = ("computed", "simulator", "bundle", "registry", "label or import-volumes")


@pytest.fixture(scope="module")
def bulks(tmp_path_factory: pytest.TempPathFactory) -> list[BulkShard]:
    out = tmp_path_factory.mktemp("simulated")
    assert run(["simulate", "--out", str(out), "--patients", "300", "--seed", "1", "--no-images"]) == 0
    return [read_bulk(path) for path in sorted((out / "shards").glob("*.parquet"))]


def test_each_simulated_column_says_how(bulks: list[BulkShard]) -> None:
    silent = []
    for bulk in bulks:
        rows, table = bulk.rows, load_dictionary().table(bulk.table)
        for column in (table.columns[name] for name in bulk.columns):
            is_key = column.name in table.primary_key or column.references or column.identifies == "pseudonym"
            by_source = (column.source or "").startswith(TOLD_BY_SOURCE) and not column.plausible
            is_truth = bulk.table == "simulation_truth"
            is_filled = rows[column.name].null_count < rows.num_rows
            if is_filled and not (is_key or by_source or is_truth or column.simulated):
                silent.append(f"{bulk.table}.{column.name}")
    assert silent == []


def test_simulated_values_are_possible_and_nearly_all_plausible(bulks: list[BulkShard]) -> None:
    n_rules = 0
    for bulk in bulks:
        rows, table = bulk.rows, load_dictionary().table(bulk.table)
        assert rows.num_rows
        for rules, share in ((row_rules(table), 0.0), (plausible_rules(table), 0.02)):
            for rule in (rule for rule in rules if rule.column in bulk.columns):
                query = f"SELECT count(*) FROM rows WHERE NOT ({rule.condition})"
                ((n,),) = duckdb.connect().execute(query).fetchall()
                assert n <= share * rows.num_rows, f"{bulk.table}.{rule.column}: {rule.description}"
                n_rules += 1
    assert n_rules > 50
