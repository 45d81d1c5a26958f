"""From accepted labels to an nnU-Net v2 dataset on the bundle's grid: the head's crop, windowed HU, folds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.execution import Outcome, map_cases
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.preprocessing import InputSpec, locate_head, network_input, network_target
from la_outcomes.segmentation.training.accepted import LabelCase
from la_outcomes.segmentation.training.splits import Split
from la_outcomes.shards import sha256_file, write_text_atomic

DATASET_NAME = "Dataset001_LaOnCt"


def prepare_dataset(
    cases: Sequence[LabelCase], splits: Sequence[Split], work: Path, spec: InputSpec, *, jobs: int = 1
) -> list[Outcome]:
    """Write nnU-Net's raw dataset under ``work/nnUNet_raw`` and its splits; one outcome a case.

    Images hold windowed, scaled HU on the bundle's grid, (slice, row, column), channels "noNorm". A case
    that cannot be prepared is left out and told. Raises ``InputError`` where a fold has no training or no
    validation case left, or where all its training labels are empty; ``ResourceError`` for a full disk.
    """
    wanted = {case for split in splits for case in (*split.train, *split.validation)}
    used = [case for case in cases if case.case_id in wanted]
    outcomes = map_cases(
        partial(prepare_case, folder=raw_folder(work), spec=spec), used, jobs=jobs, label="training set"
    )
    for outcome in outcomes:
        if outcome.status == "failed_transient":
            raise ResourceError(f"the training set could not be written: {outcome.reason}", where=work)
    usable = {outcome.case_id for outcome in outcomes if outcome.status == "done"}
    folds = [_usable_fold(split, usable, outcomes) for split in splits]
    for fold in folds:
        _refuse_empty_labels(work, fold["train"])
    write_text_atomic(raw_folder(work) / "splits_final.json", json.dumps(folds))
    write_text_atomic(
        raw_folder(work) / "dataset.json", json.dumps(_dataset_json(len(usable), spec.slices), indent=1)
    )
    return outcomes


def _usable_fold(split: Split, usable: set[str], outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """A fold in nnU-Net's words, without the cases that could not be prepared."""
    fold = {
        "train": [case for case in split.train if case in usable],
        "val": [case for case in split.validation if case in usable],
    }
    for name, members in fold.items():
        if not members:
            reasons = "; ".join(sorted({str(o.reason) for o in outcomes if o.reason})) or "none was given"
            raise InputError(f"no usable case is left to {name}", hint=f"reasons: {reasons}")
    return fold


def prepare_case(case: LabelCase, folder: Path, spec: InputSpec) -> tuple[str, str | None]:
    """Write one case's image, label and facts in nnU-Net's raw format; raises ``InputError``."""
    image = read_image(case.ct_path)
    label = read_mask(case.label_path, like=image)
    if not np.isin(label.data, (0, 1)).all():
        values = ", ".join(f"{value:g}" for value in np.unique(label.data)[:5])
        raise InputError(f"a label must hold 0 and 1 only, not {values}", where=case.label_path)
    crop = locate_head(image, ct_brain(image).intracranial, spec)
    data = network_input(image, crop, spec)
    target = network_target(label.data.astype(bool), crop)
    slice_mm = float(image.spacing_mm[2])
    affine = np.diag([spec.spacing_mm, spec.spacing_mm, slice_mm, 1.0])
    for channel, file in enumerate(channel_files(folder, case.case_id, spec.slices)):
        write_image(file, Image(data[:, channel].transpose(2, 1, 0), affine))
    write_image(folder / "labelsTr" / f"{case.case_id}.nii.gz", Image(target.transpose(2, 1, 0), affine))
    facts = {"slice_spacing_mm": slice_mm, "target_pixels": int(target.sum()), "slices": len(data)}
    write_text_atomic(folder / "facts" / f"{case.case_id}.json", json.dumps(facts))
    return "done", None


def channel_files(folder: Path, case_id: str, channels: int) -> list[Path]:
    """A case's images in nnU-Net's raw format, one a channel."""
    return [folder / "imagesTr" / f"{case_id}_{channel:04d}.nii.gz" for channel in range(channels)]


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


def _refuse_empty_labels(work: Path, train: Sequence[str]) -> None:
    facts = case_facts(work)
    if not any(facts[case]["target_pixels"] for case in train):
        raise InputError(
            "all training labels are empty: there is nothing to learn",
            where=raw_folder(work) / "labelsTr",
            hint="look at the pictures of the labels; check the WMH masks and the coregistration",
        )


def _dataset_json(count: int, channels: int) -> dict[str, Any]:
    return {
        "channel_names": {str(channel): "noNorm" for channel in range(channels)},
        "labels": {"background": 0, "la": 1},
        "numTraining": count,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
