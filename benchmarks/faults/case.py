"""One input of the corpus, and the sound files that faults are made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from la_outcomes.imaging.geometry import Array, Image

Verb = Literal["check", "convert"]
SHELLS = (
    ((83, 103, 93), 20.0), ((77, 97, 87), 900.0), ((70, 90, 80), 37.0), ((56, 74, 64), 28.0),
    ((12, 30, 15), 6.0),
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """``make`` writes the input into an empty folder and returns what to give to the verb.

    ``used`` True: an oddity that must not stop the scan from being used.
    """

    group: str
    name: str
    make: Callable[[Path], Path]
    verb: Verb = "check"
    used: bool = False
    modality: str = "CT"


def head_at(world: Array) -> Array:
    """HU of an ellipsoid head at places (3, ...), with noise."""
    values = np.full(world.shape[1:], -1000.0)
    for radii, level in SHELLS:
        scaled = world / np.reshape(radii, (3,) + (1,) * (world.ndim - 1))
        values[(scaled**2).sum(axis=0) <= 1] = level
    return np.maximum(values + np.random.default_rng(0).normal(0, 4, values.shape), -1024)


def places(
    shape: tuple[int, ...] = (64, 72, 38), spacing: tuple[float, ...] = (3.0, 3.1, 5.0)
) -> tuple[Array, Array]:
    """World mm of a grid centred on 0, (3, i, j, k), and its affine."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -(np.array(shape) - 1) / 2 * np.array(spacing)
    index = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ index + affine[:3, 3:]).reshape(3, *shape), affine


def sound_head() -> Image:
    """A head CT that can be used."""
    world, affine = places()
    return Image(head_at(world).astype(np.float32), affine)


def other_thing(what: str) -> Image:
    """A knee, a chest, a ball of water, a plastic head, a noise block: things that are no head."""
    world, affine = places((90, 70, 38), (4.5, 4.0, 5.0)) if what == "chest" else places()
    x, y, z = world
    rng = np.random.default_rng(1)
    values = np.full(x.shape, -1000.0)
    shells: dict[str, list[Any]] = {
        "knee": [((70, 70), -90), ((60, 60), 55), ((30, 30), 900), ((24, 24), 30)],
        "chest": [((190, 125), 40), ((150, 100), 900), ((142, 92), -850), ((60, 60), 40)],
        "ball": [((85, 85), 0)],
    }
    for (across, deep), level in shells.get(what, []):
        along = (z / 85) ** 2 if what == "ball" else 0
        values[(x / across) ** 2 + (y / deep) ** 2 + along <= 1] = level
    if what == "plastic head":
        values = head_at(world)
        values[((world / np.reshape((70, 90, 80), (3, 1, 1, 1))) ** 2).sum(axis=0) <= 1] = 34
    if what == "noise":
        values = rng.uniform(-1000, 1000, values.shape)
    return Image((values + rng.normal(0, 4, values.shape)).astype(np.float32), affine)
