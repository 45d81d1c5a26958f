"""From a decision to the registry: shards, undo, corrections, rejected volumes and labels, kappa."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from review_study import desk_of, label, measurement, scan_id

from la_outcomes.analysis.kappa import weighted_kappa
from la_outcomes.errors import InputError
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.ingest import ingest, rebuild
from la_outcomes.review.desk import Desk
from la_outcomes.review.grades import GradeQuery
from la_outcomes.review.reasons import REASONS
from la_outcomes.review.records import Reader, Recorder
from la_outcomes.review.worklist import KINDS, Query

ANNA = Reader("anna")
QUERIES = Path(__file__).parents[3] / "analyses" / "queries"


def item_of(desk: Desk, target: str) -> dict[str, Any]:
    (row,) = desk.study.catalogue.ask("FROM item WHERE target_id = $target", {"target": target})
    found = desk.worklist.item(row["ref"])
    assert found is not None
    return found


def after_ingest(registry: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    assert not ingest([imports_folder(registry)], registry).faults
    with open_read_only(registry) as connection:
        return connection.execute(sql, list(values)).fetchall()


def test_a_rejected_volume_leaves_the_cohort_with_its_reason_and_the_flow_counts_it(registry: Path) -> None:
    desk = desk_of(registry, ANNA)
    desk.decide(
        item_of(desk, measurement(1)),
        {"decision": "reject", "reason": "infarct taken for LA", "comment": " left \x00 frontal\n"},
    )
    volumes = after_ingest(
        registry,
        "SELECT patient_id, la_volume_ml IS NULL, not_measured_reason FROM analysis_cohort ORDER BY 1",
    )
    assert volumes == [
        ("p0000", False, None),
        ("p0001", True, "rejected on review: infarct taken for LA"),
        ("p0002", False, None),
    ]
    flow = after_ingest(
        registry, "SELECT reason, n FROM cohort_flow WHERE step = 'LA volume measured' AND reason IS NOT NULL"
    )
    assert flow == [("rejected on review: infarct taken for LA", 1)]
    assert after_ingest(registry, "SELECT comment, reviewer, pass_no FROM qc_reviews") == [
        ("left frontal", "anna", 1)
    ]


def test_a_rejected_label_leaves_the_training_set(registry: Path) -> None:
    desk = desk_of(registry, ANNA)
    desk.decide(item_of(desk, label(0)), {"decision": "reject", "reason": "coregistration is off"})
    usable = after_ingest(registry, "SELECT ct_scan_id FROM pair_label WHERE is_usable")
    assert scan_id(0) not in {row[0] for row in usable}


def test_an_unusable_scan_takes_everything_made_of_it_along(registry: Path) -> None:
    desk = desk_of(registry, ANNA)
    said = {"decision": "reject", "reason": "motion or metal artefact", "with_scan": True}
    desk.decide(item_of(desk, measurement(2)), said)
    (volume,) = after_ingest(registry, "SELECT la_volume_ml FROM analysis_cohort WHERE patient_id = 'p0002'")
    (usable,) = after_ingest(registry, "SELECT is_usable FROM pair_label WHERE ct_scan_id = ?", scan_id(2))
    assert (volume, usable) == ((None,), (False,))
    desk.take_back_decision()
    (volume,) = after_ingest(registry, "SELECT la_volume_ml FROM analysis_cohort WHERE patient_id = 'p0002'")
    assert volume[0] > 0


@pytest.mark.parametrize(
    "said",
    [
        {"decision": "delete"},
        {"decision": "withdrawn"},
        {"decision": "reject"},
        {"decision": "reject", "reason": "because"},
        {"decision": "accept", "reason": 5},
        {"decision": "accept", "with_scan": True},
        {"decision": "unsure", "comment": "x" * 501},
        {},
    ],
)
def test_what_is_not_offered_is_refused_and_nothing_written(registry: Path, said: dict[str, Any]) -> None:
    desk = desk_of(registry, ANNA)
    with pytest.raises(InputError):
        desk.decide(item_of(desk, measurement(0)), said)
    assert not list(imports_folder(registry).glob("shards/*"))


def test_every_reason_is_offered_once() -> None:
    assert set(REASONS) == set(KINDS)
    for reasons in REASONS.values():
        assert 6 <= len(reasons) <= 9, "a digit each"
        assert len(set(reasons)) == len(reasons)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["accept", "unsure", "undo"])), max_size=12))
def test_undo_is_a_stack_and_the_registry_tells_the_same(
    made_study: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("undo")
    registry = Path(shutil.copy2(made_study, folder / "study.duckdb"))
    desk, stack = desk_of(registry, ANNA), []
    for number, action in steps:
        if action == "undo":
            undone = desk.take_back_decision()
            expected = stack.pop()[0] if stack else None
            assert undone == (item_of(desk, measurement(expected))["ref"] if expected is not None else None)
        else:
            desk.decide(item_of(desk, measurement(number)), {"decision": action})
            stack.append((number, action))
    standing = {measurement(number): action for number, action in stack}
    listed = {r["target_id"]: r["decision"] for r in desk.worklist.page(Query()).rows if r["decision"]}
    assert listed == standing
    if steps and list(imports_folder(registry).glob("shards/*")):
        told = dict(after_ingest(registry, "SELECT target_id, decision FROM reviewer_decision"))
        assert told == standing
        written = len(list(imports_folder(registry).glob("shards/review-*")))
        assert after_ingest(registry, "SELECT count(*) FROM qc_reviews") == [(written,)], "appended only"


def test_another_process_and_a_rebuild_know_the_same(registry: Path) -> None:
    desk = desk_of(registry, ANNA)
    desk.decide(item_of(desk, measurement(0)), {"decision": "accept"})
    desk.grade(scan_id(0), {"fazekas_periventricular": 2, "fazekas_deep": 1})
    other = desk_of(registry, ANNA)
    assert item_of(other, measurement(0))["decision"] == "accept"
    assert other.gradelist.page(GradeQuery()).n_graded == 1
    before = (
        after_ingest(registry, "SELECT * FROM qc_reviews"),
        after_ingest(registry, "FROM fazekas_ratings"),
    )
    assert item_of(desk_of(registry, ANNA), measurement(0))["decision"] == "accept"
    rebuild([registry.parent / "labels", registry.parent / "results"], registry)
    after = after_ingest(registry, "SELECT * FROM qc_reviews"), after_ingest(registry, "FROM fazekas_ratings")
    assert before == after


def test_a_corrected_grade_replaces_and_one_taken_back_leaves(registry: Path) -> None:
    desk = desk_of(registry, ANNA)
    for grades in ((1, 1), (2, 3), (0, 2)):
        desk.grade(scan_id(1), dict(zip(("fazekas_periventricular", "fazekas_deep"), grades, strict=True)))
    scores = "SELECT fazekas_periventricular, fazekas_deep FROM fazekas_ratings"
    assert after_ingest(registry, scores) == [(0, 2)]
    later = desk_of(registry, ANNA)
    later.grade(scan_id(1), {"fazekas_periventricular": 3, "fazekas_deep": 3})
    assert after_ingest(registry, scores) == [(3, 3)]
    assert later.take_back_grade() is not None
    assert after_ingest(registry, scores) == [(None, None)]
    assert later.take_back_grade() is None
    assert later.gradelist.page(GradeQuery()).n_graded == 0
    assert after_ingest(registry, "SELECT fazekas_max FROM analysis_cohort WHERE patient_id = 'p0001'") == [
        (None,)
    ]


@pytest.mark.parametrize("scores", [(4, 0), (-1, 0), (None, 1), (True, 1), ("1", 1), (1.0, 1)])
def test_grades_are_whole_numbers_from_0_to_3(registry: Path, scores: tuple[Any, Any]) -> None:
    desk = desk_of(registry, ANNA)
    with pytest.raises(InputError):
        desk.grade(scan_id(0), dict(zip(("fazekas_periventricular", "fazekas_deep"), scores, strict=True)))


def test_kappa_in_sql_is_the_package_s(list_registry: Path) -> None:
    """Two reviewers on accept, reject, unsure, and a second look of one, as ``weighted_kappa`` has it."""
    rng, said = np.random.default_rng(3), {}
    desks = {
        name: desk_of(list_registry, Reader(name.rstrip("2"), 2 if name.endswith("2") else 1), 100)
        for name in ("anna", "ben", "anna2")
    }
    rows = desks["anna"].worklist.page(Query()).rows[:40]
    truth = rng.choice(["accept", "reject", "unsure"], 40, p=[0.6, 0.3, 0.1])
    for name, desk in desks.items():
        said[name] = [t if rng.random() < 0.7 else str(rng.choice(["accept", "reject"])) for t in truth]
        for row, decision in zip(rows, said[name], strict=True):
            reason = "LA missed" if decision == "reject" else None
            desk.decide(row, {"decision": str(decision), "reason": reason})
    between = after_ingest(list_registry, (QUERIES / "16_reviewers_who_agree.sql").read_text())
    within = after_ingest(list_registry, (QUERIES / "17_reviewers_second_look.sql").read_text())
    categories = ["accept", "reject", "unsure"]
    for (first, second), found in ((("anna", "ben"), between[0]), (("anna", "anna2"), within[0])):
        expected = weighted_kappa(said[first], said[second], categories, None)
        assert found[-3:] == (40, round(expected.observed, 3), round(expected.kappa, 3))
    counts = after_ingest(list_registry, (QUERIES / "20_rejected_on_review.sql").read_text())
    assert counts[0][:2] == ("la_measurement", "LA missed")


def test_quadratic_kappa_in_sql_is_the_package_s(list_registry: Path) -> None:
    rng = np.random.default_rng(5)
    truth, given_scores = rng.integers(0, 4, 40), {}
    for name in ("anna", "ben"):
        desk = desk_of(list_registry, Reader(name))
        given_scores[name] = np.clip(truth + rng.integers(-1, 2, 40), 0, 3)
        for i, score in enumerate(given_scores[name]):
            desk.grade(scan_id(i), {"fazekas_periventricular": int(score), "fazekas_deep": int(truth[i])})
    found = after_ingest(list_registry, (QUERIES / "18_graders_who_agree.sql").read_text())
    expected = weighted_kappa(given_scores["anna"], given_scores["ben"], [0, 1, 2, 3], "quadratic").kappa
    assert {row[0]: row[-1] for row in found} == {
        "fazekas_deep": 1.0,
        "fazekas_periventricular": round(expected, 3),
    }


def test_grading_comes_in_an_order_of_the_raters_own_that_is_not_the_volumes(list_registry: Path) -> None:
    orders = []
    for name in ("anna", "ben"):
        rows = desk_of(list_registry, Reader(name)).gradelist.page(GradeQuery()).rows
        orders.append([row["scan_id"] for row in rows])
        assert not {"la_volume_ml", "concern", "mask_path"} & rows[0].keys()
    assert orders[0] != orders[1]
    catalogue = desk_of(list_registry, ANNA).study.catalogue
    volume = {
        r["scan_id"]: r["la_volume_ml"] for r in catalogue.ask("FROM item WHERE kind = 'la_measurement'", {})
    }
    places = np.argsort(np.argsort([volume[name] for name in orders[0]]))
    assert abs(np.corrcoef(places, np.arange(len(places)))[0, 1]) < 0.4


def test_decisions_of_many_threads_are_all_kept_apart(list_registry: Path) -> None:
    """Four reviewers at once in one server, each on the same thirty cases."""
    recorder = Recorder(list_registry)
    desks = [desk_of(list_registry, Reader(name), recorder=recorder) for name in "abcd"]
    rows = desks[0].worklist.page(Query()).rows[:30]

    def work(desk: Desk) -> None:
        for row in rows:
            desk.decide(row, {"decision": "accept"})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, desks))
    assert after_ingest(
        list_registry, "SELECT reviewer, count(*) FROM reviewer_decision GROUP BY ALL ORDER BY 1"
    ) == [(name, 30) for name in "abcd"]
