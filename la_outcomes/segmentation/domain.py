"""How unlike the heads a model knows a scan is: what is no head CT is refused, with what is odd about it.

Six figures of a scan (``FIGURES``) are compared with those of heads the model was checked on: the
Mahalanobis distance with a covariance shrunk by a tenth towards its diagonal and widened by ``ALLOWANCE``
(real scanners and heads vary more than simulated ones), divided by the largest such distance among those
heads themselves. 1 is therefore the least usual of the known heads; the card holds above which value a scan
is warned of and refused. Body parts and MRI mostly fail before, in
``imaging.head_ct``; this is for what looks like a head from afar: a phantom has bone but no fat. A figure
that a scan cannot have (fat, where the skull was taken off) is left out of its distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.outputs import BRAIN, PARENCHYMA
from la_outcomes.segmentation.reading import Reading
from la_outcomes.segmentation.volumetry import dice

Bools = npt.NDArray[np.bool_]

FIGURES: Mapping[str, str] = {
    "brain_agreement": "Dice of the network's brain and the thresholds'",
    "parenchyma_share": "share of the skull's inside that is no CSF",
    "unsure_share": "share of the skull's inside where the network is unsure",
    "fat_share": "fat outside the skull over the volume inside",
    "middle_hu": "median of HU inside the skull",
    "spread_hu": "10th to 90th percentile of HU inside the skull",
}
WARN_ABOVE = 1.5
REFUSE_ABOVE = 3.0
FEWEST_HEADS = 20
SMOOTH_PX, RIM_PX = 1.5, 6
CUT_HU = (-100.0, 200.0)
FAT_HU, AIR_HU, BONE_HU, LEAST_BONE = (-130.0, -40.0), -1000.0, 180.0, 0.05
ALLOWANCE: Mapping[str, float] = {
    "brain_agreement": 0.5,
    "parenchyma_share": 0.4,
    "unsure_share": 0.5,
    "fat_share": 0.5,
    "middle_hu": 2.5,
    "spread_hu": 4.0,
}
_SHRINKAGE = 0.1
_SHARES = ("brain_agreement", "parenchyma_share", "unsure_share")


@dataclass(frozen=True)
class Domain:
    """What the known heads look like; stands in the bundle's card.

    ``mean`` and ``inverse_covariance`` are of the figures on the scale of ``_scaled``; ``low`` and ``high``
    are the range of each figure as it is; ``largest`` is the largest distance among the ``n`` heads.
    """

    mean: tuple[float, ...]
    inverse_covariance: tuple[tuple[float, ...], ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    largest: float
    n: int
    warn_above: float = WARN_ABOVE
    refuse_above: float = REFUSE_ABOVE

    @classmethod
    def from_card(cls, values: Mapping[str, Any]) -> Domain:
        """Read the card's section; raises ``InputError`` where it is incomplete or not numeric."""
        try:
            given = dict(values)
            rows = tuple(tuple(float(x) for x in row) for row in given.pop("inverse_covariance"))
            lists = {name: tuple(float(x) for x in given.pop(name)) for name in ("mean", "low", "high")}
            found = cls(inverse_covariance=rows, **lists, **{k: float(v) for k, v in given.items()})  # type: ignore[arg-type]
            numbers = np.concatenate([np.ravel(value) for value in asdict(found).values()])
            whole = np.shape(rows) == (len(FIGURES), len(FIGURES)) and len(found.mean) == len(FIGURES)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError("the model card's domain cannot be read") from error
        if not (whole and np.isfinite(numbers).all() and found.largest > 0):
            raise InputError("the model card's domain cannot be used")
        return found

    def unlikeness(self, figures: Mapping[str, float]) -> float:
        """Distance of a scan's figures over the largest distance of the known heads."""
        apart = np.nan_to_num(_scaled([figures[name] for name in FIGURES]) - self.mean)
        return float(np.sqrt(apart @ np.array(self.inverse_covariance) @ apart)) / self.largest

    def oddest(self, figures: Mapping[str, float]) -> str:
        """The figure that lies furthest outside the known heads' range, in words."""
        spans = np.maximum(np.subtract(self.high, self.low), 1e-6)
        beyond = {
            name: max(low - figures[name], figures[name] - high) / span
            for name, low, high, span in zip(FIGURES, self.low, self.high, spans, strict=True)
            if np.isfinite(figures[name])
        }
        name = max(beyond, key=lambda key: beyond[key])
        place = list(FIGURES).index(name)
        limits = f"{self.low[place]:.3g} to {self.high[place]:.3g}"
        return f"{FIGURES[name]} {figures[name]:.3g}, {limits} in the heads the model knows"


def figures_of(image: Image, rough_brain: Bools, reading: Reading) -> dict[str, float]:
    """The figures of one scan (HU), from its intensities and from what the network says of it."""
    agreement = dice(reading.brain_on_scan(), rough_brain) or 0.0
    tenth, middle, ninetieth = _percentiles_hu(image, reading)
    whole = max(reading.soft_volume_ml(BRAIN), 1e-3)
    shares = [reading.share(name)[reading.brain] for name in reading.log_odds]
    unsure = float(np.mean([4 * p * (1 - p) for p in shares])) if reading.brain.any() else 1.0
    parenchyma, fat = reading.soft_volume_ml(PARENCHYMA) / whole, _fat_share(image, reading)
    values = (agreement, parenchyma, unsure, fat, middle, ninetieth - tenth)
    return {name: float(value) for name, value in zip(FIGURES, values, strict=True)}


def _percentiles_hu(image: Image, reading: Reading) -> npt.NDArray[np.float64]:
    """10th, 50th and 90th percentile of smoothed HU in the brain, away from bone; 0 without a brain."""
    kept = [ndimage.binary_erosion(part, iterations=RIM_PX) for part in reading.brain]
    inside = np.stack(kept) if kept else np.zeros_like(reading.brain)
    if not inside.any():
        return np.zeros(3)
    hu = reading.crop.to_square(np.clip(image.data, *CUT_HU), outside=CUT_HU[0])
    smooth = ndimage.gaussian_filter(hu, (0, SMOOTH_PX, SMOOTH_PX))
    return np.asarray(np.percentile(smooth[inside], (10, 50, 90)), dtype=np.float64)


def _fat_share(image: Image, reading: Reading) -> float:
    """Fat more than 2 mm from air, as a share of the brain; NaN where there is no skull it could lie on."""
    hu = reading.crop.to_square(np.clip(image.data, AIR_HU, BONE_HU + 100), outside=AIR_HU)
    inside = max(int(reading.brain.sum()), 1)
    if int((hu > BONE_HU).sum()) < LEAST_BONE * inside:
        return float("nan")
    near_air = np.stack([ndimage.binary_dilation(part < -300, iterations=2) for part in hu])
    return int(((hu > FAT_HU[0]) & (hu < FAT_HU[1]) & ~near_air).sum()) / inside


def fit_domain(figures: Sequence[Mapping[str, float]]) -> Domain:
    """The domain of known heads, widened by ``ALLOWANCE`` (logits of shares, HU).

    Raises ``InputError`` for fewer than 20 heads or figures that never vary.
    """
    if len(figures) < FEWEST_HEADS:
        raise InputError(f"a domain needs at least {FEWEST_HEADS} heads, not {len(figures)}")
    values = np.array([[head[name] for name in FIGURES] for head in figures])
    scaled = np.array([_scaled(row) for row in values])
    scaled = np.where(np.isnan(scaled), np.nanmean(scaled, axis=0), scaled)
    covariance = np.cov(scaled, rowvar=False)
    if not (np.isfinite(scaled).all() and (np.diag(covariance) > 0).all()):
        raise InputError("the heads' figures are not numbers or do not vary")
    covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.diag(np.diag(covariance))
    covariance += np.diag([ALLOWANCE[name] ** 2 for name in FIGURES])
    inverse, mean = np.linalg.inv(covariance), scaled.mean(axis=0)
    apart = scaled - mean
    distances = np.sqrt(np.einsum("ij,jk,ik->i", apart, inverse, apart))
    return Domain(
        mean=tuple(mean.tolist()),
        inverse_covariance=tuple(tuple(row) for row in inverse.tolist()),
        low=tuple(np.nanmin(values, axis=0).tolist()),
        high=tuple(np.nanmax(values, axis=0).tolist()),
        largest=float(distances.max()),
        n=len(values),
    )


def _scaled(figures: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Shares as logits, kept off 0 and 1; fat as its logarithm; HU as they are."""
    values = np.array(figures, dtype=float)
    shares = np.array([name in _SHARES for name in FIGURES])
    kept = np.clip(values[shares], 1e-3, 1 - 1e-3)
    values[shares] = np.log(kept / (1 - kept))
    fat = list(FIGURES).index("fat_share")
    values[fat] = np.log(values[fat] + 0.002)
    return values
