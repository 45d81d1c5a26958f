"""Who trains and who validates: patients, and simulated anatomies, stay on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.segmentation.training.accepted import VALIDATION_COHORT, LabelCase

FOLDS = 5
_VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Ids of the cases of one fold, and what a reader of its scores must know."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    note: str


def make_splits(cases: Sequence[LabelCase], seed: int, folds: int) -> list[Split]:
    """One split (``split_cases``) or five folds (``five_folds``)."""
    return [split_cases(cases, seed)] if folds == 1 else five_folds(cases, seed)


def split_cases(cases: Sequence[LabelCase], seed: int) -> Split:
    """Training and validation cases; patients and anatomies are never on both sides where avoidable.

    The cohort ``internal_validation`` validates. Where it has no labels, about a fifth of the groups
    (patients joined by a common anatomy) is drawn by ``seed``; so too where it shares its anatomies with
    all of training. Where all cases come from one anatomy, patients alone are kept apart and the note
    says that scores are optimistic.
    Raises ``InputError`` for fewer than two patients.
    """
    if len({case.patient_id for case in cases}) < 2:
        raise InputError(
            "accepted labels of one patient cannot train and validate a model",
            hint="at least two patients are needed; a useful model needs far more",
        )
    groups, note = _groups(cases, fewest=2)
    validation = _validation_cohort(cases) or _drawn_validation(groups, seed)
    shared = {groups[case] for case in validation}
    train = [case for case in groups if case not in validation and groups[case] not in shared]
    if not train:
        validation = _drawn_validation(groups, seed)
        train = [case for case in groups if case not in validation]
        note += "; a fifth of the cases was drawn for validation"
    return Split(tuple(sorted(train)), tuple(sorted(validation)), note)


def five_folds(cases: Sequence[LabelCase], seed: int) -> list[Split]:
    """Five splits in which each case of either training cohort validates once.

    Groups (patients joined by a common anatomy) are dealt by ``seed``, the largest first, each to the fold
    that has the fewest cases. Where there are fewer than five anatomies patients alone are kept apart, and
    the note says that scores are optimistic. Raises ``InputError`` for fewer than five patients.
    """
    if len({case.patient_id for case in cases}) < FOLDS:
        raise InputError(
            f"accepted labels of fewer than {FOLDS} patients cannot be split into {FOLDS} folds",
            hint="train one fold: --folds 1",
        )
    groups, note = _groups(cases, fewest=FOLDS)
    folds = _dealt(groups, seed)
    return [
        Split(
            tuple(sorted(case for other in folds if other is not fold for case in other)),
            tuple(sorted(fold)),
            f"five folds; {note}",
        )
        for fold in folds
    ]


def _dealt(groups: Mapping[str, str], seed: int) -> list[list[str]]:
    """The cases of each fold."""
    sizes = Counter(groups.values())
    names = sorted(sizes)
    np.random.default_rng(seed).shuffle(names)
    folds: list[list[str]] = [[] for _ in range(FOLDS)]
    for name in sorted(names, key=lambda name: -sizes[name]):
        smallest = min(folds, key=len)
        smallest.extend(case for case, group in groups.items() if group == name)
    return folds


def _groups(cases: Sequence[LabelCase], fewest: int) -> tuple[dict[str, str], str]:
    """What must stay together (case to group), and what a reader of the scores must know."""
    groups = {case.case_id: case.anatomy or case.patient_id for case in cases}
    if len(set(groups.values())) >= fewest:
        simulated = any(case.anatomy for case in cases)
        return groups, f"{'anatomies' if simulated else 'patients'} are kept apart"
    count = "one anatomy" if len(set(groups.values())) == 1 else "a few anatomies"
    by_patient = {case.case_id: case.patient_id for case in cases}
    return by_patient, f"patients are kept apart but share {count}: validation scores are optimistic"


def _validation_cohort(cases: Sequence[LabelCase]) -> set[str]:
    return {case.case_id for case in cases if case.cohort == VALIDATION_COHORT}


def _drawn_validation(groups: Mapping[str, str], seed: int) -> set[str]:
    names = sorted(set(groups.values()))
    count = max(round(len(names) * _VALIDATION_SHARE), 1)
    drawn = set(np.random.default_rng(seed).choice(names, count, replace=False))
    return {case for case, group in groups.items() if group in drawn}
