"""Where the pixels of a DICOM image lie and how their values are meant: of one image, or of each frame of an
enhanced multi-frame object (DICOM PS3.3 C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from la_outcomes.imaging.dicom_header import items, number, numbers, text_of, value_of, whole_number
from la_outcomes.imaging.geometry import Affine

MOST_FRAMES = 10_000


@dataclass(frozen=True, eq=False)
class Slice:
    """One image or frame: where its pixels lie (LPS mm), how thick its slab is, and what values mean.

    ``position`` is the centre of the first pixel, ``along_row`` and ``along_column`` the unit directions
    in which the column index and the row index grow (DICOM PS3.3 C.7.6.2.1.1); ``row_step_mm`` is the
    distance between rows, ``column_step_mm`` between columns. ``rescale`` is (slope, intercept), None
    where the header gives none; ``frame`` the number of the frame in its file, from 0.
    """

    path: Path = field(repr=False)
    position: Affine
    along_row: Affine
    along_column: Affine
    row_step_mm: float
    column_step_mm: float
    n_rows: int
    n_columns: int
    thickness_mm: float | None
    rescale: tuple[float, float] | None
    frame: int = 0

    @property
    def normal(self) -> Affine:
        """Unit normal of the slice, LPS."""
        return np.cross(self.along_row, self.along_column)


def slices_of(path: Path, header: Dataset) -> tuple[list[Slice], int]:
    """The slices in one file, and how many of its images do not say where they lie."""
    if not is_multi_frame(header):
        one = _slice(path, header, _flat(header), 0)
        return ([], 1) if one is None else ([one], 0)
    count = number_of_frames(header)
    if count > MOST_FRAMES:
        return [], count
    found = [_slice(path, header, groups, index) for index, groups in enumerate(_frames(header, count))]
    located = [one for one in found if one is not None]
    return located, count - len(located)


def is_multi_frame(header: Dataset) -> bool:
    """True for objects with functional groups, and for others with more than one frame."""
    return bool(items(header, "PerFrameFunctionalGroupsSequence")) or number_of_frames(header) > 1


def number_of_frames(header: Dataset) -> int:
    """Frames in the file, at least 1."""
    return max(whole_number(header, "NumberOfFrames"), 1)


def fill_from_groups(header: Dataset) -> Dataset:
    """Bring what an enhanced object says in its shared or first frame's groups to the top of its header.

    Kernel, tube voltage, contrast agent, image type, thickness, tilt and echo and inversion times then stand
    where classic objects have them.
    """
    frames = items(header, "PerFrameFunctionalGroupsSequence")
    for name, group in _MACROS:
        if value_of(header, name) in (None, ""):
            for holder in (*items(header, "SharedFunctionalGroupsSequence")[:1], *frames[:1]):
                for macro in items(holder, group)[:1]:
                    value = value_of(macro, name)
                    if value not in (None, ""):
                        setattr(header, name, value)
    if not text_of(header, "ContrastBolusAgent"):
        agents = items(header, "ContrastBolusAgentSequence")
        if agents:
            header.ContrastBolusAgent = text_of(agents[0], "CodeMeaning") or "given"
    if number(header, "EchoTime") is None and (echo := number(header, "EffectiveEchoTime")) is not None:
        header.EchoTime = str(echo)
    return header


_MACROS = (
    ("ConvolutionKernel", "CTReconstructionSequence"),
    ("KVP", "CTXRayDetailsSequence"),
    ("GantryDetectorTilt", "CTGeometrySequence"),
    ("SliceThickness", "PixelMeasuresSequence"),
    ("EffectiveEchoTime", "MREchoSequence"),
    ("InversionTimes", "MRModifierSequence"),
)


def _frames(header: Dataset, count: int) -> Iterator[dict[str, Dataset]]:
    """For each frame the first item of each functional group, its own before the shared one."""
    shared = items(header, "SharedFunctionalGroupsSequence")
    common = _groups(shared[0]) if shared else {}
    own = items(header, "PerFrameFunctionalGroupsSequence")
    for index in range(count):
        yield common | (_groups(own[index]) if index < len(own) else {})


_GROUPS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
)  # fmt: skip


def _groups(holder: Dataset) -> dict[str, Dataset]:
    return {name: found[0] for name in _GROUPS if (found := items(holder, name))}


def _flat(header: Dataset) -> dict[str, Dataset]:
    """A classic image, which says at the top what enhanced objects say in groups."""
    return dict.fromkeys(_GROUPS, header)


def _slice(path: Path, header: Dataset, groups: dict[str, Dataset], frame: int) -> Slice | None:
    """The image's place, or None where the header does not give one that can be true."""
    place, turn, measures, values = (groups.get(name, Dataset()) for name in _GROUPS)
    position = numbers(place, "ImagePositionPatient", 3)
    orientation = numbers(turn, "ImageOrientationPatient", 6)
    spacing = numbers(measures, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None or spacing.min() <= 0:
        return None
    along_row, along_column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if abs(lengths[0] - 1) > 0.01 or abs(lengths[1] - 1) > 0.01 or abs(along_row @ along_column) > 0.01:
        return None
    thickness = number(measures, "SliceThickness")
    slope, intercept = number(values, "RescaleSlope"), number(values, "RescaleIntercept")
    return Slice(
        path=path,
        position=position,
        along_row=along_row / lengths[0],
        along_column=along_column / lengths[1],
        row_step_mm=float(spacing[0]),
        column_step_mm=float(spacing[1]),
        n_rows=whole_number(header, "Rows"),
        n_columns=whole_number(header, "Columns"),
        thickness_mm=thickness if thickness and thickness > 0 else None,
        rescale=(slope, intercept or 0.0) if slope else None,
        frame=frame,
    )
