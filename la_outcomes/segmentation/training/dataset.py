"""From ``labels.csv`` to an nnU-Net v2 dataset: which labels count, who validates, the head's crop.

Only accepted labels of the cohorts ``training`` and ``internal_validation`` are used; the external
cohorts never reach a training. Patients, and simulated anatomies, stay on one side of a split.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.errors import InputError
from la_outcomes.execution import Outcome, map_cases
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.preprocessing import InputSpec, locate_head, network_input, network_target
from la_outcomes.shards import sha256_file, write_text_atomic

DATASET_NAME = "Dataset001_LaOnCt"
TRAINING_COHORT = "training"
VALIDATION_COHORT = "internal_validation"
_COLUMNS = ("ct_scan_id", "patient_id", "cohort", "ct_path", "label_path", "status")
_VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class LabelCase:
    """One accepted label: the CT, its pseudo-label, and whose they are."""

    ct_scan_id: str
    patient_id: str
    cohort: str
    site: str
    anatomy: str
    ct_path: Path
    label_path: Path

    @property
    def case_id(self) -> str:
        """Name of the case in nnU-Net's files and in logs."""
        return self.ct_scan_id


@dataclass(frozen=True)
class Split:
    """Ids of the cases of one fold, and what a reader of its scores must know."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    note: str


def read_labels(labels_dir: str | Path, accepted: str | Path | None = None) -> list[LabelCase]:
    """The labels a training may use, ordered by CT scan id.

    ``labels_dir`` holds ``labels.csv`` (paths relative to it). Without ``accepted`` those with status
    accepted; with it exactly the CT scan ids of that CSV, whatever their status was. Raises
    ``InputError`` for missing columns, unknown or doubled ids, an accepted label without a file, a
    patient in two cohorts, and where nothing is left.
    """
    file = Path(labels_dir) / "labels.csv"
    table = _read_csv(file, _COLUMNS)
    if table["ct_scan_id"].duplicated().any():
        raise InputError("a CT stands in the table of labels twice", where=file)
    if accepted is None:
        table = table[table["status"] == "accepted"]
    else:
        table = _listed(table, Path(accepted))
    table = table[table["cohort"].isin([TRAINING_COHORT, VALIDATION_COHORT])]
    cases = [_label_case(row, file.parent) for row in table.sort_values("ct_scan_id").to_dict("records")]
    _check_cases(cases, file)
    return cases


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
    groups = {case.case_id: case.anatomy or case.patient_id for case in cases}
    note = "patients are kept apart"
    if any(case.anatomy for case in cases):
        note = "anatomies are kept apart"
    if len(set(groups.values())) < 2:
        groups = {case.case_id: case.patient_id for case in cases}
        note = "patients are kept apart but share one anatomy: validation scores are optimistic"
    validation = _validation_cohort(cases) or _drawn_validation(groups, seed)
    shared = {groups[case] for case in validation}
    train = [case for case in groups if case not in validation and groups[case] not in shared]
    if not train:
        validation = _drawn_validation(groups, seed)
        train = [case for case in groups if case not in validation]
        note += "; a fifth of the cases was drawn for validation"
    return Split(tuple(sorted(train)), tuple(sorted(validation)), note)


def prepare_dataset(
    cases: Sequence[LabelCase], split: Split, work: Path, spec: InputSpec, *, jobs: int = 1
) -> list[Outcome]:
    """Write nnU-Net's raw dataset under ``work/nnUNet_raw`` and its splits; one outcome a case.

    Images hold windowed, scaled HU on the bundle's grid, (slice, row, column), channel "noNorm". A case
    that cannot be prepared is left out and told. Raises ``InputError`` where no case, no training case
    or no validation case remains, or where all training labels are empty.
    """
    used = [case for case in cases if case.case_id in (*split.train, *split.validation)]
    outcomes = map_cases(
        partial(prepare_case, folder=raw_folder(work), spec=spec), used, jobs=jobs, label="training set"
    )
    usable = {outcome.case_id for outcome in outcomes if outcome.status == "done"}
    folds = {
        "train": [case for case in split.train if case in usable],
        "val": [case for case in split.validation if case in usable],
    }
    for name, members in folds.items():
        if not members:
            reasons = "; ".join(sorted({str(o.reason) for o in outcomes if o.reason})) or "none was given"
            raise InputError(f"no usable case is left to {name}", hint=f"reasons: {reasons}")
    _refuse_empty_labels(work, folds["train"])
    write_text_atomic(raw_folder(work) / "splits_final.json", json.dumps([folds]))
    write_text_atomic(raw_folder(work) / "dataset.json", json.dumps(_dataset_json(len(usable)), indent=1))
    return outcomes


def prepare_case(case: LabelCase, folder: Path, spec: InputSpec) -> tuple[str, str | None]:
    """Write one case's image, label and facts in nnU-Net's raw format; raises ``InputError``."""
    image = read_image(case.ct_path)
    label = read_mask(case.label_path, like=image)
    if not np.isin(label.data, (0, 1)).all():
        values = ", ".join(f"{value:g}" for value in np.unique(label.data)[:5])
        raise InputError(f"a label must hold 0 and 1 only, not {values}", where=case.label_path)
    crop = locate_head(image, ct_brain(image).intracranial, spec)
    data = network_input(image, crop, spec)[:, 0]
    target = network_target(label.data.astype(bool), crop)
    slice_mm = float(image.spacing_mm[2])
    affine = np.diag([spec.spacing_mm, spec.spacing_mm, slice_mm, 1.0])
    write_image(folder / "imagesTr" / f"{case.case_id}_0000.nii.gz", Image(data.transpose(2, 1, 0), affine))
    write_image(folder / "labelsTr" / f"{case.case_id}.nii.gz", Image(target.transpose(2, 1, 0), affine))
    facts = {"slice_spacing_mm": slice_mm, "target_pixels": int(target.sum()), "slices": len(data)}
    write_text_atomic(folder / "facts" / f"{case.case_id}.json", json.dumps(facts))
    return "done", None


def raw_folder(work: Path) -> Path:
    """nnU-Net's raw dataset inside the working folder."""
    return work / "nnUNet_raw" / DATASET_NAME


def case_facts(work: Path) -> dict[str, dict[str, Any]]:
    """What was noted about each prepared case: slice spacing, pixels of the target, slices."""
    files = sorted((raw_folder(work) / "facts").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def labels_sha256(cases: Sequence[LabelCase]) -> dict[str, list[str]]:
    """Hashes of each case's CT and label: the content that a training's identity rests on."""
    return {case.case_id: [sha256_file(case.ct_path), sha256_file(case.label_path)] for case in cases}


def _read_csv(file: Path, columns: Sequence[str]) -> pd.DataFrame:
    if not file.is_file():
        raise InputError("the table does not exist", where=file, hint="run la-outcomes label first")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(f"columns are missing: {', '.join(missing)}", where=file)
    return table


def _listed(table: pd.DataFrame, accepted: Path) -> pd.DataFrame:
    wanted = set(_read_csv(accepted, ("ct_scan_id",))["ct_scan_id"])
    unknown = sorted(wanted - set(table["ct_scan_id"]))
    if unknown:
        raise InputError(f"accepted CT without a label: {', '.join(unknown[:5])}", where=accepted)
    return table[table["ct_scan_id"].isin(wanted)]


def _label_case(row: Mapping[Any, Any], folder: Path) -> LabelCase:
    if not row["label_path"]:
        raise InputError(f"the accepted label of {row['ct_scan_id']} has no file", where=folder)
    return LabelCase(
        row["ct_scan_id"],
        row["patient_id"],
        row["cohort"],
        row.get("site", ""),
        row.get("anatomy", ""),
        folder / row["ct_path"],
        folder / row["label_path"],
    )


def _check_cases(cases: Sequence[LabelCase], file: Path) -> None:
    if not cases:
        raise InputError(
            "there is no accepted label to train on",
            where=file,
            hint="labels count with status accepted, in the cohorts training and internal_validation",
        )
    cohorts = defaultdict(set)
    for case in cases:
        cohorts[case.patient_id].add(case.cohort)
    both = [patient for patient, names in cohorts.items() if len(names) > 1]
    if both:
        raise InputError(f"patient {both[0]} is in training and in validation", where=file)


def _validation_cohort(cases: Sequence[LabelCase]) -> set[str]:
    return {case.case_id for case in cases if case.cohort == VALIDATION_COHORT}


def _drawn_validation(groups: dict[str, str], seed: int) -> set[str]:
    names = sorted(set(groups.values()))
    count = max(round(len(names) * _VALIDATION_SHARE), 1)
    drawn = set(np.random.default_rng(seed).choice(names, count, replace=False))
    return {case for case, group in groups.items() if group in drawn}


def _refuse_empty_labels(work: Path, train: Sequence[str]) -> None:
    facts = case_facts(work)
    if not any(facts[case]["target_pixels"] for case in train):
        raise InputError(
            "all training labels are empty: there is nothing to learn",
            where=raw_folder(work) / "labelsTr",
            hint="look at the pictures of the labels; check the WMH masks and the coregistration",
        )


def _dataset_json(count: int) -> dict[str, Any]:
    return {
        "channel_names": {"0": "noNorm"},
        "labels": {"background": 0, "la": 1},
        "numTraining": count,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
