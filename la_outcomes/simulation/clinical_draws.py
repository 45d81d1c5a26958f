"""Random draws that belong to a patient: the first k of a cohort do not change when more are simulated."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

FloatArray = NDArray[np.float64]
Columns = dict[str, NDArray]


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return the random stream of a seed and a name (cohort and variable, or centre and effect)."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence([seed, zlib.crc32("/".join(names).encode())]))
    )


@dataclass(frozen=True)
class Draws:
    """One stream a variable, so that a new variable leaves the others as they were."""

    seed: int
    cohort: str
    n: int

    def uniform(self, name: str) -> FloatArray:
        """(n,) uniform in (0, 1)."""
        return np.clip(generator(self.seed, self.cohort, name).random(self.n), 1e-12, 1 - 1e-12)

    def normal(self, name: str) -> FloatArray:
        """(n,) standard normal."""
        return np.asarray(ndtri(self.uniform(name)))

    def truncated_normal(self, name: str, low: FloatArray | float, high: FloatArray | float) -> FloatArray:
        """(n,) standard normal between ``low`` and ``high`` (in SD), by inversion: one draw a patient."""
        below, above = ndtr(low), ndtr(high)
        return np.asarray(ndtri(below + self.uniform(name) * (above - below)))

    def choice(self, name: str, shares: Mapping[str, float]) -> NDArray[np.object_]:
        """(n,) one of the keys of ``shares``, with probability in proportion to its value."""
        return pick(self.uniform(name), list(shares), list(shares.values()))


def pick(uniform: FloatArray, values: Sequence[object], weights: Sequence[float]) -> NDArray[np.object_]:
    """Return one of ``values`` for each uniform number, in proportion to ``weights``."""
    edges = np.cumsum(np.asarray(weights, dtype=float))
    return np.array(values, dtype=object)[np.searchsorted(edges / edges[-1], uniform, side="right")]
