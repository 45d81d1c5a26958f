"""No head and no infarct subject on both sides of the split."""

from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.errors import InputError
from la_outcomes.simulation.anatomy import TEMPLATE
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.split import (
    PARTS,
    anatomies_for,
    infarcts_for,
    part_of_anatomy,
    part_of_cohort,
    part_of_infarct,
)

SIXTEEN = [f"training_seg_{n:02d}" for n in range(1, 17)]


def test_the_sixteen_heads_are_split_eleven_two_three() -> None:
    parts = [part_of_anatomy(name) for name in SIXTEEN]
    assert {part: parts.count(part) for part in PARTS} == {"training": 11, "validation": 2, "test": 3}


def test_cohorts_that_train_and_cohorts_that_test_share_no_head_and_no_infarct() -> None:
    masks = [Path(f"sub-{n}_lesion.nii.gz") for n in range(300)]
    cohorts = list(load_parameters()["clinical"]["cohorts"])
    assert {part_of_cohort(cohort) for cohort in cohorts} == set(PARTS)
    for first in cohorts:
        for second in cohorts:
            if part_of_cohort(first) != part_of_cohort(second):
                assert not set(anatomies_for(first, SIXTEEN)) & set(anatomies_for(second, SIXTEEN))
                assert not set(infarcts_for(first, masks)) & set(infarcts_for(second, masks))


def test_all_masks_of_a_subject_fall_into_one_part() -> None:
    for number in range(50):
        names = (f"sub-{number}_lesion.nii.gz", f"sub-{number}_ses-2_lesion.nii.gz", f"sub-{number}.nii.gz")
        assert len({part_of_infarct(name) for name in names}) == 1


def test_the_split_of_masks_is_near_its_shares() -> None:
    parts = [part_of_infarct(f"sub-{n}_lesion.nii.gz") for n in range(2000)]
    assert parts.count("training") / 2000 == pytest.approx(0.70, abs=0.04)
    assert parts.count("test") / 2000 == pytest.approx(0.18, abs=0.04)


def test_the_template_serves_all_and_a_part_without_heads_is_refused() -> None:
    assert anatomies_for("external_test", [TEMPLATE]) == [TEMPLATE]
    with pytest.raises(InputError, match="test part"):
        anatomies_for("external_test", ["training_seg_01"])
    with pytest.raises(InputError, match="test part"):
        infarcts_for("us_test", [])
