"""The work list: order, filters, counts, paging, blinding, second pass."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from review_study import desk_of, measurement

from la_outcomes.registry.database import open_for_writing
from la_outcomes.review.records import Reader
from la_outcomes.review.worklist import KINDS, PAGE_SIZE, Query, WorkList, decisions_on

ANNA, BEN = Reader("anna"), Reader("ben")


def everything(worklist: WorkList, query: Query) -> list[str]:
    pages = worklist.page(query).n_pages
    return [
        row["ref"]
        for page in range(1, pages + 1)
        for row in worklist.page(Query(query.kind, query.chosen, query.text, page)).rows
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_worst_first_and_each_once_over_all_pages(list_registry: Path, kind: str) -> None:
    worklist = desk_of(list_registry, ANNA).worklist
    first = worklist.page(Query(kind))
    assert (first.n, first.n_pages, len(first.rows)) == (400, 8, PAGE_SIZE)
    refs = everything(worklist, Query(kind))
    assert len(refs) == len(set(refs)) == 400
    concerns = [worklist.item(ref)["concern"] for ref in refs[::40]]  # type: ignore[index]
    assert concerns == sorted(concerns, reverse=True)
    assert worklist.page(Query(kind, page=999)).query.page == 8


def test_counts_are_what_choosing_gives(list_registry: Path) -> None:
    desk = desk_of(list_registry, ANNA)
    for row, decision in zip(desk.worklist.page(Query()).rows, ("accept", "unsure") * 5, strict=False):
        desk.decide(row, {"decision": decision})
    for chosen in ({}, {"cohort": "training"}, {"cohort": "clinical", "manufacturer": "unknown"}):
        page = desk.worklist.page(Query(chosen=chosen))
        for facet, counts in page.counts.items():
            for value, n in counts.items():
                assert desk.worklist.page(Query(chosen={**chosen, facet: value})).n == n, (facet, value)
    assert desk.worklist.page(Query()).counts["state"] == {
        "open": 390, "reviewed": 10, "accept": 5, "unsure": 5,
    }  # fmt: skip
    assert desk.worklist.page(Query(text="P001")).n == 10


def test_a_value_nobody_offers_matches_nothing(list_registry: Path) -> None:
    worklist = desk_of(list_registry, ANNA).worklist
    for chosen in ({"state": "'; DROP TABLE item; --"}, {"cohort": "'"}, {"figure": "x"}, {"seen_by": "%"}):
        assert worklist.page(Query(chosen=chosen)).n == 0
    assert worklist.page(Query(text="%")).n == 0
    assert worklist.page(Query()).n == 400


def test_addresses_keep_what_was_chosen() -> None:
    query = Query.of(
        {"kind": "pseudo_label", "cohort": "training", "page": "3", "nonsense": "1", "text": "a b"}
    )
    assert query.address() == "kind=pseudo_label&cohort=training&text=a+b&page=3"
    assert query.address(page=2) == "kind=pseudo_label&cohort=training&text=a+b&page=2"
    assert query.address(cohort=None) == "kind=pseudo_label&text=a+b"
    assert Query.of({"kind": "other", "page": "-1"}) == Query()


def test_the_next_case_is_the_next_open_one_and_starts_again_at_the_top(list_registry: Path) -> None:
    desk = desk_of(list_registry, ANNA)
    rows = desk.worklist.page(Query()).rows
    desk.decide(rows[1], {"decision": "accept"})
    assert desk.worklist.neighbours(Query(), rows[0]) == (None, rows[2]["ref"])
    assert desk.worklist.neighbours(Query(), rows[2]) == (rows[1]["ref"], rows[3]["ref"])
    last = desk.worklist.item(everything(desk.worklist, Query())[-1])
    assert last is not None
    assert desk.worklist.neighbours(Query(), last)[1] == rows[0]["ref"]
    cohort = Query(chosen={"cohort": rows[0]["cohort"], "state": "open"})
    following = desk.worklist.item(str(desk.worklist.neighbours(cohort, rows[0])[1]))
    assert following is not None
    assert following["cohort"] == rows[0]["cohort"]


def test_reviewers_are_blinded_to_each_other(list_registry: Path) -> None:
    anna = desk_of(list_registry, ANNA)
    row = anna.worklist.page(Query()).rows[0]
    anna.decide(row, {"decision": "reject", "reason": "LA missed", "comment": "none of your business"})
    ben = desk_of(list_registry, BEN)
    seen = ben.worklist.item(row["ref"])
    assert seen is not None
    assert (seen["decision"], seen["said_reason"], seen["comment"], seen["seen_by"]) == (
        None, None, None, ["anna"],
    )  # fmt: skip
    page = ben.worklist.page(Query())
    assert page.counts["state"] == {"open": 400, "reviewed": 0}
    assert page.n_reviewed == 0
    ben.decide(seen, {"decision": "accept"})
    assert ben.worklist.page(Query(chosen={"state": "disputed"})).n == 400, "not for him to ask"
    boss = desk_of(list_registry, Reader("boss", is_adjudicator=True))
    assert boss.worklist.page(Query(chosen={"state": "disputed"})).n == 1
    said = decisions_on(boss.study.catalogue, row["kind"], row["target_id"])
    assert [(r["reviewer"], r["decision"]) for r in said] == [("anna", "reject"), ("ben", "accept")]


def test_the_second_pass_brings_back_its_percentage_without_the_first_decision(list_registry: Path) -> None:
    desk = desk_of(list_registry, ANNA)
    for row in desk.worklist.page(Query()).rows[:37]:
        desk.decide(row, {"decision": "accept"})
    desk_of(list_registry, BEN).decide(row, {"decision": "accept"})
    again = desk_of(list_registry, Reader("anna", pass_no=2), resample=20)
    page = again.worklist.page(Query())
    assert page.n == math.ceil(0.2 * 37) == 8
    assert all(row["decision"] is None for row in page.rows)
    drawn = {row["ref"] for row in page.rows}
    again.decide(page.rows[0], {"decision": "unsure"})
    once_more = desk_of(list_registry, Reader("anna", pass_no=2), resample=20)
    assert {row["ref"] for row in once_more.worklist.page(Query()).rows} == drawn
    assert once_more.worklist.page(Query()).n_reviewed == 1
    assert desk_of(list_registry, Reader("ben", pass_no=2), resample=20).worklist.page(Query()).n == 1
    assert desk_of(list_registry, Reader("cleo", pass_no=2), resample=100).worklist.page(Query()).n == 0


@pytest.mark.parametrize(
    ("gone", "left"), list(zip(("la_measurements", "pseudo_labels"), KINDS[::-1], strict=True))
)
def test_a_study_with_one_kind_only(list_registry: Path, gone: str, left: str) -> None:
    """Columns of the other kind hold nothing then, whose type must be known all the same."""
    with open_for_writing(list_registry) as connection:
        connection.execute(f"DELETE FROM {gone}")
    worklist = desk_of(list_registry, ANNA).worklist
    assert [worklist.page(Query(kind)).n for kind in KINDS] == [400 * (kind == left) for kind in KINDS]


def test_only_what_a_network_measured_is_listed(registry: Path) -> None:
    worklist = desk_of(registry, ANNA).worklist
    rows = worklist.page(Query()).rows
    assert {row["target_id"] for row in rows} == {measurement(i) for i in range(3)}
