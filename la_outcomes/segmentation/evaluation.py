"""Predicted masks against references: labels, masks drawn by people, or a simulation's truth.

References are matched to predictions by scan id. The policy for empty masks is that of ``volumetry``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from la_outcomes.errors import InputError, UsageError
from la_outcomes.execution import Jobs, Outcome, map_cases, start_work
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_mask
from la_outcomes.provenance import Run
from la_outcomes.segmentation.inference import SHARD_KIND as PREDICTION_KIND
from la_outcomes.segmentation.preprocessing import keep_volume
from la_outcomes.segmentation.volumetry import MaskScores, score_masks
from la_outcomes.shards import (
    atomic_path,
    case_key,
    is_done,
    read_shard,
    sha256_file,
    sha256_json,
    shard_path,
    write_shard,
)

SHARD_KIND = "segmentation_score"
REFERENCES = ("label", "person", "truth")
ALGORITHM_VERSION = "1"


@dataclass(frozen=True)
class Prediction:
    """One measured scan of a folder that ``segment`` wrote, and the reference found for it."""

    scan_id: str
    model_sha256: str
    mask_path: Path
    reference_path: Path
    rows: dict[str, list[dict[str, Any]]] = field(compare=False)

    @property
    def case_id(self) -> str:
        """Name of the case in logs and shards."""
        return self.scan_id


@dataclass(frozen=True)
class EvaluationJob:
    """What all cases of one comparison share: kind and name of the reference, output folder, run."""

    reference: str
    reference_name: str
    out_dir: Path
    run: Run = field(compare=False)


def evaluate(
    predictions: Path, references: Path, out_dir: Path, *, reference: str, name: str, jobs: Jobs = 1
) -> list[Outcome]:
    """Score every measured scan under ``predictions`` that has a reference mask.

    ``references`` is a folder of ``<scan_id>.nii.gz`` or a CSV with columns scan_id and path (relative to
    it); masks lie on the CT's grid and are binary or soft (0..1). ``reference`` is label, person or truth;
    ``name`` says which (pseudo-label, visible_la, tissue, the reader). Writes one shard a scan and
    ``scores-<reference>-<name>.csv`` into ``out_dir``. Raises ``UsageError`` for another kind,
    ``InputError`` where nothing matches.
    """
    if reference not in REFERENCES:
        raise UsageError(f"a reference cannot be {reference!r}", hint=" or ".join(REFERENCES))
    cases = matched(predictions, reference_paths(references))
    if not cases:
        hint = "references are named <scan_id>.nii.gz, as predictions are, or listed by scan_id"
        raise InputError("no predicted scan has a reference mask", where=references, hint=hint)
    run = Run("evaluate", {"algorithm": ALGORITHM_VERSION, "reference": reference, "name": name})
    job = EvaluationJob(reference, name, out_dir, run)
    outcomes = map_cases(partial(score_case, job=job), cases, jobs=jobs, label="evaluate")
    with atomic_path(out_dir / f"scores-{reference}-{name}.csv") as temporary:
        _scores(cases, job).to_csv(temporary, index=False)
    return outcomes


def reference_paths(references: Path) -> dict[str, Path]:
    """Reference mask of each scan id, from a folder or a CSV; raises ``InputError`` where it is neither."""
    if references.is_dir():
        return {file.name.removesuffix(".nii.gz"): file for file in sorted(references.glob("*.nii.gz"))}
    if not references.is_file():
        raise InputError("no such folder or table of references", where=references)
    table = pd.read_csv(references, dtype=str, keep_default_na=False)
    if not {"scan_id", "path"} <= set(table.columns) or table["scan_id"].duplicated().any():
        raise InputError("a table of references needs columns scan_id (each once) and path", where=references)
    return {row["scan_id"]: references.parent / row["path"] for row in table.to_dict("records")}


def matched(predictions: Path, references: Mapping[str, Path]) -> list[Prediction]:
    """Measured scans that have a reference; masks replaced since their shard was written are left out."""
    found = []
    for path in sorted((predictions / "shards").glob(f"{PREDICTION_KIND}-*.json")):
        rows = read_shard(path)["rows"]
        for row in rows["la_measurements"]:
            if row["scan_id"] not in references or not row.get("mask_path"):
                continue
            mask = predictions / row["mask_path"]
            if mask.is_file() and sha256_file(mask) == row["mask_sha256"]:
                kept = {table: rows.get(table, []) for table in ("patients", "scans", "models")}
                reference = references[row["scan_id"]]
                found.append(Prediction(row["scan_id"], row["model_sha256"], mask, reference, kept))
    return sorted(found, key=lambda case: case.scan_id)


def score_case(case: Prediction, job: EvaluationJob) -> tuple[str, str | None]:
    """Score one scan and write its shard; raises ``InputError`` for masks that cannot be compared."""
    key = _key(case, job)
    if is_done(job.out_dir, SHARD_KIND, key):
        return "already_done", None
    start_work()
    predicted = read_mask(case.mask_path)
    reference = read_mask(case.reference_path, like=predicted)
    found = score_masks(predicted.data > 0, binary(reference, case.reference_path), predicted.affine)
    row = {
        "scan_id": case.scan_id,
        "model_sha256": case.model_sha256,
        "reference": job.reference,
        "reference_name": job.reference_name,
        **asdict(found),
        "run_id": job.run.run_id,
    }
    rows = {**case.rows, "segmentation_scores": [row], "runs": [job.run.row()]}
    write_shard(job.out_dir, kind=SHARD_KIND, case_id=case.scan_id, key=key, status="done", rows=rows)
    return "done", None


def binary(mask: Image, path: Path) -> npt.NDArray[np.bool_]:
    """A reference as a binary mask: 0/1 as it is, a soft map (0..1) cut so that its volume stays.

    Raises ``InputError`` for other values: a label map with several structures is not a reference.
    """
    values = np.asarray(mask.data, dtype=np.float32)
    if values.min() < 0 or values.max() > 1 + 1e-6:
        raise InputError(
            f"a reference mask holds values from {values.min():g} to {values.max():g}, not 0 to 1",
            where=path,
            hint="keep the one structure that is to be compared",
        )
    return values > 0.5 if np.isin(values, (0, 1)).all() else keep_volume(values)


def _key(case: Prediction, job: EvaluationJob) -> str:
    """Identity of one comparison: both masks, the model, and what the reference is called."""
    hashes = {"prediction": sha256_file(case.mask_path), "reference": sha256_file(case.reference_path)}
    same = sha256_json([ALGORITHM_VERSION, case.scan_id, job.reference, job.reference_name])
    return case_key(hashes, case.model_sha256, same)


def _scores(cases: Sequence[Prediction], job: EvaluationJob) -> pd.DataFrame:
    """The rows of ``segmentation_scores`` of these very comparisons, in their order."""
    paths = [shard_path(job.out_dir, SHARD_KIND, _key(case, job)) for case in cases]
    shards = [read_shard(path) for path in paths if path.exists()]
    names = ("scan_id", "model_sha256", "reference", "reference_name", *MaskScores.__annotations__, "run_id")
    rows = [row for shard in shards for row in shard["rows"]["segmentation_scores"]]
    return pd.DataFrame(rows, columns=list(names))
