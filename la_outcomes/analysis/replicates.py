"""The same random computation many times, each with random numbers of its own, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from la_outcomes.errors import StatisticsError
from la_outcomes.execution import Jobs, map_values

V = TypeVar("V")
MOST_FAILURES = 0.1
_MOST_TASKS = 64


def replicate(
    draw: Callable[[np.random.Generator], V | None], n: int, *, seed: int, hint: str, jobs: Jobs = 1
) -> list[V]:
    """Return what ``draw`` gives on ``n`` independent streams of one seed, without the failed ones (None).

    Stream i is the i-th child of ``numpy.random.SeedSequence(seed)``, so that the result does not depend on
    ``jobs``. Raises ``StatisticsError`` with ``hint`` where more than a tenth failed.
    """
    found = [value for value in streams(draw, n, seed=seed, jobs=jobs) if value is not None]
    if len(found) < max(2, (1 - MOST_FAILURES) * n):
        raise StatisticsError(
            f"{n - len(found)} of {n} resamples have no estimate", where="bootstrap", hint=hint
        )
    return found


def streams(draw: Callable[[np.random.Generator], V], n: int, *, seed: int, jobs: Jobs = 1) -> list[V]:
    """Return what ``draw`` gives on each of ``n`` independent streams, in their order."""
    seeds = np.random.SeedSequence(seed).spawn(n)
    size = max(1, -(-n // _MOST_TASKS))
    tasks = [seeds[first : first + size] for first in range(0, n, size)]
    return [value for part in map_values(partial(_drawn, draw), tasks, jobs=jobs) for value in part]


def _drawn(draw: Callable[[np.random.Generator], V], seeds: Sequence[np.random.SeedSequence]) -> list[V]:
    return [draw(np.random.default_rng(seed)) for seed in seeds]
