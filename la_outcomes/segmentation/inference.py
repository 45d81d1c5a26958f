"""LA on head CT from a bundle: mask, volume, overlay and one result shard a scan.

Needs ONNX Runtime, neither nnU-Net nor torch. A scan that is no head CT, or that cannot be read, gets a
row without a volume and with the reason; it never stops the others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError, LaOutcomesError, ResourceError
from la_outcomes.execution import (
    Cluster,
    Jobs,
    Outcome,
    Stages,
    Verdict,
    describe_bug,
    is_dry_run,
    map_cases,
    start_work,
)
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.imaging.pictures import overlay_png
from la_outcomes.provenance import Run
from la_outcomes.segmentation.bundle import Bundle, load_bundle
from la_outcomes.segmentation.cases import ScanCase, read_scans
from la_outcomes.segmentation.engines import DEFAULT_ENGINE
from la_outcomes.segmentation.measurement import CARD_SECTIONS, Segmentation, segment_scan
from la_outcomes.segmentation.outputs import LA
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
ALGORITHM_VERSION = "2"


def segment_scans(
    scans: str | Path,
    bundle_path: str | Path,
    out_dir: str | Path,
    *,
    jobs: Jobs = 1,
    device: str = "auto",
    engine: str = DEFAULT_ENGINE,
) -> list[Outcome]:
    """Segment the CT rows of a SCANS.csv, or one image file; returns one outcome a scan.

    Writes ``masks/<scan_id>.nii.gz``, ``overlays/<scan_id>.png`` and a shard a scan under ``out_dir``;
    what is there already for the same scan, model and code is not done again. With one job the next scan
    is read and the last one written while one is computed. Raises ``InputError`` for a table or bundle
    that cannot be used, an engine that has not passed this model's parity, a model without LA, and for a
    folder with another model's masks; ``ResourceError`` for a device or engine that is not there.
    """
    bundle = load_bundle(bundle_path, device=device, engine=engine)
    if LA not in bundle.outputs.names:
        raise InputError(f"the model gives {', '.join(bundle.outputs.names)}, not {LA}", where=bundle_path)
    if not isinstance(jobs, Cluster):
        bundle.compute  # noqa: B018 - a device or engine that is not there is told before any scan is read
    cases = _cases(Path(scans))
    _claim(Path(out_dir), bundle)
    job = SegmentJob.of(bundle, Path(out_dir))
    _CPU.lap()
    stages = Stages(partial(read_scan, job=job), partial(measure_scan, job=job), partial(write_scan, job=job))
    return map_cases(
        stages, cases, jobs=jobs, label="segment", resources={"GPU": 1} if bundle.device == "cuda" else None
    )


@dataclass(frozen=True)
class SegmentJob:
    """What all scans of one command share; small, since it is sent to each worker."""

    bundle_path: Path
    model_sha256: str
    parameters_sha256: str
    engine: str
    device: str
    out_dir: Path
    run: Run = field(compare=False)

    @classmethod
    def of(cls, bundle: Bundle, out_dir: Path) -> SegmentJob:
        """The job of one command."""
        parameters = _parameters(bundle)
        run = Run("segment", parameters | {"model": bundle.name, "model_sha256": bundle.model_sha256})
        sha256 = sha256_json(parameters)
        return cls(bundle.path, bundle.model_sha256, sha256, bundle.engine, bundle.device, out_dir, run)

    @property
    def bundle(self) -> Bundle:
        """The model, loaded once a process."""
        return _loaded(self.bundle_path, self.model_sha256, self.engine, self.device)


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan on its way: its identity, what was read of it, and what was found or why nothing was.

    ``status`` None means that nothing has gone wrong yet; ``reason`` says why it is not "done".
    """

    case: ScanCase
    key: str
    sha256: str | None = None
    image: Image | None = None
    found: Segmentation | None = None
    status: str | None = None
    reason: str | None = None


def read_scan(case: ScanCase, job: SegmentJob) -> Scan:
    """Read one scan of a table, unless its result is there already."""
    sha256 = sha256_file(case.path) if case.path.is_file() else None
    scan = sha256_json([case.patient_row(), case.scan_row("")])
    key = case_key({"ct": sha256, "scan": scan}, job.model_sha256, job.parameters_sha256)
    if is_done(job.out_dir, SHARD_KIND, key):
        return Scan(case, key, sha256, status="already_done")
    start_work()
    try:
        return Scan(case, key, sha256, read_image(case.path))
    except InputError as error:
        return Scan(case, key, sha256, status="failed_input", reason=error.what)


def measure_scan(scan: Scan, job: SegmentJob) -> Scan:
    """Segment one scan that was read; what goes wrong becomes its reason."""
    if scan.image is None:
        return scan
    try:
        return replace(scan, found=segment_scan(scan.image, job.bundle), status="done")
    except (ResourceError, MemoryError) as error:
        reason = error.what if isinstance(error, ResourceError) else "out of memory"
        return replace(scan, status=TRANSIENT_STATUS, reason=reason)
    except LaOutcomesError as error:
        return replace(scan, status="not_measured", reason=error.what)
    except Exception as error:
        return replace(scan, status=TRANSIENT_STATUS, reason=describe_bug(error))


def write_scan(scan: Scan, job: SegmentJob) -> Verdict:
    """Write mask, overlay and shard of one scan; the shard comes last and makes the result count."""
    if scan.status == "already_done" or scan.status is None:
        return "already_done", None
    scan, measured = _measured(scan, job)
    status = str(scan.status)
    keys = {"scan_id": scan.case.scan_id, "model_sha256": job.model_sha256}
    keys |= {"parameters_sha256": job.parameters_sha256}
    facts = {} if scan.image is None else _facts(scan.image)
    rows = {
        "patients": [scan.case.patient_row()],
        "scans": [facts | scan.case.scan_row(scan.sha256 or "") | {"sha256": scan.sha256}],
        "models": [job.bundle.model_row()],
        "la_measurements": [keys | measured | {"cpu_seconds": _CPU.lap(), "run_id": job.run.run_id}],
        "runs": [job.run.row()],
    }
    case_id, key = scan.case.scan_id, scan.key
    write_shard(job.out_dir, kind=SHARD_KIND, case_id=case_id, key=key, status=status, rows=rows)
    return status, scan.reason


def _measured(scan: Scan, job: SegmentJob) -> tuple[Scan, dict[str, Any]]:
    """Columns of ``la_measurements`` after mask and overlay are written; a full disk is a reason too."""
    if scan.found is not None and scan.image is not None:
        try:
            return scan, _written(scan.case, scan.image, scan.found, job)
        except ResourceError as error:
            scan = replace(scan, found=None, status=TRANSIENT_STATUS, reason=error.what)
    return scan, {"not_measured_reason": scan.reason}


def _facts(image: Image) -> dict[str, Any]:
    """What the image says for ``scans``."""
    return {
        "pixel_spacing_mm": float(image.spacing_mm[0]),
        "slice_spacing_mm": float(image.spacing_mm[2]),
    }


class _CpuClock:
    """Processor seconds of this process from one result to the next.

    Reading, computing and writing of neighbouring scans overlap, so seconds cannot be told apart by scan;
    what is told for a scan is what the process used since the one before, and the sum is right.
    """

    def __init__(self) -> None:
        self._last = time.process_time()

    def lap(self) -> float:
        """Seconds since the last call."""
        before, self._last = self._last, time.process_time()
        return round(self._last - before, 3)


_CPU = _CpuClock()


def _written(case: ScanCase, image: Image, found: Segmentation, job: SegmentJob) -> dict[str, Any]:
    """Write mask and overlay; the columns of a measured scan."""
    mask_path = Path("masks") / f"{case.scan_id}.nii.gz"
    picture_path = Path("overlays") / f"{case.scan_id}.png"
    write_image(job.out_dir / mask_path, Image(found.mask.astype(np.uint8), image.affine))
    (job.out_dir / picture_path).parent.mkdir(parents=True, exist_ok=True)
    title = f"{case.scan_id}: LA {found.la_volume_ml:.1f} mL by {job.bundle.name}"
    outlines = [(found.mask, "red", "LA")]
    if found.infarct is not None and found.infarct.any():
        outlines.append((found.infarct, "blue", "taken for infarct"))
    overlay_png(job.out_dir / picture_path, image, outlines, title=title)
    return found.row(job.bundle) | {
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
    if not is_dry_run():
        write_text_atomic(file, bundle.model_sha256)


def _parameters(bundle: Bundle) -> dict[str, Any]:
    fitted = {name: bundle.card.get(name) for name in CARD_SECTIONS}
    engine = {} if bundle.engine == DEFAULT_ENGINE else {"engine": bundle.engine}
    return {"algorithm": ALGORITHM_VERSION, "input": vars(bundle.spec), **fitted} | engine


@lru_cache(maxsize=1)
def _loaded(path: Path, sha256: str, engine: str, device: str) -> Bundle:
    bundle = load_bundle(path, engine=engine, device=device)
    if bundle.model_sha256 != sha256:
        raise InputError("the bundle changed while it was in use", where=path, hint="run it again")
    return bundle
