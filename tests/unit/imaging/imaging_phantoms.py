"""Small phantoms in HU: a head (scalp, skull, grey and white matter, ventricles), a knee, a trunk."""

from __future__ import annotations

import numpy as np

from la_outcomes.imaging.geometry import Image

AIR, SCALP, BONE, GREY, WHITE, CSF, FAT = -1000.0, 20.0, 900.0, 37.0, 28.0, 6.0, -90.0


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """World mm (3, i, j, k) of a grid centred on 0, and its affine."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -(np.array(shape) - 1) / 2 * spacing
    index = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ index + affine[:3, 3:]).reshape(3, *shape), affine


def inside(
    world: np.ndarray, radii: tuple[float, float, float], centre: tuple[float, ...] = (0, 0, 0)
) -> np.ndarray:
    """Points of an ellipsoid."""
    scaled = (world - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(radii, (3, 1, 1, 1))
    return (scaled**2).sum(axis=0) <= 1


def head_values(world: np.ndarray, noise: float = 4.0, seed: int = 0) -> np.ndarray:
    """HU of a head at world points: ellipsoid shells of about a head's size."""
    values = np.full(world.shape[1:], AIR)
    for radii, level in (
        ((83, 103, 93), SCALP),
        ((77, 97, 87), BONE),
        ((70, 90, 80), GREY),
        ((56, 74, 64), WHITE),
        ((12, 30, 15), CSF),
    ):
        values[inside(world, radii)] = level
    drawn = np.random.default_rng(seed).normal(0, noise, values.shape)
    return np.maximum(values + drawn, -1024)


def head(
    shape: tuple[int, int, int] = (72, 84, 40), spacing: tuple[float, float, float] = (2.5, 2.6, 5.0)
) -> Image:
    """A head CT of few voxels."""
    world, affine = grid(shape, spacing)
    return Image(head_values(world).astype(np.float32), affine)


def stripped_head(background: float = 0.0) -> Image:
    """The same head with everything but the brain set to one value."""
    image = head()
    world, affine = grid(image.shape, (2.5, 2.6, 5.0))
    return Image(np.where(inside(world, (70, 90, 80)), image.data, background).astype(np.float32), affine)


def knee() -> Image:
    """A leg: fat and muscle around a bone's shell with marrow."""
    world, affine = grid((60, 60, 40), (3, 3, 5))
    values = np.full(world.shape[1:], AIR)
    across = world * np.reshape([1, 1, 0], (3, 1, 1, 1))
    for radius, level in ((70, FAT), (60, 55.0), (30, BONE), (24, 30.0)):
        values[inside(across, (radius, radius, 1))] = level
    return Image(values + np.random.default_rng(1).normal(0, 4, values.shape), affine)


def trunk() -> Image:
    """A chest: a wide body with lungs and a ring of rib around them."""
    world, affine = grid((120, 90, 40), (3.5, 3.5, 5))
    values = np.full(world.shape[1:], AIR)
    across = world * np.reshape([1, 1, 0], (3, 1, 1, 1))
    for radii, level in (((190, 125, 1), 40.0), ((150, 100, 1), BONE), ((142, 92, 1), 45.0)):
        values[inside(across, radii)] = level
    return Image(values + np.random.default_rng(2).normal(0, 4, values.shape), affine)


def mri() -> Image:
    """A head in the units of an MRI: 0 outside, hundreds inside."""
    image = head()
    return Image(np.clip(image.data + 1000, 0, None) * 0.4 * (image.data > -500), image.affine)


def ball_values(world: np.ndarray, noise: float = 4.0) -> np.ndarray:
    """HU of a ball of water in air, as big as a head, without a skull."""
    values = np.where((world**2).sum(axis=0) < 85**2, 30.0, AIR)
    return values + np.random.default_rng(3).normal(0, noise, values.shape)
