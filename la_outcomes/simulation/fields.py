"""Random numbers with a name, and smooth random fields: the two things every simulated part draws from."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError

FloatArray = npt.NDArray[np.float32]


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each named part, so that one part's draws never shift another's.

    ``seed`` is any integer from 0; ``names`` say whose numbers they are, e.g. ("P0001", "lesions").
    """
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def smooth_field(shape: Sequence[int], control_mm: float, rng: np.random.Generator) -> FloatArray:
    """A Gaussian random field on a 1 mm grid, mean 0, SD near 1, cubic B-splines over a control grid.

    Parameters
    ----------
    shape : voxels (i, j, k), one per mm.
    control_mm : distance of the control points: about the size of the field's features.
    """
    bases = [_spline_basis(n, control_mm) for n in shape]
    control = rng.standard_normal([basis.shape[1] for basis in bases]).astype(np.float32)
    return separable(control * np.float32(_SPLINE_GAIN), bases)


def separable(values: npt.NDArray[Any], bases: Sequence[FloatArray]) -> FloatArray:
    """Apply one matrix (n, m) along each axis of an (m0, m1, m2) array."""
    field = np.tensordot(bases[0], values, axes=(1, 0))
    field = np.matmul(bases[1], field)
    return np.asarray(field @ bases[2].T, dtype=np.float32)


def linear_basis(n: int, m: int, position: npt.NDArray[Any]) -> FloatArray:
    """Matrix (n, m) that reads m samples at n positions (in samples) by linear interpolation, ends held."""
    held = np.clip(position, 0, m - 1)
    low = np.minimum(held.astype(int), m - 2)
    basis = np.zeros((n, m), dtype=np.float32)
    basis[np.arange(n), low] = 1 - (held - low)
    basis[np.arange(n), low + 1] = held - low
    return basis


# SD of the sum of independent unit normals weighted by cubic B-splines, averaged over a cell, cubed axes:
# mean of sum of squares of the four weights is 151/315.
_SPLINE_GAIN = (315.0 / 151.0) ** 1.5


def _spline_basis(n: int, control_mm: float) -> FloatArray:
    position = np.arange(n) / control_mm
    first = np.floor(position).astype(int)
    t = position - first
    weights = [
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    ]
    basis = np.zeros((n, int(first[-1]) + 4), dtype=np.float32)
    for offset, weight in enumerate(weights):
        basis[np.arange(n), first + offset] = weight
    return basis


def bounding_box(mask: npt.NDArray[np.bool_], margin: int = 2) -> tuple[slice, slice, slice]:
    """Smallest box around a mask, ``margin`` voxels wider; an empty mask gives the first corner."""
    spans = []
    for axis in range(3):
        where = np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis})))
        low, high = (int(where[0]), int(where[-1])) if where.size else (0, 0)
        spans.append(slice(max(low - margin, 0), min(high + margin + 1, mask.shape[axis])))
    return spans[0], spans[1], spans[2]


def smoothstep(values: npt.NDArray[Any]) -> FloatArray:
    """0 below 0, 1 above 1, 3t^2 - 2t^3 between."""
    t = np.clip(values, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def mixed_field(
    shape: Sequence[int], control_mm: Sequence[float], weight: Sequence[float], rng: np.random.Generator
) -> FloatArray:
    """Weighted sum of smooth fields of several sizes, on a 1 mm grid."""
    total = np.zeros(shape, dtype=np.float32)
    for size, share in zip(control_mm, weight, strict=True):
        total += np.float32(share) * smooth_field(shape, size, rng)
    return total


def drawn(model: dict[str, Any], rng: np.random.Generator) -> float:
    """A normal number of a parameter's ``mean`` and ``sd``, kept inside its ``range`` where it has one."""
    value = float(model["mean"]) + float(model["sd"]) * float(rng.standard_normal())
    low, high = model.get("range", (-np.inf, np.inf))
    return float(np.clip(value, low, high))


def threshold_for_volume(
    score: npt.NDArray[Any], weight: npt.NDArray[Any], volume_ml: float, edge: float
) -> FloatArray:
    """Soft set ``smoothstep((score - t) / (2 edge) + 1/2) * weight`` whose volume is as asked.

    ``score`` and ``weight`` (0..1, share of the voxel that may belong) are flat arrays over voxels of
    1 mm3. t is found by bisection, so that the sum is ``volume_ml`` to a part in 10^4. Raises
    ``InputError`` where the domain holds less than the volume.
    """
    target = volume_ml * 1000.0
    if target <= 0:
        return np.zeros(score.shape, dtype=np.float32)
    room = float(weight.sum(dtype=np.float64))
    if room < target:
        raise InputError(f"{volume_ml:.1f} mL do not fit into {room / 1000:.1f} mL of tissue")
    low, high = float(score.min()) - edge, float(score.max()) + edge
    soft = np.asarray(weight, dtype=np.float32)
    for _ in range(48):
        middle = (low + high) / 2
        soft = smoothstep((score - middle) / (2 * edge) + 0.5) * weight
        volume = float(soft.sum(dtype=np.float64))
        if abs(volume - target) <= 1e-4 * target:
            break
        low, high = (middle, high) if volume > target else (low, middle)
    return np.asarray(soft, dtype=np.float32)
