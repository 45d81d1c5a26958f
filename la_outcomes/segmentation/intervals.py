"""A 90 % interval for the LA volume of one CT, by split conformal prediction over left-out anatomies.

On the scale ln(mL + 1), truth minus prediction is divided by 0.2 plus the network's own doubt: the
distance between the volume that is nearly surely LA and the one that is possibly LA (log odds above +2 and
above -2). Of the heads of each anatomy the network was not trained on, the finite-sample quantiles of both
signs are taken; the interval uses the largest over the anatomies, since a new patient brings a new anatomy
and few anatomies cannot be exchanged like heads. Lei et al. 2018 (split conformal, locally weighted);
Dunn, Wasserman and Ramdas 2023 (groups).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError

LEVEL = 0.90
SURE_LOG_ODDS = 2.0
BASE = 0.2

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class VolumeReading:
    """LA volume of one scan (mL): as measured, nearly surely LA, and possibly LA."""

    measured_ml: float
    sure_ml: float
    possible_ml: float

    @property
    def doubt(self) -> float:
        """Distance of the two outer volumes on the scale ln(mL + 1)."""
        return max(math.log1p(self.possible_ml) - math.log1p(self.sure_ml), 0.0)


@dataclass(frozen=True)
class Interval:
    """What makes an interval of a reading; stands in the bundle's card.

    ``below`` and ``above`` are the quantiles of the scaled differences, ``base`` what is added to the doubt,
    ``n`` heads of ``anatomies`` it was fitted on, ``level`` its coverage.
    """

    below: float
    above: float
    base: float
    level: float
    n: int
    anatomies: int

    @classmethod
    def from_card(cls, values: Mapping[str, Any]) -> Interval:
        """Read the card's section; raises ``InputError`` where it is incomplete or not numeric."""
        try:
            found = cls(**{name: float(value) for name, value in values.items()})  # type: ignore[arg-type]
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError("the model card's interval cannot be read") from error
        if not all(math.isfinite(value) for value in asdict(found).values()) or found.base <= 0:
            raise InputError("the model card's interval cannot be used")
        return found

    def limits_ml(self, reading: VolumeReading) -> tuple[float, float]:
        """Lower and upper limit in mL, never negative; they need not hold the measured volume."""
        middle, scale = math.log1p(reading.measured_ml), self.base + reading.doubt
        low, high = middle - self.below * scale, middle + self.above * scale
        return max(math.expm1(low), 0.0), max(math.expm1(high), 0.0)


def fit_interval(
    readings: Sequence[VolumeReading],
    truth_ml: npt.ArrayLike,
    anatomies: Sequence[str],
    level: float = LEVEL,
) -> Interval:
    """Fit on heads of anatomies the network has not seen.

    Raises ``InputError`` for unequal lengths, volumes that are no numbers, or an anatomy with too few heads
    for the level (19 at 90 %).
    """
    truth, names = np.asarray(truth_ml, dtype=float), np.asarray(anatomies)
    if not (len(readings) == len(truth) == len(names)) or not np.isfinite(truth).all():
        raise InputError("each reading needs a true volume and an anatomy")
    doubts = np.array([reading.doubt for reading in readings])
    middles = np.log1p([reading.measured_ml for reading in readings])
    scores = (np.log1p(truth) - middles) / (BASE + doubts)
    groups = [scores[names == name] for name in np.unique(names)]
    tail = (1 + level) / 2
    return Interval(
        below=max(_quantile(-group, tail) for group in groups),
        above=max(_quantile(group, tail) for group in groups),
        base=BASE,
        level=level,
        n=len(scores),
        anatomies=len(groups),
    )


def _quantile(values: Floats, tail: float) -> float:
    """The ceil((n + 1) tail)-th smallest: a new value lies below it with probability of at least ``tail``."""
    place = math.ceil(round((len(values) + 1) * tail, 9))
    if place > len(values):
        needed = math.ceil(round(tail / (1 - tail), 9))
        raise InputError(f"an anatomy has {len(values)} heads, {needed} are needed for such an interval")
    return float(np.sort(values)[place - 1])
