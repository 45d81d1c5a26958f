"""Simulated heads and other things that get scanned, as volumes that any slice can be cut from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from la_outcomes.imaging.geometry import Array, Image
from la_outcomes.simulation.ct import head_hu
from la_outcomes.simulation.flair import head_signal
from la_outcomes.simulation.pair import DrawnPatient, draw_patient
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import PatientSpec
from la_outcomes.simulation.template import template_anatomy

AIR = -1000.0


@dataclass(frozen=True, eq=False)
class Source:
    """A thing on the scanner's table: values by place (RAS mm); ``outside`` is what lies around it."""

    image: Image
    outside: float

    def seen(self, shape: tuple[int, int, int], affine: Array) -> Array:
        """Its values on a grid, linear between voxels."""
        to_source = np.linalg.inv(self.image.affine) @ affine
        index = to_source[:3, :3] @ np.indices(shape).reshape(3, -1) + to_source[:3, 3:]
        values = ndimage.map_coordinates(self.image.data, index, order=1, cval=self.outside, prefilter=False)
        return values.reshape(shape)


@lru_cache(maxsize=4)
def _drawn(number: int) -> DrawnPatient:
    patient = PatientSpec(f"archive-{number}", 60.0 + 5 * number, 4.0 + 6 * number)
    return draw_patient(template_anatomy(), patient, 100 + number, load_parameters()["image"])


@lru_cache(maxsize=8)
def head(number: int) -> Source:
    """A head in HU, smoothed to the resolution of the small matrices."""
    drawn = _drawn(number)
    image = load_parameters()["image"]
    rng = np.random.default_rng(number)
    hu = head_hu(drawn.head, drawn.seen(infarct=False), drawn.patient, rng, image)
    return Source(Image(ndimage.gaussian_filter(hu, 1.0), drawn.head.affine), AIR)


@lru_cache(maxsize=8)
def flair(number: int) -> Source:
    """The same head as FLAIR signal."""
    drawn = _drawn(number)
    image = load_parameters()["image"]
    rng = np.random.default_rng(number)
    signal = head_signal(drawn.head, drawn.seen(infarct=False), drawn.patient, rng, image)
    return Source(Image(ndimage.gaussian_filter(signal * 400, 1.0), drawn.head.affine), 0.0)


@lru_cache(maxsize=1)
def plastic_head() -> Source:
    """The first head with everything inside its skull of one plastic, as phantoms for image quality are."""
    source = head(0)
    soft = (source.image.data > -20) & (source.image.data < 100)
    core = ndimage.binary_opening(soft, iterations=3)
    labels, _ = ndimage.label(core)
    inside = ndimage.binary_dilation(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]), iterations=4)
    values = np.where(inside & (source.image.data < 150), 35.0, source.image.data)
    return Source(Image(values.astype(np.float32), source.image.affine), AIR)


@lru_cache(maxsize=4)
def body(what: str) -> Source:
    """A "chest" (wide, lungs, ribs), a "knee" or a "ball" of water."""
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    shape = (140, 100, 70)
    affine[:3, 3] = -(np.array(shape) - 1) / 2 * 3
    x, y, z = np.indices(shape) * 3.0 + affine[:3, 3].reshape(3, 1, 1, 1)
    values = np.full(shape, AIR)
    shells = {
        "chest": [((190, 130), 40.0), ((160, 110), 600.0), ((150, 100), -850.0), ((60, 60), 40.0)],
        "knee": [((70, 70), -90.0), ((60, 60), 55.0), ((30, 30), 900.0), ((24, 24), 30.0)],
        "ball": [((85, 85), 0.0)],
    }
    for (across, deep), level in shells[what]:
        along = (z / 85) ** 2 if what == "ball" else 0.0
        values[(x / across) ** 2 + (y / deep) ** 2 + along <= 1] = level
    return Source(Image(values.astype(np.float32), affine), AIR)
