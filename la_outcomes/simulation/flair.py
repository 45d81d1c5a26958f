"""FLAIR of a head: signal of its tissues and lesions, coil shading, thick slices, Rician noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft, ndimage

from la_outcomes.imaging.geometry import Image
from la_outcomes.simulation.anatomy import INTRACRANIAL, Tissue, is_tissue
from la_outcomes.simulation.distortion import draw_distortion
from la_outcomes.simulation.fields import (
    FloatArray,
    bounding_box,
    drawn,
    linear_basis,
    mixed_field,
    separable,
    smooth_field,
)
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.lesions import Lesions
from la_outcomes.simulation.patient import FlairSettings, PatientSpec
from la_outcomes.simulation.sampling import (
    Grid,
    draw_pose,
    grid_affine,
    index_range,
    sample,
    slice_directions,
)

_GREY = (Tissue.CORTEX, Tissue.DEEP_GREY, Tissue.CEREBELLAR_CORTEX, Tissue.PALLIDUM)


def head_signal(
    head: Head, lesions: Lesions, patient: PatientSpec, rng: np.random.Generator, image: dict[str, Any]
) -> FloatArray:
    """FLAIR signal of the head's voxels, white matter = 1, before the scanner; ``lesions`` as they show."""
    model = image["flair"]
    spread = 1 + model["signal_sd"] * rng.standard_normal(len(Tissue))
    table = np.array([model["signal"][tissue.name] for tissue in Tissue])
    grey = list(_GREY)
    table[grey] = 1 + (table[grey] - 1) * drawn(model["grey_contrast"], rng)
    table *= spread
    signal = table.astype(np.float32)[head.tissue]
    if not patient.flair.has_skull:
        signal[~is_tissue(head.tissue, INTRACRANIAL)] = 0
    signal *= 1 + mixed_field(signal.shape, model["texture"]["control_mm"], model["texture"]["sd"], rng)
    signal += _flow(head, rng, model["flow"])
    signal = ndimage.gaussian_filter(signal, image["head"]["soft_edge_mm"], truncate=3)
    signal += _ependyma(head, float(model["ependyma"]))
    signal += (_wmh_signal(lesions.wmh.tissue, rng, model["wmh"]) - signal) * lesions.wmh.tissue
    infarct = np.float32(drawn(model["acute_infarct"], rng))
    signal += (infarct - signal) * (lesions.infarct + lesions.bleeding.oedema)
    signal += (_old_infarct_signal(lesions.old_infarct, model) - signal) * lesions.old_infarct
    signal += (np.float32(drawn(model["blood"], rng)) - signal) * lesions.bleeding.blood
    return np.asarray(signal, dtype=np.float32)


def _wmh_signal(tissue: FloatArray, rng: np.random.Generator, model: dict[str, Any]) -> FloatArray:
    """Signal inside WMH: rims a little above white matter, confluent lesions brighter towards their core."""
    core = drawn(model["core"], rng)
    rim = 1 + (core - 1) * drawn(model["rim_share"], rng)
    depth = ndimage.gaussian_filter(tissue, model["depth_mm"], truncate=2)
    rise = np.clip((depth - 0.35) / 0.5, 0, 1)
    return np.asarray(rim + (core - rim) * rise, dtype=np.float32)


def _flow(head: Head, rng: np.random.Generator, model: dict[str, Any]) -> FloatArray:
    """Fluid that moved and so was not suppressed: bright clouds in the ventricles and cisterns."""
    height = drawn(model["height"], rng)
    if rng.random() >= model["probability"]:
        return np.zeros(head.tissue.shape, dtype=np.float32)
    clouds = smooth_field(head.tissue.shape, model["control_mm"], rng)
    fluid = is_tissue(head.tissue, (Tissue.VENTRICLE, Tissue.CSF))
    return np.clip(clouds - 1, 0, 1) * fluid * np.float32(height)


def _ependyma(head: Head, height: float) -> FloatArray:
    """The bright rim that every head shows along its ventricles."""
    ventricle = head.tissue == Tissue.VENTRICLE
    box = bounding_box(ventricle, margin=5)
    near = ndimage.gaussian_filter(ventricle[box].astype(np.float32), 1.2, truncate=2)
    rim = np.zeros(ventricle.shape, dtype=np.float32)
    rim[box] = np.clip(near * 2.5, 0, 1) * np.float32(height) * (head.tissue[box] == Tissue.WHITE)
    return rim


def _old_infarct_signal(share: FloatArray, model: dict[str, Any]) -> FloatArray:
    """A dark cavity with a bright rim."""
    core = np.clip((ndimage.gaussian_filter(share, 2.5, truncate=2) - 0.75) / 0.2, 0, 1)
    rim, cavity = np.float32(model["old_infarct_rim"]), np.float32(model["old_infarct_core"])
    return np.asarray(rim + (cavity - rim) * core, dtype=np.float32)


def flair_grid(head: Head, settings: FlairSettings, rng: np.random.Generator, model: dict[str, Any]) -> Grid:
    """The FLAIR's grid: an oblique block around the skull, all slices parallel and at right angles."""
    pose = draw_pose(model, rng)
    directions = slice_directions(settings.pixel_spacing_mm, settings.slice_spacing_mm, 0.0)
    low, high = index_range(is_tissue(head.tissue, INTRACRANIAL), head.affine, pose, directions)
    margin = np.array([22.0, 26.0, 3.0]) / np.linalg.norm(directions, axis=0)
    count = np.ceil(high - low + 2 * margin).astype(int) + 1
    oblique = draw_pose(model, rng)
    affine = oblique @ grid_affine(directions, low - margin)
    shape = (int(count[0] + count[0] % 2), int(count[1] + count[1] % 2), int(count[2]))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, 8)
    places = (affine[:3, :3] @ corners + affine[:3, 3:]) * np.array([[-1.0], [-1.0], [1.0]])
    distortion = draw_distortion(places.T, rng, model["distortion"])
    return Grid(shape, affine, settings.slice_thickness_mm, pose @ np.linalg.inv(oblique), distortion)


def scan_flair(
    signal: FloatArray, head: Head, grid: Grid, rng: np.random.Generator, model: dict[str, Any]
) -> Image:
    """Take the FLAIR: int16 signal on the grid, in arbitrary units."""
    data = sample(signal, head.affine, grid, step_mm=model["step_mm"], outside=0.0)
    pixel = float(np.linalg.norm(grid.affine[:3, 0]))
    sigma = model["psf_mm"] / pixel
    data = ndimage.gaussian_filter(data, (sigma, sigma, 0), truncate=3)
    data = _ring(data, float(model["gibbs_cutoff"]))
    data *= _coil_shading(grid, rng, model["bias"])
    noise = np.float32(drawn(model["noise"], rng))
    real = data + noise * rng.standard_normal(data.shape, dtype=np.float32)
    imaginary = noise * rng.standard_normal(data.shape, dtype=np.float32)
    scale = np.float32(drawn(model["white_matter_signal"], rng))
    return Image(np.rint(np.hypot(real, imaginary) * scale).astype(np.int16), grid.affine)


def _ring(data: FloatArray, cutoff: float) -> FloatArray:
    """Cut the in-plane spatial frequencies above ``cutoff`` x Nyquist: Gibbs ringing beside sharp edges."""
    spectrum = fft.rfft2(data, axes=(0, 1))
    spectrum[np.abs(fft.fftfreq(data.shape[0])) > cutoff / 2] = 0
    spectrum[:, fft.rfftfreq(data.shape[1]) > cutoff / 2] = 0
    return np.asarray(fft.irfft2(spectrum, s=data.shape[:2], axes=(0, 1)), dtype=np.float32)


def _coil_shading(grid: Grid, rng: np.random.Generator, model: dict[str, Any]) -> FloatArray:
    """Smooth factor around 1, drawn on millimetres and read at the voxels."""
    spacing = np.linalg.norm(grid.affine[:3, :3], axis=0)
    extent = [int(np.ceil(n * s)) + 1 for n, s in zip(grid.shape, spacing, strict=True)]
    coarse = smooth_field([e // 8 + 2 for e in extent], model["control_mm"] / 8, rng)
    bases = [
        linear_basis(n, m, np.arange(n) * s / 8)
        for n, m, s in zip(grid.shape, coarse.shape, spacing, strict=True)
    ]
    return np.exp(np.float32(model["sd"]) * separable(coarse, bases))
