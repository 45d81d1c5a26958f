"""What a file or folder is, in plain words, and whether it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, is_sheared, lean_deg
from la_outcomes.imaging.head_ct import examine_head
from la_outcomes.imaging.nifti import SUFFIXES, orientation_of, read_image

Expected = Literal["CT", "FLAIR"]
_SQUARE = 1e-4  # cosine between axes that files of single precision leave of a right angle


@dataclass(frozen=True)
class Description:
    """What was found at ``path``: plain sentences, the modality it looks like, and why it is no use."""

    path: Path
    lines: tuple[str, ...]
    modality: str
    usable: bool
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it, for a terminal."""
        verdict = "can be used" if self.usable else "cannot be used: " + "; ".join(self.reasons)
        return "\n".join([f"{self.path.name}: {verdict}", *(f"  {line}" for line in self.lines)])


def check_head_ct(image: Image) -> str | None:
    """Reason why ``image`` (HU) cannot be measured as a head CT, or None where it can."""
    return examine_head(image).reason


def describe(path: str | Path, expected: Expected = "CT") -> Description:
    """Describe a NIfTI file, or DICOM in a folder, zip or DICOMDIR, and judge it as a head CT or as a FLAIR.

    A folder is usable where at least one of its series is. Nothing raised by a bad file gets out: it
    becomes a reason. Raises ``InputError`` only where nothing is at ``path``.
    """
    path = Path(path)
    if path.is_dir():
        return _describe_dicom(path, expected)
    if not path.is_file():
        raise InputError("no such file or folder", where=path)
    if not path.name.lower().endswith(SUFFIXES):
        return _describe_dicom(path, expected)
    try:
        image = read_image(path)
    except InputError as error:
        return _useless(path, error)
    return _describe_image(path, image, expected)


def nifti_files(folder: str | Path) -> list[Path]:
    """NIfTI files below a folder, sorted."""
    return sorted(p for p in Path(folder).rglob("*") if p.name.endswith(SUFFIXES) and p.is_file())


def _useless(path: Path, error: InputError) -> Description:
    hint = (f"hint: {error.hint}",) if error.hint else ()
    return Description(path, hint, "unknown", False, (error.what,))


def _describe_image(path: Path, image: Image, expected: Expected) -> Description:
    findings = examine_head(image)
    lines = tuple(_geometry_lines(image))
    if expected == "FLAIR":
        wrong = "this is a CT" if findings.modality != "not CT" else mri_reason(image)
        reasons = () if wrong is None else (wrong,)
        modality = "MRI" if wrong is None else findings.modality
        notes: tuple[str, ...] = ()
    else:
        reasons = () if findings.reason is None else (findings.reason,)
        modality, notes = findings.modality, findings.notes
    return Description(path, (*lines, *(f"note: {n}" for n in notes)), modality, not reasons, reasons)


def mri_reason(image: Image) -> str | None:
    """Little can be told of an MRI from its values: only what is plainly no image is refused."""
    low, high = float(image.data.min()), float(image.data.max())
    if low == high:
        return f"the image is one constant value, {low:g}"
    if len(np.unique(image.data[:: max(image.shape[0] // 32, 1)])) < 20:
        return "fewer than 20 different values: a mask or label map, not an MRI"
    return None


def _geometry_lines(image: Image) -> Iterator[str]:
    size = " x ".join(str(n) for n in image.shape)
    step = " x ".join(f"{value:.3g}" for value in image.spacing_mm)
    yield f"{size} voxels, {step} mm apart; one voxel is {image.voxel_volume_ml * 1000:.4g} mm3"
    yield f"axes point to {orientation_of(image.affine)}; values {image.data.min():g} to {image.data.max():g}"
    if is_sheared(image.affine):
        tilt, apart = lean_deg(image.affine), slice_distance_mm(image)
        yield f"gantry tilt {tilt:.1f} degrees, held in the affine; slices {apart:.3g} mm apart"


def slice_distance_mm(image: Image) -> float:
    """Distance between the slices' planes of a sheared image: voxel volume over area of a pixel.

    A tilt leaves two pairs of axes at right angles; the pair with the smaller pixels spans the slices.
    """
    spacing = image.spacing_mm
    columns = image.affine[:3, :3] / spacing
    pairs = ((0, 1), (0, 2), (1, 2))
    leans = [abs(float(columns[:, a] @ columns[:, b])) for a, b in pairs]
    square = [
        float(spacing[a] * spacing[b])
        for (a, b), lean in zip(pairs, leans, strict=True)
        if lean <= min(leans) + _SQUARE
    ]
    return image.voxel_volume_ml * 1000 / min(square)


def _describe_dicom(path: Path, expected: Expected) -> Description:
    from la_outcomes.imaging.dicom_choice import judge, kind_of
    from la_outcomes.imaging.dicom_series import find_series
    from la_outcomes.imaging.dicom_stack import plan_stack

    try:
        found = find_series(path)
    except InputError as error:
        return _useless(path, error)
    lines, usable = [], []
    for number, series in enumerate(found.series, start=1):
        kind, verdict = kind_of(series), judge(series)
        reason = verdict.reason
        try:
            layout = "" if reason else "; " + plan_stack(series.slices).description
        except InputError as error:
            layout, reason = "", error.what
        judged = f"left out: {reason}" if reason else "usable"
        lines.append(
            f"series {number}: {kind or series.modality}, {series.n_images} images{layout}; {judged}"
        )
        usable.append(reason is None and kind == expected)
    lines += [f"{found.n_other_files} other files", *found.notes]
    reasons = () if any(usable) else (f"no series can be used as {expected}",)
    return Description(path, tuple(lines), expected if any(usable) else "unknown", any(usable), reasons)
