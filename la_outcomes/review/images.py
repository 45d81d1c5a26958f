"""What the viewer draws, as compact arrays: int16 for CT and FLAIR, one byte a voxel for all masks.

Arrays are (slice, row, column) as radiologists look at them: slices from below, row 0 anterior, column 0 the
patient's right. Only the part that holds the head is sent, from the vertex down to the skull base (masks
below it are shown all the same), so that no face goes over the wire.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, read_mask

HEAD_HU = -300.0
BELOW_VERTEX_MM = 150.0
HOLDER_SHARE = 0.05
MARGIN_VOXELS = 8
CACHE_BYTES = 800_000_000
FLAIR_TOP = 4095
MASK_BITS = {"prediction": 1, "label": 2, "reference": 4}

Array = npt.NDArray[Any]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Shown:
    """An array for the viewer and what it must know of it."""

    data: Array
    header: dict[str, Any]

    @property
    def size_bytes(self) -> int:
        """Memory the array takes."""
        return int(self.data.nbytes)


@dataclass(frozen=True, eq=False)
class Head:
    """A CT as read, with the box of its head; ``masks`` by name lie on the same grid."""

    ct: Image
    masks: Mapping[str, Array]
    box: Box

    @property
    def size_bytes(self) -> int:
        """Memory the arrays take."""
        return int(self.ct.data.nbytes + sum(mask.nbytes for mask in self.masks.values()))


@dataclass(frozen=True)
class CaseFiles:
    """Checked paths of one case; masks by name."""

    ct: Path
    flair: Path | None
    transform: Path | None
    masks: Mapping[str, Path]


class Cache:
    """Recently shown arrays, the oldest dropped first; each is made once however many ask for it."""

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._kept: OrderedDict[object, Any] = OrderedDict()
        self._making: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: object, make: Callable[[], Any]) -> Any:
        """The value of the key, made where it is not kept; an error of ``make`` is not kept."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            value = make()
            with self._lock:
                self._kept[key] = value
                self._shrink()
        return value

    def _shrink(self) -> None:
        while len(self._kept) > 1 and sum(v.size_bytes for v in self._kept.values()) > self._limit:
            key, _ = self._kept.popitem(last=False)
            self._making.pop(key, None)


def load_head(files: CaseFiles) -> Head:
    """Read a CT and its masks; ``InputError`` where one cannot be used or lies on another grid."""
    ct = read_image(files.ct)
    ct = Image(np.clip(np.rint(ct.data), -1024, 3071).astype(np.int16), ct.affine)
    masks = {name: read_mask(path, like=ct).data >= 0.5 for name, path in files.masks.items()}
    return Head(ct, masks, head_box(ct, list(masks.values())))


def head_box(ct: Image, masks: list[Array]) -> Box:
    """The part to show: the head from 150 mm below its top upwards, and all of the masks.

    Rows and columns with less than a twentieth of the fullest one's tissue hold the head's holder or skin.
    """
    dense = ct.data > HEAD_HU
    profiles = [dense.sum(axis=axes) for axes in ((1, 2), (0, 2), (0, 1))]
    shares = (HOLDER_SHARE, HOLDER_SHARE, 0.0)
    rows = [np.flatnonzero(p > share * p.max()) for p, share in zip(profiles, shares, strict=True)]
    spans = [(int(r[0]), int(r[-1])) if len(r) else (0, n - 1) for r, n in zip(rows, ct.shape, strict=True)]
    slice_mm = ct.voxel_volume_ml * 1000 / float(np.prod(ct.spacing_mm[:2]))
    lowest, highest = spans[2]
    spans[2] = (max(lowest, highest - int(BELOW_VERTEX_MM / slice_mm)), highest)
    for mask in masks:
        if mask.any():
            held = [np.flatnonzero(mask.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
            spans = [(min(a, int(h[0])), max(b, int(h[-1]))) for (a, b), h in zip(spans, held, strict=True)]
    margins = (MARGIN_VOXELS, MARGIN_VOXELS, 0)
    i, j, k = (
        slice(max(a - m, 0), min(b + m + 1, n)) for (a, b), m, n in zip(spans, margins, ct.shape, strict=True)
    )
    return i, j, k


def as_seen(data: Array, box: Box) -> Array:
    """(i, j, k) as (slice, row, column): the patient's right on the left, anterior at the top."""
    return np.ascontiguousarray(data[box][::-1, ::-1, :].transpose(2, 1, 0))


def show_ct(head: Head) -> Shown:
    """The CT in HU, int16."""
    return Shown(as_seen(head.ct.data, head.box), _header(head) | {"unit": "HU"})


def show_masks(head: Head) -> Shown:
    """All masks in one byte a voxel; ``MASK_BITS`` says which bit is which."""
    shape = tuple(part.stop - part.start for part in head.box)
    bits = np.zeros(shape, np.uint8)
    for name, mask in head.masks.items():
        bits |= np.where(mask[head.box], MASK_BITS[name], 0).astype(np.uint8)
    whole = (slice(None), slice(None), slice(None))
    volumes = {name: float(mask.sum()) * head.ct.voxel_volume_ml for name, mask in head.masks.items()}
    return Shown(as_seen(bits, whole), _header(head) | {"masks": volumes})


def show_flair(head: Head, files: CaseFiles) -> Shown:
    """The FLAIR carried into CT space by the stored transform, 0 to 4095, int16.

    Raises ``InputError`` where the case has no FLAIR or no transform.
    """
    if files.flair is None or files.transform is None:
        raise InputError("the case has no FLAIR in CT space")
    from la_outcomes.segmentation.labels.coregistration import carry
    from la_outcomes.segmentation.labels.transform_files import read_transform

    part = Image(head.ct.data[head.box], _boxed_affine(head))
    carried = carry(read_image(files.flair), part, read_transform(files.transform)).data
    positive = carried[carried > 0]
    top = float(np.percentile(positive[:: max(1, len(positive) // 200_000)], 99.8)) if len(positive) else 1.0
    scaled = np.clip(carried / top * FLAIR_TOP * 0.8, 0, FLAIR_TOP).astype(np.int16)
    whole = (slice(None), slice(None), slice(None))
    return Shown(as_seen(scaled, whole), _header(head) | {"unit": "FLAIR"})


def _boxed_affine(head: Head) -> Array:
    affine = head.ct.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([part.start for part in head.box])
    return affine


def _header(head: Head) -> dict[str, Any]:
    i, j, k = head.box
    column, row, slice_mm = (float(value) for value in head.ct.spacing_mm)
    return {
        "shape": [k.stop - k.start, j.stop - j.start, i.stop - i.start],
        "spacing_mm": [slice_mm, row, column],
        "first_slice": k.start + 1,
        "n_slices": head.ct.shape[2],
        "best": best_slice(head),
    }


def best_slice(head: Head) -> int:
    """The slice to show first, from the lowest shown: where the masks are largest, else the middle."""
    k = head.box[2]
    areas = sum((mask[:, :, k].sum(axis=(0, 1)) for mask in head.masks.values()), np.zeros(k.stop - k.start))
    return int(np.argmax(areas)) if np.any(areas) else (k.stop - k.start) // 2
