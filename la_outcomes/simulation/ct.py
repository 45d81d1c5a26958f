"""CT of a head: Hounsfield units of its tissues, thick slices, a vendor's blur, noise and artefacts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.simulation.anatomy import PARENCHYMA, Tissue, is_tissue
from la_outcomes.simulation.fields import FloatArray, drawn, smooth_field
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.lesions import Lesions
from la_outcomes.simulation.patient import CtSettings, PatientSpec
from la_outcomes.simulation.sampling import (
    Grid,
    draw_pose,
    grid_affine,
    index_range,
    sample,
    slice_directions,
)
from la_outcomes.simulation.surgery import add_metal

AIR_HU = -1000.0
_BONE = (Tissue.CORTICAL_BONE, Tissue.CANCELLOUS_BONE)
_BONE_STARTS_HU = 150.0
_CEREBRUM_AND_CEREBELLUM = (Tissue.CORTEX, Tissue.WHITE, Tissue.CEREBELLAR_CORTEX)
_HU_RANGE = (-1024, 3071)


def head_hu(
    head: Head, lesions: Lesions, patient: PatientSpec, rng: np.random.Generator, image: dict[str, Any]
) -> FloatArray:
    """Hounsfield units of the head's voxels before the scanner: tissues, lesions, soft edges.

    ``lesions`` as they show on CT. Source of each value: ``parameters.yaml``.
    """
    model = image["ct"]
    values = {name: drawn(model["hu"][name], rng) for name in ("LA", "acute_infarct", "old_infarct")}
    table = _tissue_hu(patient.ct.kvp, rng, model)
    texture = smooth_field(head.tissue.shape, 12.0, rng)
    hu = table[head.tissue] + texture * _texture_sd(model)[head.tissue]
    hu = ndimage.gaussian_filter(hu, image["head"]["soft_edge_mm"], truncate=3)
    contrast = np.float32(model["kvp_factor"][int(patient.ct.kvp)])
    mottle = smooth_field(hu.shape, 6.0, rng) * np.float32(model["infarct_texture_hu"])
    developed = 1 - np.exp(-patient.hours_from_onset / image["infarct"]["acute_tau_hours"])
    for value, share in (
        (values["LA"] * contrast, lesions.wmh.visible),
        (values["acute_infarct"], lesions.infarct * np.float32(developed)),
        (values["acute_infarct"], lesions.bleeding.oedema),
        (values["old_infarct"], lesions.old_infarct),
    ):
        # infarcts are mottled, and both sorts by the same field
        level = np.float32(value) + (mottle if share is not lesions.wmh.visible else 0)
        hu += np.minimum(level - hu, 0) * share
    hu += np.maximum(np.float32(drawn(model["hu"]["blood"], rng)) - hu, 0) * lesions.bleeding.blood
    return np.asarray(hu, dtype=np.float32)


def _texture_sd(model: dict[str, Any]) -> FloatArray:
    """SD (HU) of the slow variation within each ``Tissue``."""
    table = np.zeros(len(Tissue), dtype=np.float32)
    table[list(PARENCHYMA)] = model["texture_sd_hu"]["brain"]
    table[Tissue.MUSCLE] = model["texture_sd_hu"]["muscle"]
    return table


def _tissue_hu(kvp: float, rng: np.random.Generator, model: dict[str, Any]) -> FloatArray:
    """HU of each ``Tissue`` for this patient, indexed by class."""
    if int(kvp) not in model["kvp_factor"]:
        raise InputError(f"no contrast is known for {kvp:g} kV", hint=f"one of {list(model['kvp_factor'])}")
    table = np.array([drawn(model["hu"][tissue.name], rng) for tissue in Tissue], dtype=np.float32)
    for name, chance in model["calcified"].items():
        value = drawn(chance["hu"], rng)
        if rng.random() < chance["probability"]:
            table[Tissue[name]] = value
    return np.where(table > 0, table * np.float32(model["kvp_factor"][int(kvp)]), table)


def ct_grid(head: Head, settings: CtSettings, rng: np.random.Generator, model: dict[str, Any]) -> Grid:
    """The CT's grid: 512 or 256 pixels across the skull, slices from below the cerebellum to the vertex.

    Where the asked pixels would cut the skull off they are enlarged just enough.
    """
    pose = draw_pose(model, rng)
    pixels = 512 if settings.pixel_spacing_mm < 0.7 else 256
    unit = slice_directions(1.0, settings.slice_spacing_mm, settings.gantry_tilt_deg)
    low, high = index_range(is_tissue(head.tissue, _BONE), head.affine, pose, unit)
    needed = float((high - low)[:2].max()) + model["field_of_view_margin_mm"]
    spacing = max(settings.pixel_spacing_mm, round(needed / pixels + 5e-4, 3))
    directions = slice_directions(spacing, settings.slice_spacing_mm, settings.gantry_tilt_deg)
    skull_low, skull_high = index_range(is_tissue(head.tissue, _BONE), head.affine, pose, directions)
    brain_low, brain_high = index_range(
        is_tissue(head.tissue, _CEREBRUM_AND_CEREBELLUM), head.affine, pose, directions
    )
    first = (skull_low + skull_high) / 2 - (pixels - 1) / 2
    margin = settings.slice_thickness_mm / 2 / settings.slice_spacing_mm + 0.5
    first[2] = brain_low[2] - margin + rng.uniform(-0.5, 0.0)
    slices = int(np.ceil(brain_high[2] + margin - first[2])) + 1
    return Grid((pixels, pixels, slices), grid_affine(directions, first), settings.slice_thickness_mm, pose)


def scan_ct(
    hu: FloatArray,
    head: Head,
    grid: Grid,
    settings: CtSettings,
    rng: np.random.Generator,
    model: dict[str, Any],
    metal_mm: npt.NDArray[np.float64] | None = None,
) -> Image:
    """Take the CT: int16 HU on the grid; ``metal_mm``: where in the head a piece of metal is.

    Raises ``InputError`` for an unknown vendor or kernel.
    """
    vendor = reconstruction(settings, model)
    data = sample(hu, head.affine, grid, step_mm=model["step_mm"], outside=AIR_HU)
    pixel = float(grid.affine[0, 0])
    _move(data, pixel, rng, model["motion"])
    _add_headrest(data, pixel, rng, model["headrest"])
    add_metal(data, grid, metal_mm, rng, model["metal"])
    bone = np.clip(data - _BONE_STARTS_HU, 0, 1200) / np.float32(1200)
    data += _hardening(bone, pixel, rng, model)
    data += np.float32(vendor["hu_offset"]) * (data > -200)
    sigma = vendor["psf_mm"] / pixel
    data = ndimage.gaussian_filter(data, (sigma, sigma, 0), truncate=3)
    data += _noise(data, bone, settings, pixel, rng, model)
    _outside_circle(data)
    return Image(np.clip(np.rint(data), *_HU_RANGE).astype(np.int16), grid.affine)


def reconstruction(settings: CtSettings, model: dict[str, Any]) -> dict[str, float]:
    """Offset, blur and noise of a vendor's scanner with one of its kernels."""
    vendors, kernels = model["vendors"], model["kernels"]
    if settings.manufacturer not in vendors:
        raise InputError(f"no CT of {settings.manufacturer!r} is known", hint=f"one of {list(vendors)}")
    if settings.kernel not in kernels:
        raise InputError(f"no CT kernel {settings.kernel!r} is known", hint=f"one of {list(kernels)}")
    vendor, (blur, noise, peak) = vendors[settings.manufacturer], kernels[settings.kernel]
    return {
        "hu_offset": vendor["hu_offset"],
        "psf_mm": vendor["psf_mm"] * blur,
        "noise_hu_at_5_mm": vendor["noise_hu_at_5_mm"] * noise,
        "noise_peak": vendor["noise_peak"] * peak,
    }


def _move(data: FloatArray, pixel: float, rng: np.random.Generator, model: dict[str, Any]) -> None:
    """Some patients move during some slices: each of these is the mean of two positions."""
    moves = rng.random() < model["probability"]
    fewest, most = model["slices"]
    nearest, farthest = model["shift_mm"]
    count = int(rng.integers(fewest, most + 1))
    first = int(rng.integers(max(data.shape[2] - count, 1)))
    for index in range(first, min(first + count, data.shape[2])) if moves else ():
        shift = rng.uniform(nearest, farthest, size=2) * rng.choice([-1, 1], size=2) / pixel
        moved = ndimage.shift(data[:, :, index], shift, order=1, mode="nearest")
        data[:, :, index] = (data[:, :, index] + moved) / 2


def _add_headrest(data: FloatArray, pixel: float, rng: np.random.Generator, model: dict[str, Any]) -> None:
    """A thin shell of plastic behind the head, where there is only air."""
    present = rng.random() < model["probability"]
    radius = rng.uniform(*model["radius_mm"])
    if not present:
        return
    x, y = ((np.arange(n) - (n - 1) / 2) * pixel for n in data.shape[:2])
    distance = np.abs(np.hypot(x[:, None], y[None, :] + 6) - radius)
    gap = 70.0 * (rng.random() < model["sides_only"])
    thickness, hu = rng.uniform(*model["thickness_mm"]), rng.uniform(*model["hu"])
    if rng.random() < model["double"]:
        distance = np.minimum(distance, np.abs(distance - 5 * thickness))
    shell = (distance < thickness / 2) & (y[None, :] < -30) & (np.abs(x[:, None]) >= gap)
    data[shell] = np.where(data[shell] < -900, np.float32(hu), data[shell])


def _hardening(bone: FloatArray, pixel: float, rng: np.random.Generator, model: dict[str, Any]) -> FloatArray:
    """Rise along the skull, and streaks across the base where thick bone stands on both sides."""
    small = bone[::4, ::4]
    reach = model["cupping_reach_mm"] / (4 * pixel)
    rise = ndimage.gaussian_filter(small, (reach, reach, 0), truncate=3)
    rise *= np.float32(4 * drawn(model["cupping_hu"], rng))
    long, short = 30.0 / (4 * pixel), 5.0 / (4 * pixel)
    thick = ndimage.gaussian_filter(small, (long, short, 0.5), truncate=2)
    streaks = rng.standard_normal((1, *small.shape[1:]), dtype=np.float32)
    streaks = ndimage.gaussian_filter1d(streaks, 6.0 / (4 * pixel), axis=1)
    streaks *= np.float32(model["skull_base_bar_hu"] / max(float(streaks.std()), 1e-6))
    field = rise + streaks * np.clip((thick - 0.18) / 0.25, 0, 1)
    return np.asarray(
        ndimage.zoom(field, (4, 4, 1), order=1, grid_mode=True, mode="nearest"), dtype=np.float32
    )


def _noise(
    data: FloatArray,
    bone: FloatArray,
    settings: CtSettings,
    pixel: float,
    rng: np.random.Generator,
    model: dict[str, Any],
) -> FloatArray:
    """Noise with the kernel's texture; stronger in thin slices, behind much bone and at the centre."""
    vendor = reconstruction(settings, model)
    sd = vendor["noise_hu_at_5_mm"] * np.sqrt(5.0 / settings.slice_thickness_mm)
    sd = float(np.clip(sd * np.exp(model["noise_sd_ln"] * rng.standard_normal()), *model["noise_range_hu"]))
    noise = _coloured_noise(data.shape, pixel, float(vendor["noise_peak"]), rng)
    attenuation = bone.mean(axis=(0, 1))
    typical = max(float(np.median(attenuation)), 1e-6)
    by_slice = np.clip(attenuation / typical, 0.7, 1.6) ** 0.5
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in data.shape[:2]]
    centre = 1.1 - 0.3 * (axes[0][:, None] ** 2 + axes[1][None, :] ** 2)
    return np.asarray(
        noise * np.float32(sd) * by_slice.astype(np.float32) * np.clip(centre, 0.4, None)[..., None]
    )


def _coloured_noise(
    shape: tuple[int, ...], pixel: float, peak_per_mm: float, rng: np.random.Generator
) -> FloatArray:
    """Unit-variance noise, independent between slices, whose 2D spectrum rises to a peak and falls."""
    white = rng.standard_normal((shape[2], shape[0], shape[1]), dtype=np.float32)
    fx = fft.fftfreq(shape[0], pixel)[:, None]
    fy = fft.rfftfreq(shape[1], pixel)[None, :]
    square = fx**2 + fy**2
    gain = np.sqrt((0.03 * peak_per_mm + np.sqrt(square)) * np.exp(-square / (2 * peak_per_mm**2)))
    coloured = fft.irfft2(fft.rfft2(white) * gain.astype(np.float32), s=shape[:2])
    return np.asarray((coloured / coloured.std()).transpose(1, 2, 0), dtype=np.float32)


def _outside_circle(data: npt.NDArray[Any]) -> None:
    """Set what lies outside the reconstruction circle to the lowest value, as scanners do."""
    axes = [np.arange(n) - (n - 1) / 2 for n in data.shape[:2]]
    outside = axes[0][:, None] ** 2 + axes[1][None, :] ** 2 > (data.shape[0] / 2) ** 2
    data[outside] = _HU_RANGE[0]
