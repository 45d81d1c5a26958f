"""A frozen cohort says that nothing changed, or what did; it holds through rebuild and restore."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry_shards import measurement_rows, put, run_at

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError, UsageError
from la_outcomes.registry.backup import backup, restore
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.freezing import compare, freeze, frozen_cohorts
from la_outcomes.registry.ingest import ingest, rebuild
from la_outcomes.registry.withdrawal.erase import erase

POPULATION = "cohort = 'clinical' AND la_volume_ml IS NOT NULL"


@pytest.fixture
def out(tmp_path: Path, registry: Path) -> Path:
    folder = tmp_path / "out"
    for i in range(4):
        put(folder, f"p{i}", measurement_rows(run_at(1), f"p{i}", f"p{i}-ct", volume=float(i)))
    ingest([folder], registry)
    freeze(registry, "paper", POPULATION)
    return folder


def test_nothing_changed(out: Path, registry: Path, tmp_path: Path) -> None:
    (frozen,) = frozen_cohorts(registry)
    assert (frozen.n, frozen.population, len(frozen.cohort_sha256)) == (4, POPULATION, 64)
    assert set(frozen.versions) == {"package", "commit", "schema", "duckdb"}
    put(out, "other", measurement_rows(run_at(2), "q", "q-ct", cohort="training"))
    ingest([out], registry)
    assert compare(registry, "paper").is_none
    backup(registry, tmp_path / "backup")
    rebuild([out], registry)
    assert compare(registry, "paper").is_none
    restore(tmp_path / "backup", registry, replace=True)
    assert compare(registry, "paper").is_none


def test_a_changed_value_is_named_with_its_column(out: Path, registry: Path) -> None:
    outcome = {"patient_id": "p2", "valid_from": "2026-02-01T00:00:00", "mrs_3m": 3}
    put(out, "outcome", {"outcomes": [outcome]})
    ingest([out], registry)
    difference = compare(registry, "paper")
    assert (difference.changed, difference.columns) == (["p2"], ["mrs_3m"])
    assert (difference.gone, difference.joined, difference.n_erased) == ([], [], 0)


def test_who_left_and_who_joined(out: Path, registry: Path) -> None:
    review = {
        "target_kind": "scan",
        "target_id": "p1-ct",
        "reviewer": "a",
        "pass_no": 1,
        "decision": "reject",
    }
    put(out, "review", {"qc_reviews": [review | {"reviewed_at": "2026-02-01T00:00:00"}]})
    put(out, "new", measurement_rows(run_at(2), "p9", "p9-ct"))
    ingest([out], registry)
    difference = compare(registry, "paper")
    assert (difference.gone, difference.joined, difference.changed) == (["p1"], ["p9"], ["p1"])


def test_an_erased_patient_is_counted_and_not_named(out: Path, registry: Path) -> None:
    erase("p3", registry, [out])
    difference = compare(registry, "paper")
    assert (difference.n_erased, difference.changed, difference.gone) == (1, [], [])
    with open_read_only(registry) as connection:
        assert connection.execute("SELECT count(*) FROM frozen_patients").fetchall() == [(3,)]


def test_a_frozen_cohort_is_a_population(
    out: Path, registry: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sql = (
        "SELECT count(*) AS n FROM analysis_cohort WHERE patient_id IN"
        " (SELECT patient_id FROM frozen_patients WHERE freeze_name = 'paper')"
    )
    assert run(["query", sql, "--registry", str(registry), "--csv"]) == 0
    assert capfd.readouterr().out == '"n"\n4\n'


def test_names_and_populations_that_cannot_be(out: Path, registry: Path) -> None:
    with pytest.raises(UsageError, match="frozen before"):
        freeze(registry, "paper")
    with pytest.raises(UsageError, match="no condition"):
        freeze(registry, "other", "age >> 3")
    with pytest.raises(UsageError, match="no condition"):
        freeze(registry, "other", "TRUE) OR (TRUE); --")
    with pytest.raises(UsageError, match="no patient"):
        freeze(registry, "other", "la_volume_ml > 100")
    with pytest.raises(InputError, match="no frozen cohort"):
        compare(registry, "other")


def test_the_verb_and_its_exit_codes(out: Path, registry: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--registry", str(registry)]
    assert run(["freeze", "all", *given]) == 0
    assert run(["freeze", "paper", "--check", *given]) == 0
    assert "nothing changed: 4 patients" in capsys.readouterr().out
    assert run(["freeze", "paper", "--check", "--population", "TRUE", *given]) == 2
    put(out, "new", measurement_rows(run_at(2), "p9", "p9-ct"))
    assert run(["ingest", str(out), *given]) == 0
    assert run(["freeze", "all", "--check", *given]) == 5
    assert "new in the population: 1: p9" in capsys.readouterr().out
