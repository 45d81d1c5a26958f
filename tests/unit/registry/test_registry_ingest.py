"""Shards go in once, whole or not at all, by rules that do not depend on the order of arrival."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from registry_shards import MODEL, OTHER_MODEL, measurement_rows, put, run_at

from la_outcomes.bulk import write_bulk
from la_outcomes.errors import InputError
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.ingest import ingest, rebuild


def rows(registry: Path, sql: str) -> list[tuple[Any, ...]]:
    with open_read_only(registry) as connection:
        return connection.execute(sql).fetchall()


def test_a_shard_goes_in_once(tmp_path: Path, registry: Path) -> None:
    put(tmp_path, "one", measurement_rows(run_at(1), cohort="external_test", site="a"))
    assert ingest([tmp_path], registry).n_taken == 1
    again = ingest([tmp_path], registry)
    assert (again.n_taken, again.n_known) == (0, 1)
    assert rows(registry, "SELECT patient_id, cohort, is_simulated FROM patients") == [
        ("p1", "external_test", False)
    ]
    assert rows(registry, "SELECT la_volume_ml, run_id IS NOT NULL FROM la_measurements") == [(5.0, True)]


def test_known_shards_are_not_read_again(tmp_path: Path, registry: Path) -> None:
    path = put(tmp_path, "one", measurement_rows(run_at(1)))
    ingest([tmp_path], registry)
    stat = path.stat()
    path.write_bytes(b"x" * stat.st_size)
    import os

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert ingest([tmp_path], registry).faults == []


def test_a_touched_or_copied_shard_is_the_same_shard(tmp_path: Path, registry: Path) -> None:
    path = put(tmp_path / "a", "one", measurement_rows(run_at(1)))
    ingest([tmp_path / "a"], registry)
    copy = tmp_path / "b" / "shards" / "copy.json"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(path.read_bytes())
    assert ingest([tmp_path / "b"], registry).n_known == 1
    assert rows(registry, "SELECT count(*) FROM ingested") == [(1,)]


def test_damaged_shards_are_named_and_the_others_go_in(tmp_path: Path, registry: Path) -> None:
    half = put(tmp_path, "half", measurement_rows(run_at(1), "p2", "p2-ct"))
    half.write_text(half.read_text()[:200])
    flipped = put(tmp_path, "flipped", measurement_rows(run_at(1), "p3", "p3-ct"))
    flipped.write_text(flipped.read_text().replace("5.0", "6.0"))
    put(tmp_path, "good", measurement_rows(run_at(1)))
    report = ingest([tmp_path], registry)
    assert report.n_taken == 1
    assert sorted(fault.file for fault in report.faults) == sorted([half.name, flipped.name])
    assert rows(registry, "SELECT patient_id FROM patients") == [("p1",)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"la_volume_ml": -1.0}, "la_volume_ml: between 0 and 1000"),
        ({"la_volume_ml": None}, "a volume or the reason"),
        ({"not_measured_reason": "motion"}, "a volume or the reason"),
        ({"la_volume_low_ml": 9.0, "la_volume_high_ml": 3.0}, "lower limit"),
        ({"la_volume_calibrated_low_ml": 9.0, "la_volume_calibrated_high_ml": 3.0}, "lower limit"),
        ({"model_sha256": "c" * 64}, "refer to models the registry does not know"),
        ({"la_volume_ml": "5"}, "no number"),
        ({"volume": 5.0}, "no column volume"),
        ({"cpu_seconds": True}, "no number"),
    ],
)
def test_a_row_against_the_rules_keeps_its_whole_shard_out(
    tmp_path: Path, registry: Path, change: dict[str, Any], said: str
) -> None:
    bad = measurement_rows(run_at(1), "p2", "p2-ct")
    bad["la_measurements"][0] |= change
    put(tmp_path, "bad", bad)
    put(tmp_path, "good", measurement_rows(run_at(1)))
    report = ingest([tmp_path], registry)
    assert [said in fault.reason for fault in report.faults] == [True], report.faults
    assert rows(registry, "SELECT scan_id FROM scans") == [("p1-ct",)]


def test_a_whole_number_that_does_not_fit_is_a_fault(tmp_path: Path, registry: Path) -> None:
    content = measurement_rows(run_at(1))
    content["runs"][0]["seed"] = 2**63
    put(tmp_path, "one", content)
    assert "runs.seed" in ingest([tmp_path], registry).faults[0].reason


def test_an_orphan_is_taken_once_its_parent_is_there(tmp_path: Path, registry: Path) -> None:
    child = measurement_rows(run_at(1))
    parents = {name: child.pop(name) for name in ("patients", "scans")}
    put(tmp_path / "child", "child", child)
    assert "scans" in ingest([tmp_path / "child"], registry).faults[0].reason
    put(tmp_path / "parent", "parent", parents)
    assert ingest([tmp_path / "parent"], registry).n_taken == 1
    assert ingest([tmp_path / "child"], registry).n_taken == 1


def test_parents_and_children_of_one_batch_come_in_any_order(tmp_path: Path, registry: Path) -> None:
    child = measurement_rows(run_at(1))
    put(tmp_path, "parents", {"patients": child.pop("patients"), "scans": child.pop("scans")})
    put(tmp_path, "child", child)
    assert ingest([tmp_path], registry).n_taken == 2


def test_a_refused_parent_takes_its_children_with_it(tmp_path: Path, registry: Path) -> None:
    child = measurement_rows(run_at(1))
    put(tmp_path, "parents", {"patients": [{"patient_id": "p1", "sex": "x"}], "scans": child.pop("scans")})
    child.pop("patients")
    put(tmp_path, "child", child)
    assert len(ingest([tmp_path], registry).faults) == 2
    assert rows(registry, "SELECT count(*) FROM scans") == [(0,)]


LATER, EARLIER, FAILED_LATER = "later", "earlier", "failed later"


@pytest.mark.parametrize("order", list(itertools.permutations([EARLIER, LATER, FAILED_LATER])))
@pytest.mark.parametrize("together", [True, False])
def test_which_of_several_rows_counts(
    tmp_path: Path, registry: Path, order: tuple[str, ...], together: bool
) -> None:
    """The later run's final row wins, whatever arrives first and in however many batches."""
    shards = {
        EARLIER: (measurement_rows(run_at(1), volume=1.0), "done"),
        LATER: (measurement_rows(run_at(2), volume=2.0), "done"),
        FAILED_LATER: (measurement_rows(run_at(3), volume=None, reason="out of memory"), "failed_transient"),
    }
    for name in order:
        content, status = shards[name]
        put(tmp_path / name, name, content, status)
        if not together:
            ingest([tmp_path / name], registry)
    ingest([tmp_path], registry)
    assert rows(registry, "SELECT la_volume_ml, is_transient FROM la_measurements") == [(2.0, False)]


def test_a_passing_failure_stands_until_a_final_row_replaces_it(tmp_path: Path, registry: Path) -> None:
    failed = measurement_rows(run_at(3), volume=None, reason="out of memory")
    put(tmp_path, "failed", failed, "failed_transient")
    assert ingest([tmp_path], registry).n_transient == 1
    assert rows(registry, "SELECT not_measured_reason, is_transient FROM la_measurements") == [
        ("out of memory", True)
    ]
    put(tmp_path, "done", measurement_rows(run_at(1)))
    ingest([tmp_path], registry)
    assert rows(registry, "SELECT la_volume_ml, is_transient FROM la_measurements") == [(5.0, False)]


def test_what_a_later_shard_leaves_out_stays_known(tmp_path: Path, registry: Path) -> None:
    put(tmp_path / "a", "a", measurement_rows(run_at(1), site="centre", sex="female"))
    put(tmp_path / "b", "b", measurement_rows(run_at(2), sex="male"))
    ingest([tmp_path / "a"], registry)
    ingest([tmp_path / "b"], registry)
    assert rows(registry, "SELECT site, sex FROM patients") == [("centre", "male")]


@pytest.mark.parametrize("together", [True, False])
def test_a_patient_cannot_change_its_cohort(tmp_path: Path, registry: Path, together: bool) -> None:
    put(tmp_path / "a", "a", measurement_rows(run_at(1), cohort="training"))
    put(tmp_path / "b", "b", measurement_rows(run_at(2), cohort="external_test", scan="p1-ct2"))
    if not together:
        ingest([tmp_path / "a"], registry)
    report = ingest([tmp_path], registry)
    assert "cohort: p1 is training before, external_test in this shard" in report.faults[0].reason
    assert rows(registry, "SELECT cohort FROM patients") == [("training",)]


def test_one_model_of_a_kind_is_active(tmp_path: Path, registry: Path) -> None:
    put(tmp_path / "a", "a", measurement_rows(run_at(2), model=MODEL))
    put(tmp_path / "b", "b", measurement_rows(run_at(1), model=OTHER_MODEL))
    active = "SELECT model_sha256 FROM models WHERE is_active"
    ingest([tmp_path / "a"], registry)
    ingest([tmp_path / "b"], registry)
    assert rows(registry, active) == [(MODEL,)]
    said = {"models": [{"model_sha256": OTHER_MODEL, "kind": "segmentation", "is_active": True}]}
    put(tmp_path / "c", "c", said, kind="activation")
    ingest([tmp_path / "c"], registry)
    assert rows(registry, active) == [(OTHER_MODEL,)]


def test_versions_point_to_the_next_one(tmp_path: Path, registry: Path) -> None:
    patients = {"patients": [{"patient_id": "p1"}]}
    put(tmp_path, "p", patients)
    for month, mrs in ((3, 4), (1, 2), (2, 3)):
        moment = f"2026-0{month}-01T00:00:00"
        put(tmp_path, str(month), {"outcomes": [{"patient_id": "p1", "valid_from": moment, "mrs_3m": mrs}]})
        ingest([tmp_path], registry)
    assert rows(registry, "SELECT mrs_3m, month(superseded_by) FROM outcomes ORDER BY valid_from") == [
        (2, 2),
        (3, 3),
        (4, None),
    ]
    assert rows(registry, "SELECT mrs_3m FROM analysis_cohort") == [(4,)]


def test_bulk_rows_carry_their_run(tmp_path: Path, registry: Path) -> None:
    run = run_at(1)
    ids = [f"p{i}" for i in range(50)]
    frame = pd.DataFrame({"patient_id": ids, "is_simulated": True, "cohort": "clinical"})
    truth = pd.DataFrame({"patient_id": ids, "tissue_volume_ml": 3.0, "age_years": [None] * 50})
    write_bulk(tmp_path, kind="simulation", table="patients", frame=frame, run=run)
    write_bulk(tmp_path, kind="simulation", table="simulation_truth", frame=truth, run=run)
    report = ingest([tmp_path], registry)
    assert report.rows == {"patients": 50, "runs": 1, "simulation_truth": 50}
    assert rows(registry, "SELECT DISTINCT run_id FROM simulation_truth") == [(run.run_id,)]


def test_a_bulk_shard_cut_short_altered_or_renamed_is_refused(tmp_path: Path, registry: Path) -> None:
    frame = pd.DataFrame({"patient_id": ["p1"]})
    path = write_bulk(tmp_path, kind="k", table="patients", frame=frame, run=run_at(1))
    put(tmp_path, "good", measurement_rows(run_at(1), "p2", "p2-ct"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    report = ingest([tmp_path], registry)
    assert [fault.file for fault in report.faults] == [path.name]
    assert rows(registry, "SELECT patient_id FROM patients") == [("p2",)]


def test_a_frame_that_does_not_fit_the_dictionary_is_refused_when_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mrs_3m"):
        write_bulk(
            tmp_path,
            kind="k",
            table="outcomes",
            frame=pd.DataFrame({"patient_id": ["p"], "mrs_3m": [1.5]}),
            run=run_at(1),
        )
    with pytest.raises(InputError, match="no column 'mrs'"):
        write_bulk(tmp_path, kind="k", table="outcomes", frame=pd.DataFrame({"mrs": [1]}), run=run_at(1))


def test_rebuild_gives_the_same_registry(tmp_path: Path, registry: Path) -> None:
    for hour in (1, 2, 3):
        put(tmp_path, str(hour), measurement_rows(run_at(hour), f"p{hour}", f"p{hour}-ct", float(hour)))
        ingest([tmp_path], registry)
    before = rows(registry, "SELECT * FROM analysis_cohort ORDER BY patient_id")
    registry.write_bytes(registry.read_bytes()[: registry.stat().st_size // 2])
    assert rebuild([tmp_path], registry).n_taken == 3
    assert rows(registry, "SELECT * FROM analysis_cohort ORDER BY patient_id") == before


def test_a_rebuild_that_would_forget_shards_is_refused(tmp_path: Path, registry: Path) -> None:
    for i in (1, 2):
        put(tmp_path / str(i), str(i), measurement_rows(run_at(i), f"p{i}", f"p{i}-ct"))
    ingest([tmp_path], registry)
    with pytest.raises(InputError, match="1 shards of the present registry are not in these folders"):
        rebuild([tmp_path / "1"], registry)
    assert rows(registry, "SELECT count(*) FROM patients") == [(2,)]


def test_nothing_to_ingest_is_an_error_and_so_is_no_folder(tmp_path: Path, registry: Path) -> None:
    with pytest.raises(InputError, match="no result shards"):
        ingest([tmp_path], registry)
    with pytest.raises(InputError, match="no such folder"):
        ingest([tmp_path / "nowhere"], registry)


def test_temporary_files_and_other_json_are_no_shards(tmp_path: Path, registry: Path) -> None:
    path = put(tmp_path, "one", measurement_rows(run_at(1)))
    path.with_name(f".tmp.{path.name}").write_text("half")
    (tmp_path / "other.json").write_text(json.dumps({}))
    assert ingest([tmp_path], registry).faults == []
