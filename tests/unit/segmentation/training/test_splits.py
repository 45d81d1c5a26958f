from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.errors import InputError
from la_outcomes.segmentation.training.accepted import LabelCase
from la_outcomes.segmentation.training.splits import five_folds, make_splits, split_cases


def _cases(patients: str, *, cohort: str = "training", anatomies: str = "") -> list[LabelCase]:
    names = anatomies or " " * len(patients)
    return [
        LabelCase(f"{patient}{n}", patient, cohort, "", anatomy.strip(), Path("ct"), Path("label"))
        for n, (patient, anatomy) in enumerate(zip(patients, names, strict=True))
    ]


def test_the_internal_validation_cohort_validates() -> None:
    cases = _cases("abc") + _cases("de", cohort="internal_validation")
    split = split_cases(cases, seed=0)
    assert split.train == ("a0", "b1", "c2")
    assert split.validation == ("d0", "e1")


def test_without_it_patients_are_drawn_whole_and_by_seed() -> None:
    cases = _cases("aabbccddeeffgghhiijj")
    split = split_cases(cases, seed=3)
    assert split == split_cases(cases, seed=3)
    assert {c[0] for c in split.train}.isdisjoint(c[0] for c in split.validation)
    assert len(split.validation) == 4
    assert len({split_cases(cases, seed=seed).validation for seed in range(8)}) > 1


def test_anatomies_never_stand_on_both_sides() -> None:
    cases = _cases("abcd", anatomies="XYZX") + _cases("ef", cohort="internal_validation", anatomies="YW")
    split = split_cases(cases, seed=0)
    assert split.train == ("a0", "c2", "d3")
    assert split.note == "anatomies are kept apart"


def test_one_anatomy_for_all_is_told_in_the_note() -> None:
    cases = _cases("abc", anatomies="XXX") + _cases("d", cohort="internal_validation", anatomies="X")
    split = split_cases(cases, seed=0)
    assert (split.train, split.validation) == (("a0", "b1", "c2"), ("d0",))
    assert "optimistic" in split.note


def test_validation_that_leaves_nothing_to_train_is_drawn_again() -> None:
    cases = _cases("ab", anatomies="XY") + _cases("cd", cohort="internal_validation", anatomies="XY")
    split = split_cases(cases, seed=0)
    anatomy = {case.case_id: case.anatomy for case in cases}
    assert {anatomy[c] for c in split.train}.isdisjoint(anatomy[c] for c in split.validation)
    assert len(split.train) == len(split.validation) == 2


def test_one_patient_is_not_enough() -> None:
    with pytest.raises(InputError, match="one patient"):
        split_cases(_cases("aa"), seed=0)


def test_each_case_validates_one_of_five_folds_and_trains_the_others() -> None:
    cases = _cases("aabcdefghij") + _cases("kl", cohort="internal_validation")
    names = {case.case_id for case in cases}
    splits = five_folds(cases, seed=3)
    assert sorted(case for split in splits for case in split.validation) == sorted(names)
    for split in splits:
        assert set(split.train) == names - set(split.validation)
        assert 2 <= len(split.validation) <= 3
        held = {case[0] for case in split.validation}
        assert held.isdisjoint({case[0] for case in split.train})
    assert splits == five_folds(cases, seed=3) != five_folds(cases, seed=4)


def test_folds_keep_anatomies_apart_where_there_are_five_and_say_so_where_not() -> None:
    many = five_folds(_cases("abcdefghij", anatomies="1122334455"), seed=0)
    anatomy = dict(zip("abcdefghij", "1122334455", strict=True))
    for split in many:
        assert {anatomy[c[0]] for c in split.train}.isdisjoint(anatomy[c[0]] for c in split.validation)
    assert many[0].note == "five folds; anatomies are kept apart"
    few = five_folds(_cases("abcdefghij", anatomies="1122334444"), seed=0)
    assert "share a few anatomies: validation scores are optimistic" in few[0].note
    assert min(len(split.validation) for split in few) == 2


def test_five_folds_need_five_patients() -> None:
    with pytest.raises(InputError, match="fewer than 5 patients"):
        make_splits(_cases("aabbccdd"), seed=0, folds=5)
    assert len(make_splits(_cases("aabbccdd"), seed=0, folds=1)) == 1
