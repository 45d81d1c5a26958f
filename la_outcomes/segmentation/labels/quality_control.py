"""Is a pair's coregistration good enough for its label to train a network? Figures, thresholds, verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from la_outcomes.dictionary import load_dictionary
from la_outcomes.segmentation.labels.coregistration import Coregistration, WorkingScan

CSF_HU = 13.5
CSF_SLOPE_HU = 3.5
CSF_SHARE_OF_BRAIN_SIGNAL = 0.7
CSF_SLOPE_SHARE = 0.1
EDGE_VOXELS = 2
MAP_BLUR_VOXELS = 2.0
NO_OVERLAP_DICE = 0.5
FIGURES = (
    "csf_correlation",
    "brain_dice",
    "jacobian_p01",
    "jacobian_p99",
    "label_outside_brain_fraction",
)

Volume = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Quality:
    """Figures of one pair, named as in the registry, with the verdict.

    ``status`` is accepted, review (a figure outside the dictionary's plausible range) or failed (the brains
    do not overlap); ``reason`` says which figure and its range.
    """

    csf_correlation: float
    brain_dice: float
    jacobian_p01: float
    jacobian_p99: float
    label_outside_brain_fraction: float
    status: str
    reason: str | None

    def figures(self) -> dict[str, float]:
        """The five figures as columns of ``pseudo_labels``."""
        return {name: float(getattr(self, name)) for name in FIGURES}


def judge(found: Coregistration, carried: Volume, inside_ct: npt.NDArray[np.bool_]) -> Quality:
    """Quality of one pair.

    ``carried`` is the soft map (0..1) and ``inside_ct`` the intracranial mask, both on the CT's grid. CSF
    maps are soft: dark in the CT below 13.5 HU, dark in the FLAIR below 0.7 of the brain's median.
    """
    low, high = np.percentile(found.jacobian, [1, 99])
    total = float(carried.sum())
    figures = {
        "csf_correlation": _csf_correlation(found.ct, found.flair),
        "brain_dice": _dice(found.ct.mask, found.flair.mask),
        "jacobian_p01": float(low),
        "jacobian_p99": float(high),
        "label_outside_brain_fraction": float(carried[~inside_ct].sum() / total) if total > 0 else 0.0,
    }
    status, reason = _verdict(figures)
    return Quality(**figures, status=status, reason=reason)


def thresholds() -> dict[str, tuple[float, float]]:
    """Range of each figure that needs no look, from the data dictionary."""
    columns = load_dictionary().table("pseudo_labels").columns
    ranges = {name: columns[name].plausible for name in FIGURES}
    return {name: limits for name, limits in ranges.items() if limits is not None}


def _verdict(figures: dict[str, float]) -> tuple[str, str | None]:
    if figures["brain_dice"] < NO_OVERLAP_DICE:
        return "failed", f"the brains do not overlap (Dice {figures['brain_dice']:.2f}): two patients?"
    out = [
        f"{name} {figures[name]:.2f} outside {low:g} to {high:g}"
        for name, (low, high) in thresholds().items()
        if not low <= figures[name] <= high
    ]
    return ("review", "; ".join(out)) if out else ("accepted", None)


def _csf_correlation(ct: WorkingScan, flair: WorkingScan) -> float:
    """Inside the brain, away from its edge: the edge alone would agree however the ventricles lie."""
    core = ndimage.binary_erosion(ct.mask, iterations=EDGE_VOXELS) & flair.mask
    if core.sum() < 100:
        return 0.0
    dark_ct = _logistic((CSF_HU - _masked_blur(ct.image.data, ct.mask)) / CSF_SLOPE_HU)
    relative = _masked_blur(flair.image.data, flair.mask) / float(np.median(flair.image.data[core]))
    dark_flair = _logistic((CSF_SHARE_OF_BRAIN_SIGNAL - relative) / CSF_SLOPE_SHARE)
    first = _masked_blur(dark_ct, ct.mask, MAP_BLUR_VOXELS)[core]
    second = _masked_blur(dark_flair, flair.mask, MAP_BLUR_VOXELS)[core]
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _masked_blur(values: Volume, mask: npt.NDArray[np.bool_], sigma_voxels: float = 1.0) -> Volume:
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma_voxels)
    inside = np.where(mask, np.clip(values, -100.0, None), 0.0)
    return np.asarray(ndimage.gaussian_filter(inside, sigma_voxels) / np.maximum(weight, 0.05))


def _logistic(values: Volume) -> Volume:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -50, 50))))


def _dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / max(int(a.sum() + b.sum()), 1))
