"""Which volume, label and rating counts; one row a patient whatever is in the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from registry_shards import MODEL, OTHER_MODEL

from la_outcomes.registry.database import open_for_writing

PARAMETERS = "f" * 64


class Filled:
    """A registry open for writing, with short ways to put rows in."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        for hour in (1, 2):
            self.add("runs", run_id=f"run{hour}", command="segment", started_at=f"2026-01-01 0{hour}:00:00")
        self.add("models", model_sha256=MODEL, name="net", kind="segmentation", is_active=True)
        self.add("patients", patient_id="p1", cohort="clinical")

    def add(self, table: str, **values: Any) -> None:
        marks = ", ".join("?" for _ in values)
        self.connection.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", [*values.values()]
        )

    def ct(self, name: str, day: float | None = 0, **more: Any) -> None:
        more = {"patient_id": "p1", "modality": "CT"} | more
        self.add("scans", scan_id=name, days_from_onset=day, **more)

    def measure(
        self, scan: str, volume: float | None, model: str = MODEL, run: str = "run1", **more: Any
    ) -> None:
        reason = "motion" if volume is None else None
        more = {"parameters_sha256": PARAMETERS} | more
        self.add(
            "la_measurements",
            scan_id=scan,
            model_sha256=model,
            la_volume_ml=volume,
            not_measured_reason=reason,
            run_id=run,
            **more,
        )

    def review(
        self, kind: str, target: str, decision: str, reviewer: str = "a", hour: int = 1, **more: Any
    ) -> None:
        self.add(
            "qc_reviews",
            target_kind=kind,
            target_id=target,
            reviewer=reviewer,
            pass_no=1,
            reviewed_at=f"2026-02-01 0{hour}:00:00",
            decision=decision,
            reason="infarct",
            **more,
        )

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql).fetchall()

    def current(self) -> tuple[Any, ...]:
        (row,) = self.ask("SELECT scan_id, la_volume_ml, not_measured_reason FROM current_la_volume")
        return row


@pytest.fixture
def filled(registry: Path):  # type: ignore[no-untyped-def]
    with open_for_writing(registry) as connection:
        yield Filled(connection)


def test_the_earliest_measured_ct_counts(filled: Filled) -> None:
    for name, day, volume in (
        ("late", 5, 3.0),
        ("first", 0, None),
        ("second", 1, 2.0),
        ("undated", None, 9.0),
    ):
        filled.ct(name, day)
        filled.measure(name, volume)
    assert filled.current() == ("second", 2.0, None)


def test_nothing_measured_gives_the_reason_of_the_earliest_ct(filled: Filled) -> None:
    filled.ct("first", 0)
    filled.ct("second", 1)
    filled.measure("second", None)
    filled.measure("first", None)
    assert filled.current() == ("first", None, "motion")


@pytest.mark.parametrize(
    ("scans", "reason"),
    [
        ([], "no CT"),
        ([{"modality": "FLAIR"}], "no CT"),
        ([{"is_contrast_enhanced": True}], "no CT without contrast agent"),
        ([{}], "CT not processed by an active model"),
    ],
)
def test_why_there_is_no_measurement(filled: Filled, scans: list[dict[str, Any]], reason: str) -> None:
    for i, more in enumerate(scans):
        filled.ct(f"s{i}", **more)
    assert filled.current()[1:] == (None, reason)


def test_contrast_and_inactive_models_never_count(filled: Filled) -> None:
    filled.add("models", model_sha256=OTHER_MODEL, name="old", kind="segmentation", is_active=False)
    filled.ct("contrast", 0, is_contrast_enhanced=True)
    filled.ct("plain", 1)
    filled.measure("contrast", 7.0)
    filled.measure("plain", 8.0, OTHER_MODEL)
    assert filled.current() == ("plain", None, "CT not processed by an active model")


def test_a_network_goes_before_an_imported_volume_unless_it_failed(filled: Filled) -> None:
    filled.add("models", model_sha256=OTHER_MODEL, name="tool", kind="imported", is_active=True)
    filled.ct("first", 0)
    filled.ct("second", 1)
    filled.measure("first", 4.0, OTHER_MODEL)
    filled.measure("second", 5.0)
    assert filled.current() == ("second", 5.0, None)
    filled.connection.execute(
        "UPDATE la_measurements SET la_volume_ml = NULL, not_measured_reason = 'motion'"
        " WHERE la_volume_ml = 5"
    )
    assert filled.current() == ("first", 4.0, None)


def test_zero_is_a_volume(filled: Filled) -> None:
    filled.ct("first")
    filled.measure("first", 0.0)
    assert filled.current() == ("first", 0.0, None)


def test_the_latest_run_of_a_model_counts(filled: Filled) -> None:
    filled.ct("first")
    filled.measure("first", 2.0, run="run2", parameters_sha256="2" * 64)
    filled.measure("first", 1.0, run="run1", parameters_sha256="1" * 64)
    assert filled.current() == ("first", 2.0, None)


MEASUREMENT = f"first|{MODEL}|{PARAMETERS}"


@pytest.mark.parametrize(
    ("reviews", "volume"),
    [
        ([("la_measurement", MEASUREMENT, "reject", "a", 1, False)], None),
        ([("scan", "first", "reject", "a", 1, False)], None),
        ([("la_measurement", MEASUREMENT, "unsure", "a", 1, False)], 5.0),
        ([("la_measurement", f"first|{OTHER_MODEL}|{PARAMETERS}", "reject", "a", 1, False)], 5.0),
        (
            [
                ("la_measurement", MEASUREMENT, "reject", "a", 1, False),
                ("la_measurement", MEASUREMENT, "accept", "a", 2, False),
            ],
            5.0,
        ),
        (
            [
                ("la_measurement", MEASUREMENT, "reject", "boss", 1, True),
                ("la_measurement", MEASUREMENT, "accept", "a", 2, False),
            ],
            None,
        ),
    ],
)
def test_the_decision_that_counts(
    filled: Filled, reviews: list[tuple[Any, ...]], volume: float | None
) -> None:
    filled.ct("first")
    filled.measure("first", 5.0)
    for kind, target, decision, reviewer, hour, is_adjudicator in reviews:
        filled.review(kind, target, decision, reviewer, hour, is_adjudicator=is_adjudicator)
    scan, found, reason = filled.current()
    assert (scan, found) == ("first", volume)
    assert (reason is None) == (volume is not None)


def test_a_decision_taken_back_gives_way_to_the_one_before(filled: Filled) -> None:
    filled.ct("first")
    filled.measure("first", 5.0)
    filled.review("la_measurement", MEASUREMENT, "reject", hour=1)
    filled.review("la_measurement", MEASUREMENT, "accept", hour=2)
    assert filled.current() == ("first", 5.0, None)
    filled.review("la_measurement", MEASUREMENT, "withdrawn", hour=3, undoes="2026-02-01 02:00:00")
    assert filled.current() == ("first", None, "rejected on review: infarct")
    filled.review("la_measurement", MEASUREMENT, "withdrawn", hour=4, undoes="2026-02-01 01:00:00")
    assert filled.current() == ("first", 5.0, None)
    assert filled.ask("SELECT count(*) FROM reviewer_decision") == [(0,)]


def test_nobody_takes_back_anothers_decision(filled: Filled) -> None:
    filled.ct("first")
    filled.measure("first", 5.0)
    filled.review("la_measurement", MEASUREMENT, "reject", "a", hour=1)
    filled.review("la_measurement", MEASUREMENT, "withdrawn", "b", hour=2, undoes="2026-02-01 01:00:00")
    assert filled.current()[1] is None


def test_a_rejected_scan_takes_its_label_along_with_the_reason(filled: Filled) -> None:
    filled.ct("ct")
    filled.add("scans", scan_id="fl", patient_id="p1", modality="FLAIR")
    filled.add("pairs", ct_scan_id="ct", flair_scan_id="fl")
    filled.add(
        "pseudo_labels", ct_scan_id="ct", flair_scan_id="fl", parameters_sha256=PARAMETERS,
        label_volume_ml=2.0, status="accepted",
    )  # fmt: skip
    for target in ("ct", "fl"):
        filled.review("scan", target, "reject")
    found = filled.ask("SELECT is_usable, reason FROM pair_label")
    assert found == [(False, "scan rejected on review: infarct")]
    flow = filled.ask("SELECT reason, n FROM cohort_flow WHERE step = 'pseudo-label usable'")
    assert flow == [("scan rejected on review: infarct", 1)]


def test_a_rating_taken_back_leaves_the_other_raters(filled: Filled) -> None:
    filled.ct("ct")
    filled.add("fazekas_ratings", scan_id="ct", rater="a", pass_no=1, rated_at="2026-02-01 01:00:00")
    filled.add(
        "fazekas_ratings", scan_id="ct", rater="b", pass_no=1, fazekas_periventricular=1, fazekas_deep=2
    )
    assert filled.ask("SELECT fazekas_max_r1, fazekas_max_r2, fazekas_max FROM patient_fazekas") == [
        (None, 2, 2)
    ]


def test_one_row_a_patient_with_several_of_everything(filled: Filled) -> None:
    for i in range(3):
        filled.ct(f"ct{i}", i, manufacturer=f"vendor{i}")
        filled.add("scans", scan_id=f"fl{i}", patient_id="p1", modality="FLAIR")
        filled.add("pairs", ct_scan_id=f"ct{i}", flair_scan_id=f"fl{i}", days_between=5 - i)
        filled.measure(f"ct{i}", 10.0 + i)
        for source in ("mask", "embedded"):
            filled.add(
                "wmh_measurements", scan_id=f"fl{i}", source=source, parameters_sha256="x", wmh_volume_ml=i
            )
        for rater in ("r1", "r2", "r3"):
            for pass_no in (1, 2):
                filled.add(
                    "fazekas_ratings",
                    scan_id=f"ct{i}",
                    rater=rater,
                    pass_no=pass_no,
                    fazekas_periventricular=i,
                    fazekas_deep=int(rater == "r2"),
                )
    for table in ("clinical", "outcomes"):
        filled.add(table, patient_id="p1", valid_from="2026-01-01", superseded_by="2026-01-02")
        filled.add(table, patient_id="p1", valid_from="2026-01-02")
    found = filled.ask(
        "SELECT scan_id, manufacturer, la_volume_ml, wmh_volume_ml, fazekas_max_r1, fazekas_max_r2,"
        " fazekas_max, fazekas_total FROM analysis_cohort"
    )
    assert found == [("ct0", "vendor0", 10.0, 0.0, 0, 1, 0, 0)]
    assert filled.ask("SELECT count(*) FROM agreement_pairs") == [(3,)]


def test_a_fazekas_maximum_needs_both_scores(filled: Filled) -> None:
    filled.ct("first")
    filled.add("fazekas_ratings", scan_id="first", rater="r1", pass_no=1, fazekas_periventricular=3)
    filled.add(
        "fazekas_ratings", scan_id="first", rater="r2", pass_no=1, fazekas_periventricular=1, fazekas_deep=2
    )
    found = filled.ask(
        "SELECT fazekas_max_r1, fazekas_max_r2, fazekas_periventricular, fazekas_max FROM analysis_cohort"
    )
    assert found == [(None, 2, 3, None)]


@pytest.mark.parametrize(
    ("status", "decision", "usable"),
    [
        ("accepted", None, True),
        ("accepted", "reject", False),
        ("review", None, False),
        ("review", "accept", True),
        ("review", "unsure", False),
        ("failed", "accept", False),
    ],
)
def test_which_label_can_be_used(filled: Filled, status: str, decision: str | None, usable: bool) -> None:
    filled.ct("ct")
    filled.measure("ct", 4.0)
    filled.add("scans", scan_id="fl", patient_id="p1", modality="FLAIR")
    filled.add("pairs", ct_scan_id="ct", flair_scan_id="fl")
    filled.add(
        "pseudo_labels",
        ct_scan_id="ct",
        flair_scan_id="fl",
        parameters_sha256=PARAMETERS,
        label_volume_ml=3.0,
        status=status,
        reason="blurred",
    )
    filled.add(
        "segmentation_scores",
        scan_id="ct",
        model_sha256=MODEL,
        reference="label",
        reference_name="pseudo-label",
        dsc=0.7,
    )
    if decision:
        filled.review("pseudo_label", f"ct|fl|{PARAMETERS}", decision)
    found = filled.ask("SELECT la_volume_ml, label_volume_ml, dsc, label_is_usable FROM agreement_pairs")
    assert found == [(4.0, 3.0 if usable else None, 0.7 if usable else None, usable)]


def test_cohort_flow_adds_up(filled: Filled) -> None:
    for i, volume in enumerate((1.0, None, 2.0), start=2):
        filled.add("patients", patient_id=f"p{i}", cohort="clinical")
        filled.ct(f"ct{i}", patient_id=f"p{i}")
        filled.measure(f"ct{i}", volume)
    filled.add("outcomes", patient_id="p2", valid_from="2026-01-01", mrs_3m=2)
    found = filled.ask("SELECT step, reason, n FROM cohort_flow")
    assert found == [
        ("patients", None, 4),
        ("non-contrast CT", None, 3),
        ("non-contrast CT", "no CT", 1),
        ("LA volume measured", None, 2),
        ("LA volume measured", "motion", 1),
        ("paired with a FLAIR", "no pair", 4),
        ("3-month mRS known", None, 1),
        ("3-month mRS known", "3-month mRS missing", 1),
    ]
