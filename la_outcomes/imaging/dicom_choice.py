"""Which DICOM series becomes a patient's CT or FLAIR: declared rules, each decision with its reason.

Rules are asked in the order of ``RULES``; the first that speaks against a series decides. What only the
pixels tell (another body part, missing slices, damage) is found when the series is converted. Of the series
that are left, a study keeps one CT and one FLAIR: original before derived, then the nominal thickness
nearer to 5 mm (what LA is read on and networks were trained on), then more slices.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from la_outcomes.imaging.dicom_series import Series

SMALLEST_COVERAGE_MM = 80.0
FEWEST_SLICES = 8
THICKEST_SLICE_MM = 10.5
PREFERRED_THICKNESS_MM = 5.0
STEEPEST_DEG = 45.0
SHARP_KERNEL_STRENGTH = 50
LARGEST_SIDE = 2048
MOST_VOXELS = 250_000_000
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

ScanKind = Literal["CT", "FLAIR"]


@dataclass(frozen=True)
class Rule:
    """A named rule; ``against`` gives the reason to leave a series out, or None."""

    name: str
    against: Callable[[Series], str | None]


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one series: the rule that left it out and why, or None and None."""

    series: Series
    rule: str | None
    reason: str | None


def judge(series: Series) -> Verdict:
    """Ask the rules one after the other."""
    for rule in RULES:
        reason = rule.against(series)
        if reason is not None:
            return Verdict(series, rule.name, reason)
    return Verdict(series, None, None)


def kind_of(series: Series) -> ScanKind | None:
    """CT, or FLAIR by the description or by its timing; None for everything else."""
    if series.modality == "CT":
        return "CT"
    return "FLAIR" if series.modality == "MR" and is_flair(series) else None


def is_flair(series: Series) -> bool:
    """FLAIR by name, or by an inversion time of 1500-3000 ms with an echo time of at least 70 ms."""
    names = " ".join(series.text(name) for name in ("SeriesDescription", "ProtocolName", "SequenceName"))
    if re.search(r"flair|dark.?fluid|tirm", names, re.IGNORECASE):
        return True
    inversion, echo = series.number("InversionTime"), series.number("EchoTime")
    inversion = series.number("InversionTimes") if inversion is None else inversion
    return inversion is not None and echo is not None and 1500 <= inversion <= 3000 and echo >= 70


def preference(series: Series) -> tuple[int, float, int, str]:
    """Sort key among usable series of one kind; the smallest is taken."""
    thickness = nominal_thickness_mm(series)
    distance = abs((PREFERRED_THICKNESS_MM if thickness is None else thickness) - PREFERRED_THICKNESS_MM)
    derived = int("DERIVED" in series.text("ImageType").upper())
    return derived, round(distance, 2), -len(series.slices), series.uid


def nominal_thickness_mm(series: Series) -> float | None:
    """The slice thickness that covers most millimetres of the series; None where none is given."""
    known = [one.thickness_mm for one in series.slices if one.thickness_mm is not None]
    values, counts = np.unique(np.round(known, 3), return_counts=True)
    return float(values[np.argmax(values * counts)]) if len(values) else None


def is_contrast_enhanced(series: Series) -> bool:
    """True where the header names a contrast agent, or the series' description tells of one.

    A description that says "without" in any of its usual forms is believed.
    """
    agent = series.text("ContrastBolusAgent").lower()
    if not (agent in ("", "no", "n", "0", "-") or _WITHOUT.search(agent)):
        return True
    description = series.text("SeriesDescription")
    return bool(_WITH.search(description)) and not _WITHOUT.search(description)


_WITHOUT = re.compile(
    r"\bnone\b|without|w/o|\bwo\b|\bnon?[ -]?con|\bunenhanced|\bnati|\bplain\b|\bc-(?!\w)|\bohne\b|\bsans\b",
    re.IGNORECASE,
)
_WITH = re.compile(
    r"\bc\+|\+c\b|\bcta\b|\bctv\b|\bctp\b|angio|perfusion|contrast|enhanced|\biodin|\bkm\b|arterial|venous",
    re.IGNORECASE,
)


def is_sharp_kernel(kernel: str) -> bool:
    """True for bone and lung kernels by their makers' names.

    GE: BONE, BONEPLUS, EDGE, LUNG, ULTRA; Siemens: letters and a strength of 50 or more (B60s, H70h,
    Hr64, J70h); Toshiba and Canon: FC30-FC59 and FC80-FC89; Philips: D, E, L, YA-YE. A name that is not
    known counts as soft.
    """
    name = kernel.split("\\")[0].strip().upper()
    if re.search(r"BONE|EDGE|LUNG|ULTRA", name) or name in {"D", "E", "L", "YA", "YB", "YC", "YD", "YE"}:
        return True
    if canon := re.match(r"FC(\d{2})", name):
        return 30 <= int(canon[1]) <= 59 or 80 <= int(canon[1]) <= 89
    siemens = re.match(r"(?:B|H|J|U|BR|HR|HC|BL|QR|UR)(\d{2})", name)
    return siemens is not None and int(siemens[1]) >= SHARP_KERNEL_STRENGTH


def _modality(series: Series) -> str | None:
    return None if series.modality in ("CT", "MR") else f"modality {series.modality or 'not given'}"


def _localiser(series: Series) -> str | None:
    kind = series.text("ImageType").upper()
    if series.text("SOPClassUID").startswith(_SECONDARY_CAPTURE):
        return "a secondary capture"
    for word, name in (("LOCALIZER", "a localiser"), ("SECONDARY", "a secondary capture")):
        if word in kind.split("\\"):
            return name
    return "a projection, not slices" if "PROJECTION" in kind or "MIP" in kind.split("\\") else None


def _identity(series: Series) -> str | None:
    if series.shared_number:
        return "images under one patient number give more than one date of birth: two persons may share it"
    return None


def _phantom(series: Series) -> str | None:
    names = ("PatientID", "PatientName", "StudyDescription", "SeriesDescription", "ProtocolName")
    named = any(_PHANTOM.search(series.text(name)) for name in names)
    return "the header names a phantom or a test of the scanner" if named else None


_PHANTOM = re.compile(
    r"phantom|\bqa\b|\bqc\b|quality (assurance|control)|water.?bath|calibration", re.IGNORECASE
)


def _size(series: Series) -> str | None:
    if series.largest_side > LARGEST_SIDE:
        return f"images of {series.largest_side} pixels a side: the header must be wrong"
    voxels = sum(one.n_rows * one.n_columns for one in series.slices)
    return f"{voxels} pixels are more than a scan of a head has" if voxels > MOST_VOXELS else None


def _geometry(series: Series) -> str | None:
    if series.n_without_geometry:
        return f"{series.n_without_geometry} of {series.n_images} images do not say where they lie"
    return None


def _sequence(series: Series) -> str | None:
    return "MR, but no FLAIR" if series.modality == "MR" and not is_flair(series) else None


def _plane(series: Series) -> str | None:
    if not series.slices:
        return "no images"
    upward = abs(float(series.slices[0].normal[2]))
    angle = float(np.degrees(np.arccos(min(upward, 1.0))))
    return f"slices stand {angle:.0f} degrees off the axial plane" if angle > STEEPEST_DEG else None


def _coverage(series: Series) -> str | None:
    if len(series.slices) < FEWEST_SLICES:
        return f"only {len(series.slices)} slices"
    along = [float(one.position @ series.slices[0].normal) for one in series.slices]
    covered = max(along) - min(along)
    return f"only {covered:.0f} mm are covered" if covered < SMALLEST_COVERAGE_MM else None


def _thickness(series: Series) -> str | None:
    thickness = nominal_thickness_mm(series)
    if thickness is None or thickness <= THICKEST_SLICE_MM:
        return None
    return f"slices of {thickness:g} mm are too thick"


def _contrast(series: Series) -> str | None:
    return "contrast agent given" if series.modality == "CT" and is_contrast_enhanced(series) else None


def _kernel(series: Series) -> str | None:
    sharp = series.modality == "CT" and is_sharp_kernel(series.text("ConvolutionKernel"))
    return "a bone or lung kernel" if sharp else None


RULES: tuple[Rule, ...] = (
    Rule("modality", _modality),
    Rule("image type", _localiser),
    Rule("identity", _identity),
    Rule("phantom", _phantom),
    Rule("size", _size),
    Rule("geometry", _geometry),
    Rule("sequence", _sequence),
    Rule("plane", _plane),
    Rule("coverage", _coverage),
    Rule("thickness", _thickness),
    Rule("contrast", _contrast),
    Rule("kernel", _kernel),
)
