"""LA on head CT from a bundle: mask, volume, overlay and one result shard a scan.

Needs ONNX Runtime, neither nnU-Net nor torch. A scan that is no head CT, or that cannot be read, gets a
row without a volume and with the reason; it never stops the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError, LaOutcomesError, ResourceError
from la_outcomes.execution import Outcome, describe_bug, map_cases
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.input_checks import check_head_ct
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.imaging.pictures import overlay_png
from la_outcomes.provenance import Run
from la_outcomes.segmentation.brain import ct_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle
from la_outcomes.segmentation.calibration import Calibration
from la_outcomes.segmentation.cases import ScanCase, read_scans
from la_outcomes.segmentation.preprocessing import locate_head, network_input
from la_outcomes.shards import (
    TRANSIENT_STATUS,
    case_key,
    is_done,
    sha256_file,
    sha256_json,
    write_shard,
    write_text_atomic,
)

SHARD_KIND = "la_measurement"
ALGORITHM_VERSION = "1"
SLICES_AT_ONCE = 8
_NO_LA_LOGIT = -20.0
_SLICE_TOLERANCE = 1.5

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What was found on one CT: boolean mask on its grid (i, j, k), volumes in mL, a warning or None."""

    mask: Bools
    la_volume_ml: float
    icv_ml: float
    input_warning: str | None


def segment_scan(image: Image, bundle: Bundle) -> Segmentation:
    """Segment LA on one head CT (HU).

    The network sees the slices on the bundle's grid; its logit difference is brought back to the scan's
    grid bilinearly and is LA where it is above 0, inside the skull. The volume is that of the mask on the
    scan's own grid. Raises ``InputError`` whose text is the reason where the image cannot be measured.
    """
    reason = check_head_ct(image)
    if reason is not None:
        raise InputError(reason)
    brain = ct_brain(image)
    crop = locate_head(image, brain.intracranial, bundle.spec)
    slices = network_input(image, crop, bundle.spec)
    starts = range(0, len(slices), SLICES_AT_ONCE)
    logits = np.concatenate([bundle.logits(slices[start : start + SLICES_AT_ONCE]) for start in starts])
    if not np.isfinite(logits).all():
        raise InputError("the network gave values that are not numbers")
    mask = (crop.to_scan(logits, outside=_NO_LA_LOGIT) > 0) & brain.intracranial
    return Segmentation(mask, volume_ml(mask, image.affine), brain.icv_ml, _warning(image, bundle))


def segment_scans(
    scans: str | Path, bundle_path: str | Path, out_dir: str | Path, *, jobs: int = 1
) -> list[Outcome]:
    """Segment the CT rows of a SCANS.csv, or one image file; returns one outcome a scan.

    Writes ``masks/<scan_id>.nii.gz``, ``overlays/<scan_id>.png`` and a shard a scan under ``out_dir``;
    what is there already for the same scan, model and code is not done again. Raises ``InputError`` for
    a table or bundle that cannot be used, and for a folder with another model's masks.
    """
    bundle = load_bundle(bundle_path)
    cases = _cases(Path(scans))
    run = Run("segment", _parameters(bundle) | {"model": bundle.name, "model_sha256": bundle.model_sha256})
    _claim(Path(out_dir), bundle)
    job = SegmentJob(Path(bundle_path), bundle.model_sha256, Path(out_dir), run)
    return map_cases(partial(segment_case, job=job), cases, jobs=jobs, label="segment")


@dataclass(frozen=True)
class SegmentJob:
    """What all scans of one command share; small, since it is sent to each worker."""

    bundle_path: Path
    model_sha256: str
    out_dir: Path
    run: Run = field(compare=False)

    @property
    def bundle(self) -> Bundle:
        """The model, loaded once a process."""
        return _loaded(self.bundle_path, self.model_sha256)


def segment_case(case: ScanCase, job: SegmentJob) -> tuple[str, str | None]:
    """Segment one scan of a table and write its results; the verdict for ``map_cases``."""
    started = time.process_time()
    sha256 = sha256_file(case.path) if case.path.is_file() else None
    parameters_sha256 = sha256_json(_parameters(job.bundle))
    scan = sha256_json([case.patient_row(), case.scan_row("")])
    key = case_key({"ct": sha256, "scan": scan}, job.model_sha256, parameters_sha256)
    if is_done(job.out_dir, SHARD_KIND, key):
        return "already_done", None
    status, measured, facts = _measure(case, job)
    keys = {"scan_id": case.scan_id, "model_sha256": job.model_sha256, "parameters_sha256": parameters_sha256}
    cpu = {"cpu_seconds": round(time.process_time() - started, 3), "run_id": job.run.run_id}
    rows = {
        "patients": [case.patient_row()],
        "scans": [facts | case.scan_row(sha256 or "") | {"sha256": sha256}],
        "models": [job.bundle.model_row()],
        "la_measurements": [keys | measured | cpu],
        "runs": [job.run.row()],
    }
    write_shard(job.out_dir, kind=SHARD_KIND, case_id=case.scan_id, key=key, status=status, rows=rows)
    return status, measured.get("not_measured_reason")


def _measure(case: ScanCase, job: SegmentJob) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Status, columns of ``la_measurements``, and what the image says for ``scans``."""
    facts: dict[str, Any] = {}
    try:
        image = read_image(case.path)
        facts = {
            "pixel_spacing_mm": float(image.spacing_mm[0]),
            "slice_spacing_mm": float(image.spacing_mm[2]),
        }
    except InputError as error:
        return "failed_input", {"not_measured_reason": error.what}, facts
    try:
        return "done", _written(case, image, segment_scan(image, job.bundle), job), facts
    except (ResourceError, MemoryError) as error:
        reason = error.what if isinstance(error, ResourceError) else "out of memory"
        return TRANSIENT_STATUS, {"not_measured_reason": reason}, facts
    except LaOutcomesError as error:
        return "not_measured", {"not_measured_reason": error.what}, facts
    except Exception as error:
        return TRANSIENT_STATUS, {"not_measured_reason": describe_bug(error)}, facts


def _written(case: ScanCase, image: Image, found: Segmentation, job: SegmentJob) -> dict[str, Any]:
    """Write mask and overlay; the columns of a measured scan."""
    mask_path = Path("masks") / f"{case.scan_id}.nii.gz"
    picture_path = Path("overlays") / f"{case.scan_id}.png"
    write_image(job.out_dir / mask_path, Image(found.mask.astype(np.uint8), image.affine))
    (job.out_dir / picture_path).parent.mkdir(parents=True, exist_ok=True)
    title = f"{case.scan_id}: LA {found.la_volume_ml:.1f} mL by {job.bundle.name}"
    overlay_png(job.out_dir / picture_path, image, [(found.mask, "red", "LA")], title=title)
    calibration = job.bundle.card.get("calibration")
    calibrated = Calibration.from_card(calibration).volumes(found.la_volume_ml) if calibration else {}
    return calibrated | {
        "la_volume_ml": found.la_volume_ml,
        "icv_ml": found.icv_ml,
        "input_warning": found.input_warning,
        "mask_path": mask_path.as_posix(),
        "mask_sha256": sha256_file(job.out_dir / mask_path),
        "picture_path": picture_path.as_posix(),
    }


def _cases(scans: Path) -> Sequence[ScanCase]:
    """The CT rows of a table, or one file as a scan named after it."""
    if scans.suffix.lower() == ".csv":
        cases = read_scans(scans, modality="CT")
        if not cases:
            raise InputError("the table holds no CT", where=scans)
        return cases
    if not scans.is_file():
        raise InputError("no such scan or table", where=scans)
    name = scans.name.removesuffix(".gz").removesuffix(".nii")
    return [ScanCase(name, name, "CT", scans)]


def _claim(out_dir: Path, bundle: Bundle) -> None:
    """Masks are named by scan, so a folder belongs to one model; say whose it is."""
    file = out_dir / "model.sha256"
    if file.exists() and file.read_text(encoding="utf-8") != bundle.model_sha256:
        raise InputError(
            "the folder holds masks of another model", where=out_dir, hint="choose another --out"
        )
    write_text_atomic(file, bundle.model_sha256)


def _parameters(bundle: Bundle) -> dict[str, Any]:
    calibration = bundle.card.get("calibration")
    return {"algorithm": ALGORITHM_VERSION, "input": vars(bundle.spec), "calibration": calibration}


@lru_cache(maxsize=1)
def _loaded(path: Path, sha256: str) -> Bundle:
    bundle = load_bundle(path)
    if bundle.model_sha256 != sha256:
        raise InputError("the bundle changed while it was in use", where=path, hint="run it again")
    return bundle


def _warning(image: Image, bundle: Bundle) -> str | None:
    """What is unusual about the scan for this model, or None."""
    low, high = bundle.card["training"].get("slice_spacing_mm", (0.0, np.inf))
    spacing = float(image.spacing_mm[2])
    if low / _SLICE_TOLERANCE <= spacing <= high * _SLICE_TOLERANCE:
        return None
    return f"slices {spacing:.1f} mm apart; the model was trained on {low:g} to {high:g} mm"
