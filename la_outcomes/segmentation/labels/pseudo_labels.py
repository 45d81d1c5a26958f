"""Pseudo-labels: WMH found on FLAIR, carried to the CT softly, infarct taken out, binarised by volume.

One shard a pair with the three volumes of the first step of the accuracy analysis (native WMH, carried
soft map, label), the figures of quality control and the verdict. A failing pair never stops the others.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.execution import Jobs, Outcome, Verdict, map_cases, start_work
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import read_image, read_mask
from la_outcomes.provenance import Run
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.cases import PairCase, read_pairs
from la_outcomes.segmentation.labels import coregistration, infarct
from la_outcomes.segmentation.labels.coregistration import Coregistration, carry, coregister
from la_outcomes.segmentation.labels.greedy import SEED
from la_outcomes.segmentation.labels.pair_checks import check_pair, contrast_warning, t1_warning
from la_outcomes.segmentation.labels.quality_control import judge
from la_outcomes.segmentation.labels.records import (
    SHARD_KIND,
    LabelJob,
    PseudoLabel,
    failed_row,
    save_files,
    wmh_row,
    write_record,
    write_tables,
)
from la_outcomes.segmentation.labels.sources import WmhSource
from la_outcomes.segmentation.labels.wmh_model import FlairFindings
from la_outcomes.shards import TRANSIENT_STATUS, is_done

ALGORITHM_VERSION = "4"
INFARCTS = ("auto", "mask", "none")
SMALLEST_SHARE = 0.05

Mask = npt.NDArray[np.bool_]
Volume = npt.NDArray[np.floating[Any]]


def label_pairs(
    pairs_csv: Path,
    out_dir: Path,
    *,
    source: WmhSource | None = None,
    infarcts: str = "auto",
    jobs: Jobs = 1,
) -> list[Outcome]:
    """Make the pseudo-label of each pair of PAIRS.csv; returns one outcome a pair.

    Parameters
    ----------
    source : where WMH comes from (``sources.configure``); None = the given mask where a pair has one,
        else the classical method.
    infarcts : "mask" takes out ``infarct_mask_path`` where given, "auto" looks for an infarct where none is
        given (by the FLAIR model that earned it, else on CT and FLAIR), "none" takes out nothing.

    Writes ``labels/``, ``carried/`` and ``wmh/`` (soft maps in CT and FLAIR space), ``transforms/``,
    ``pictures/``, one shard a pair, ``labels.csv`` (what ``train`` reads) and ``index.html`` (worst pair
    first). Pairs done before with the same inputs and parameters are skipped. Raises ``InputError`` for an
    unusable table, ``UsageError`` for an unknown way to know infarcts.
    """
    if infarcts not in INFARCTS:
        raise UsageError(f"infarcts cannot be {infarcts!r}", hint=f"one of {', '.join(INFARCTS)}")
    cases = read_pairs(pairs_csv)
    source = source or WmhSource()
    parameters = {
        "algorithm": ALGORITHM_VERSION,
        "coregistration": coregistration.ALGORITHM,
        "threads": 1,
        "infarct": infarcts,
        **source.parameters(),
    }
    job = LabelJob(Path(out_dir), source, infarcts, Run("label", parameters, seed=SEED))
    outcomes = map_cases(partial(label_case, job=job), cases, jobs=jobs, label="labelling pairs")
    write_tables(job, cases)
    return outcomes


def label_case(case: PairCase, job: LabelJob) -> Verdict:
    """Label one pair, or write down why it has none; a finished pair is left as it is."""
    try:
        key = job.key(case)
    except OSError as error:
        raise InputError(
            f"a file of the pair cannot be read: {error.strerror}", where=case.case_id
        ) from error
    if is_done(job.out_dir, SHARD_KIND, key):
        return "already_done", None
    start_work()
    started = time.process_time()
    try:
        made = make_label(case, job)
    except ResourceError as error:
        write_record(case, job, TRANSIENT_STATUS, failed_row(error.what) | {"is_transient": True}, [])
        raise
    except InputError as error:
        write_record(case, job, "failed_input", failed_row(error.what), [])
        raise
    row = save_files(case, job, made) | {"cpu_seconds": time.process_time() - started}
    write_record(case, job, "done", row, [wmh_row(case, job, made.wmh)])
    return "done", None


def make_label(case: PairCase, job: LabelJob) -> PseudoLabel:
    """The pseudo-label of one pair, in memory.

    Raises ``InputError`` where a scan or mask cannot be used or the brains do not overlap.
    """
    ct, flair = read_image(case.ct.path), read_image(case.flair.path)
    check_pair(ct, flair)
    given = _given_infarct(case, flair, job.infarct)
    ct_inside = ct_brain(ct).intracranial
    seen = job.source.read(case, flair, given, job.log_path(case))
    wmh = seen.wmh
    found = coregister(ct, flair, ct_inside, seen.inside)
    whole = carry(wmh.soft, ct, found.transform)
    warnings = tuple(filter(None, (contrast_warning(ct, ct_inside), t1_warning(found))))
    quality = judge(found, whole, ct_inside, wmh.volume_ml, days_between=case.days_between, warnings=warnings)
    if quality.status == "failed":
        raise InputError(str(quality.reason), where=case.case_id)
    carried, infarct_source = _without_infarct(whole, seen, given, found, ct, job.infarct)
    return PseudoLabel(
        ct=ct,
        label=binarise(carried.data),
        carried=carried,
        wmh=wmh,
        infarct_source=infarct_source,
        infarct_removed_ml=volume_ml(whole.data, ct.affine) - volume_ml(carried.data, ct.affine),
        quality=quality,
        warnings=warnings,
        flair_on_ct=carry(flair, ct, found.transform),
        transform=found.transform,
    )


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


def _given_infarct(case: PairCase, flair: Image, infarcts: str) -> Volume | None:
    if case.infarct_mask_path is None or infarcts == "none":
        return None
    return read_mask(case.infarct_mask_path, flair).data.astype(np.float32)


def _without_infarct(
    whole: Image, seen: FlairFindings, given: Volume | None, found: Coregistration, ct: Image, infarcts: str
) -> tuple[Image, str | None]:
    """The carried map without the infarct, and how the infarct was known."""
    soft = seen.wmh.soft
    if given is not None:
        return carry(Image(soft.data * (1.0 - given), soft.affine), ct, found.transform), "given"
    if infarcts != "auto":
        return whole, None
    if seen.infarct is not None:
        share = carry(seen.infarct, ct, found.transform).data
        return Image(whole.data * (1.0 - share), ct.affine), "model"
    return Image(whole.data * (1.0 - infarct.find_infarct(found, ct)), ct.affine), "found"
