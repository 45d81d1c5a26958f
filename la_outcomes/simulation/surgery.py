"""Traces of surgery and dentistry: a bone flap with its burr holes, a missing flap, metal and its streaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.simulation.anatomy import INTRACRANIAL, LabelArray, Tissue, is_tissue
from la_outcomes.simulation.fields import FloatArray
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.sampling import Grid

_BONE = (Tissue.CORTICAL_BONE, Tissue.CANCELLOUS_BONE)
METAL_HU = 3071.0


def operated(head: Head, rng: np.random.Generator, model: dict[str, Any]) -> Head:
    """The head, after a craniotomy in few patients; ``model``: ``craniotomy`` of the head's parameters."""
    chance, without_flap = rng.random(2)
    if chance >= model["probability"]:
        return head
    bone = is_tissue(head.tissue, _BONE)
    places = np.argwhere(bone)
    mm = places + head.affine[:3, 3]
    vault = places[(mm[:, 2] > 5) & (np.abs(mm[:, 0]) > 25)]
    if len(vault) == 0:
        return head
    centre = vault[int(rng.integers(len(vault)))]
    radius = rng.uniform(*model["radius_mm"])
    tissue = head.tissue.copy()
    distance = np.linalg.norm(places - centre, axis=1)
    if without_flap < model["flap_missing"]:
        _replace(tissue, places[distance < radius], Tissue.MUSCLE)
    else:
        _cut(tissue, places, np.abs(distance - radius), rng, model)
    return replace(head, tissue=tissue)


def _cut(
    tissue: LabelArray,
    bone: npt.NDArray[np.int64],
    from_line: npt.NDArray[np.float64],
    rng: np.random.Generator,
    model: dict[str, Any],
) -> None:
    """A saw's gap along the line, and burr holes on it."""
    _replace(tissue, bone[from_line < model["gap_mm"] / 2], Tissue.MUSCLE)
    on_line = bone[from_line < 1]
    if len(on_line) == 0:
        return
    for hole in on_line[rng.integers(len(on_line), size=int(model["burr_holes"]))]:
        near = np.linalg.norm(bone - hole, axis=1) < model["burr_hole_radius_mm"]
        _replace(tissue, bone[near], Tissue.MUSCLE)


def _replace(tissue: LabelArray, places: npt.NDArray[np.int64], by: Tissue) -> None:
    tissue[tuple(places.T)] = by


def place_metal(
    head: Head, rng: np.random.Generator, model: dict[str, Any]
) -> npt.NDArray[np.float64] | None:
    """Centre (mm of the head) of a piece of metal in few patients: teeth, a clip at the base, the scalp."""
    chance, kind, side = rng.random(3)
    if chance >= model["probability"]:
        return None
    inside = np.argwhere(is_tissue(head.tissue, INTRACRANIAL)) + head.affine[:3, 3]
    low, high = inside.min(0), inside.max(0)
    sign = 1.0 if side < 0.5 else -1.0
    if kind < model["dental"]:
        return np.array([sign * 22.0, high[1] - 15.0, low[2] + rng.uniform(-5, 12)])
    if kind < model["dental"] + model["clip"]:
        return np.array([sign * rng.uniform(2, 22), 18 + rng.uniform(-8, 8), -22 + rng.uniform(-5, 5)])
    return np.array([sign * (high[0] + 12), rng.uniform(-40, 20), rng.uniform(0, 40)])


def add_metal(
    data: FloatArray,
    grid: Grid,
    centre_mm: npt.NDArray[np.float64] | None,
    rng: np.random.Generator,
    model: dict[str, Any],
) -> None:
    """Draw the metal and its streaks into the slices it touches: rays that fade as 1 / distance."""
    if centre_mm is None:
        return
    place = np.linalg.inv(grid.affine) @ np.linalg.inv(grid.pose) @ [*centre_mm, 1.0]
    along = np.linalg.norm(np.cross(grid.affine[:3, 0], grid.affine[:3, 1]))
    spacing = abs(np.linalg.det(grid.affine[:3, :3])) / along
    radius = rng.uniform(*model["radius_mm"])
    rays = ndimage.gaussian_filter1d(rng.standard_normal(720), 2.5, mode="wrap")
    rays = rays / rays.std() - 0.4
    pixel = float(np.linalg.norm(grid.affine[:3, 0]))
    x, y = (np.arange(n, dtype=np.float32) - p for n, p in zip(data.shape[:2], place[:2], strict=True))
    distance = np.hypot(x[:, None], y[None, :]) * pixel
    angle = (np.degrees(np.arctan2(y[None, :], x[:, None])) * 2).astype(int) % 720
    streaks = rays[angle] * model["streak_hu_at_10_mm"] * 10 / (distance + 4)
    for k in range(data.shape[2]):
        reach = radius + grid.thickness_mm / 2
        part = np.clip((reach - abs(k - place[2]) * spacing) / min(2 * radius, grid.thickness_mm), 0, 1)
        if part > 0:
            data[:, :, k] += (streaks * part).astype(np.float32)
            data[:, :, k][distance < radius] = METAL_HU * part
