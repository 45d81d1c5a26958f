"""Pseudo-labels: WMH found on FLAIR, carried to the CT softly, infarct taken out, binarised by volume.

One shard a pair with the three volumes of the first step of the accuracy analysis (native WMH, carried
soft map, label), the figures of quality control and the verdict. A failing pair never stops the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import SimpleITK as sitk

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.execution import Outcome, Verdict, map_cases
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.provenance import Run
from la_outcomes.segmentation.brain import ct_brain, flair_brain
from la_outcomes.segmentation.cases import PairCase, read_pairs
from la_outcomes.segmentation.labels import coregistration
from la_outcomes.segmentation.labels.coregistration import carry, coregister
from la_outcomes.segmentation.labels.pictures import pair_png, write_sheet
from la_outcomes.segmentation.labels.quality_control import Quality, judge
from la_outcomes.segmentation.labels.wmh import CLASSICAL_VERSION, Wmh, classical_wmh, wmh_from_mask
from la_outcomes.shards import (
    TRANSIENT_STATUS,
    Rows,
    atomic_path,
    case_key,
    is_done,
    read_shard,
    sha256_file,
    shard_path,
    write_shard,
)

SHARD_KIND = "pseudo_label"
ALGORITHM_VERSION = "1"
SOURCES = ("auto", "mask", "classical")
SMALLEST_SHARE = 0.05

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class LabelJob:
    """What all pairs share: output folder, WMH source and run."""

    out_dir: Path
    wmh: str
    run: Run


@dataclass(frozen=True, eq=False)
class PseudoLabel:
    """A pair's label on the CT's grid and what led to it."""

    label: Mask
    carried: Image
    wmh: Wmh
    infarct_removed_ml: float
    quality: Quality
    flair_on_ct: Image
    transform: sitk.Transform


def label_pairs(pairs_csv: Path, out_dir: Path, *, wmh: str = "auto", jobs: int = 1) -> list[Outcome]:
    """Make the pseudo-label of each pair of PAIRS.csv; returns one outcome a pair.

    ``wmh``: "mask" takes ``wmh_mask_path`` of every pair, "classical" the embedded method, "auto" the
    mask where a pair has one. Writes ``labels/``, ``carried/``, ``transforms/``, ``pictures/``, one shard a
    pair, ``labels.csv`` (what ``train`` reads) and ``index.html`` (worst pair first). Pairs done before
    with the same inputs and parameters are skipped. Raises ``InputError`` for an unusable table,
    ``UsageError`` for another source.
    """
    if wmh not in SOURCES:
        raise UsageError(f"there is no WMH source {wmh!r}", hint=f"one of {', '.join(SOURCES)}")
    cases = read_pairs(pairs_csv)
    parameters = {
        "algorithm": ALGORITHM_VERSION,
        "coregistration": coregistration.ALGORITHM,
        "wmh": wmh,
        "classical": CLASSICAL_VERSION,
    }
    job = LabelJob(Path(out_dir), wmh, Run("label", parameters, seed=coregistration.SEED))
    outcomes = map_cases(partial(label_case, job=job), cases, jobs=jobs, label="labelling pairs")
    _write_tables(job, cases)
    return outcomes


def label_case(case: PairCase, job: LabelJob) -> Verdict:
    """Label one pair, or write down why it has none; a finished pair is left as it is."""
    try:
        hashes = _input_hashes(case)
    except OSError as error:
        raise InputError(
            f"a file of the pair cannot be read: {error.strerror}", where=case.case_id
        ) from error
    key = case_key(hashes, None, job.run.parameters_sha256)
    if is_done(job.out_dir, SHARD_KIND, key):
        return "already_done", None
    started = time.process_time()
    try:
        made = make_label(case, job.wmh)
    except ResourceError as error:
        _write(case, job, key, hashes, TRANSIENT_STATUS, _failed_row(str(error.what)), [])
        raise
    except InputError as error:
        _write(case, job, key, hashes, "failed_input", _failed_row(error.what), [])
        raise
    row = _save(case, job, made) | {"cpu_seconds": time.process_time() - started}
    _write(case, job, key, hashes, "done", row, [_wmh_row(case, job, made.wmh)])
    return "done", None


def make_label(case: PairCase, source: str) -> PseudoLabel:
    """The pseudo-label of one pair, in memory.

    Raises ``InputError`` where a scan or mask cannot be used or the brains do not overlap.
    """
    ct, flair = read_image(case.ct.path), read_image(case.flair.path)
    ct_inside, flair_inside = ct_brain(ct).intracranial, flair_brain(flair).intracranial
    infarct = _infarct(case, flair)
    wmh = _wmh(case, source, flair, flair_inside, infarct)
    found = coregister(ct, flair, ct_inside, flair_inside)
    whole = carry(wmh.soft, ct, found.transform)
    clean = Image(wmh.soft.data * (1.0 - infarct), wmh.soft.affine) if infarct is not None else wmh.soft
    carried = carry(clean, ct, found.transform) if infarct is not None else whole
    quality = judge(found, whole.data, ct_inside)
    if quality.status == "failed":
        raise InputError(str(quality.reason), where=case.case_id)
    removed = volume_ml(whole.data, ct.affine) - volume_ml(carried.data, ct.affine)
    label = binarise(carried.data)
    flair_on_ct = carry(flair, ct, found.transform)
    return PseudoLabel(label, carried, wmh, removed, quality, flair_on_ct, found.transform)


def binarise(soft: Volume) -> Mask:
    """The voxels of highest share, as many as the soft map's volume holds.

    Thresholding at one half loses thin lesions to the partial volume of thick slices; this keeps the volume
    to within a voxel, unless so little of it lies above a share of 0.05 that there are fewer voxels.
    """
    wanted = round(float(soft.sum()))
    if wanted == 0:
        return np.zeros(soft.shape, bool)
    threshold = np.partition(soft.ravel(), soft.size - wanted)[soft.size - wanted]
    return np.asarray(soft >= max(float(threshold), SMALLEST_SHARE))


def _infarct(case: PairCase, flair: Image) -> Volume | None:
    if case.infarct_mask_path is None:
        return None
    return read_mask(case.infarct_mask_path, flair).data.astype(np.float32)


def _wmh(case: PairCase, source: str, flair: Image, inside: Mask, infarct: Volume | None) -> Wmh:
    if source == "classical" or (source == "auto" and case.wmh_mask_path is None):
        return classical_wmh(flair, inside, None if infarct is None else infarct > 0.2)
    if case.wmh_mask_path is None:
        hint = "fill wmh_mask_path, or use --wmh classical"
        raise InputError("the pair has no WMH mask", where=case.case_id, hint=hint)
    return wmh_from_mask(case.wmh_mask_path, flair)


def _input_hashes(case: PairCase) -> dict[str, str | None]:
    paths = {
        "ct": case.ct.path,
        "flair": case.flair.path,
        "wmh": case.wmh_mask_path,
        "infarct": case.infarct_mask_path,
    }
    return {name: None if path is None else sha256_file(path) for name, path in paths.items()}


def _save(case: PairCase, job: LabelJob, made: PseudoLabel) -> dict[str, Any]:
    """Write mask, soft map, transform and picture; returns the row of ``pseudo_labels``."""
    name, out = case.case_id, job.out_dir
    label_path = out / "labels" / f"{name}.nii.gz"
    write_image(label_path, Image(made.label.astype(np.uint8), made.carried.affine), dtype=np.uint8)
    write_image(out / "carried" / f"{name}.nii.gz", made.carried, dtype=np.float32)
    transform_path = out / "transforms" / f"{name}.h5"
    with atomic_path(transform_path) as temporary:
        sitk.WriteTransform(made.transform, str(temporary))
    picture = out / "pictures" / f"{name}.png"
    status = made.quality.status
    pair_png(picture, read_image(case.ct.path), made.flair_on_ct, made.label, title=f"{name}: {status}")
    return {
        "wmh_volume_ml": made.wmh.volume_ml,
        "carried_volume_ml": volume_ml(made.carried.data, made.carried.affine),
        "label_volume_ml": volume_ml(made.label, made.carried.affine),
        "infarct_removed_ml": made.infarct_removed_ml,
        **made.quality.figures(),
        "status": status,
        "reason": made.quality.reason,
        "label_path": label_path.relative_to(out).as_posix(),
        "label_sha256": sha256_file(label_path),
        "transform_path": transform_path.relative_to(out).as_posix(),
        "picture_path": picture.relative_to(out).as_posix(),
    }


def _failed_row(reason: str) -> dict[str, Any]:
    return {"status": "failed", "reason": reason}


def _wmh_row(case: PairCase, job: LabelJob, wmh: Wmh) -> dict[str, Any]:
    return {
        "scan_id": case.flair.scan_id,
        "source": wmh.source,
        "parameters_sha256": job.run.parameters_sha256,
        "wmh_volume_ml": wmh.volume_ml,
        "tool_version": wmh.version,
        "run_id": job.run.run_id,
    }


def _write(
    case: PairCase,
    job: LabelJob,
    key: str,
    hashes: dict[str, str | None],
    status: str,
    row: dict[str, Any],
    wmh_rows: list[dict[str, Any]],
) -> None:
    keys = {"ct_scan_id": case.ct.scan_id, "flair_scan_id": case.flair.scan_id}
    parameters = {"parameters_sha256": job.run.parameters_sha256, "run_id": job.run.run_id}
    rows: Rows = {
        "patients": [{**case.ct.patient_row(), "cohort": case.cohort}],
        "scans": [case.ct.scan_row(str(hashes["ct"])), case.flair.scan_row(str(hashes["flair"]))],
        "pairs": [case.row()],
        "wmh_measurements": wmh_rows,
        "pseudo_labels": [{**keys, **parameters, **row}],
        "runs": [job.run.row()],
    }
    write_shard(job.out_dir, kind=SHARD_KIND, case_id=case.case_id, key=key, status=status, rows=rows)


def _write_tables(job: LabelJob, cases: Sequence[PairCase]) -> None:
    """``labels.csv`` and the sheet, from the shards of these pairs."""
    found = []
    for case in cases:
        row = _known_row(case, job)
        if row is not None:
            found.append((case, row))
    table = pd.DataFrame([_label_row(case, row, job) for case, row in found], columns=_COLUMNS)
    with atomic_path(job.out_dir / "labels.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    write_sheet(job.out_dir / "index.html", [row for _, row in found])


_COLUMNS = [
    "ct_scan_id", "patient_id", "cohort", "is_simulated", "site", "anatomy", "ct_path", "label_path",
    "status", "reason",
]  # fmt: skip


def _known_row(case: PairCase, job: LabelJob) -> dict[str, Any] | None:
    try:
        key = case_key(_input_hashes(case), None, job.run.parameters_sha256)
    except OSError:
        return None
    path = shard_path(job.out_dir, SHARD_KIND, key)
    return read_shard(path)["rows"]["pseudo_labels"][0] if path.exists() else None


def _label_row(case: PairCase, row: dict[str, Any], job: LabelJob) -> dict[str, Any]:
    ct_path = case.ct.path.resolve()
    return {
        "ct_scan_id": case.ct.scan_id,
        "patient_id": case.patient_id,
        "cohort": case.cohort,
        "is_simulated": case.ct.patient.get("is_simulated"),
        "site": case.site,
        "anatomy": case.anatomy,
        "ct_path": ct_path.as_posix(),
        "label_path": row.get("label_path"),
        "status": row["status"],
        "reason": row.get("reason"),
    }
