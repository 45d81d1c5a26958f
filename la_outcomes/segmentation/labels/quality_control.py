"""Is a pair's coregistration good enough for its label to train a network? Figures, thresholds, verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from la_outcomes.dictionary import load_dictionary
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.labels.coregistration import Coregistration, align
from la_outcomes.segmentation.labels.working import (
    Mask,
    WorkingScan,
    csf_on_ct,
    csf_on_flair,
)

EDGE_VOXELS = 2
NO_OVERLAP_DICE = 0.5
NO_LIKENESS = 0.0
# Two patients, as the package brings them together: correlation .17 to .49 and shift 1.8 to 14.6 mm.
UNLIKE_CORRELATION = 0.55
UNLIKE_SHIFT_MM = 1.75
CSF_FIT = "-m NCC 2x2x2 -n 30x15"
LARGEST_SHIFT_MM = 100.0
SMALLEST_BRAIN = 1000
FIGURES = (
    "csf_shift_mm",
    "csf_correlation",
    "brain_dice",
    "jacobian_p01",
    "jacobian_p99",
    "label_to_wmh_ratio",
    "label_outside_brain_fraction",
)


@dataclass(frozen=True)
class Quality:
    """Figures of one pair, named as in the registry, with the verdict.

    ``csf_shift_mm`` is how far the brain lies, on average, from where its CSF alone would put it.
    ``label_to_wmh_ratio`` is the carried volume over the native one, None where there is no WMH.
    ``status`` is accepted, review (a figure outside the dictionary's plausible range, scans too far apart
    in time, or a warning about an input) or failed (the brains do not overlap or are not alike: neither the
    correlation nor the shift alone tells two patients from one with thick slices, both together do);
    ``reason`` says why.
    """

    csf_shift_mm: float
    csf_correlation: float
    brain_dice: float
    jacobian_p01: float
    jacobian_p99: float
    label_to_wmh_ratio: float | None
    label_outside_brain_fraction: float
    status: str
    reason: str | None

    def figures(self) -> dict[str, float | None]:
        """The figures as columns of ``pseudo_labels``."""
        return {name: getattr(self, name) for name in FIGURES}


def judge(
    found: Coregistration,
    carried: Image,
    inside_ct: Mask,
    wmh_volume_ml: float,
    *,
    days_between: float | None = None,
    warnings: Sequence[str] = (),
) -> Quality:
    """Quality of one pair.

    ``carried`` is the soft map (0..1) with the infarct still in it and ``inside_ct`` the intracranial mask,
    both on the CT's grid; ``wmh_volume_ml`` the volume before it was carried.
    """
    low, high = np.percentile(found.jacobian, [1, 99])
    total = float(carried.data.sum())
    ratio = volume_ml(carried.data, carried.affine) / wmh_volume_ml if wmh_volume_ml > 0 else None
    figures = {
        "csf_shift_mm": csf_shift_mm(found.ct, found.flair),
        "csf_correlation": csf_correlation(found.ct, found.flair),
        "brain_dice": _dice(found.ct.mask, found.flair.mask),
        "jacobian_p01": float(low),
        "jacobian_p99": float(high),
        "label_to_wmh_ratio": ratio,
        "label_outside_brain_fraction": float(carried.data[~inside_ct].sum() / total) if total > 0 else 0.0,
    }
    status, reason = verdict(figures, days_between, warnings)
    return Quality(**figures, status=status, reason=reason)  # type: ignore[arg-type]


def thresholds() -> dict[str, tuple[float, float]]:
    """Range of each figure that needs no look, from the data dictionary; ``days_between`` is of ``pairs``."""
    tables = load_dictionary()
    columns = {name: tables.table("pseudo_labels").columns[name] for name in FIGURES}
    columns["days_between"] = tables.table("pairs").columns["days_between"]
    ranges = {name: column.plausible for name, column in columns.items()}
    return {name: limits for name, limits in ranges.items() if limits is not None}


def verdict(
    figures: Mapping[str, float | None], days_between: float | None = None, warnings: Sequence[str] = ()
) -> tuple[str, str | None]:
    """Status and reason from the figures of a pair."""
    names = ("brain_dice", "csf_correlation", "csf_shift_mm")
    dice, likeness, shift = (float(figures[name] or 0.0) for name in names)
    if dice < NO_OVERLAP_DICE:
        return "failed", f"the brains do not overlap (Dice {dice:.2f}): two patients?"
    if likeness < NO_LIKENESS or (likeness < UNLIKE_CORRELATION and shift > UNLIKE_SHIFT_MM):
        seen = f"CSF correlation {likeness:.2f}, {shift:.1f} mm from where the CSF alone would lie"
        return "failed", f"the brains are not alike ({seen}): two patients, or a coregistration gone wrong"
    measured = {**figures, "days_between": days_between}
    out = [
        f"{name} {value:.2f} outside {low:g} to {high:g}"
        for name, (low, high) in thresholds().items()
        if (value := measured[name]) is not None and not low <= value <= high
    ]
    said = [*warnings, *out]
    return ("review", "; ".join(said)) if said else ("accepted", None)


def csf_shift_mm(ct: WorkingScan, flair: WorkingScan) -> float:
    """Mean displacement (mm) of the brain by which a rigid fit of the CSF maps would move the FLAIR.

    Both scans lie on one grid in CT space. The fit compares local correlation of what is dark as CSF, which
    the coregistration itself does not look at; it starts from where the FLAIR lies, so that a value near 0
    means that nothing better is near.
    """
    both = ct.mask & flair.mask
    deep = ndimage.binary_erosion(ct.mask, iterations=EDGE_VOXELS)
    if min(both.sum(), deep.sum()) < SMALLEST_BRAIN:
        return LARGEST_SHIFT_MM
    grid = ct.image.affine
    fixed, moving = (
        Image(values.astype(np.float32), grid) for values in (csf_on_ct(ct), csf_on_flair(flair, both))
    )
    matrix = align(CSF_FIT, fixed, moving, np.eye(4), Image(deep.astype(np.float32), grid))
    points = np.argwhere(ct.mask)[::50] @ grid[:3, :3].T + grid[:3, 3]
    moved = points @ matrix[:3, :3].T + matrix[:3, 3] - points
    return min(float(np.linalg.norm(moved, axis=1).mean()), LARGEST_SHIFT_MM)


def csf_correlation(ct: WorkingScan, flair: WorkingScan) -> float:
    """Inside the brain, away from its edge: the edge alone would agree however the ventricles lie."""
    core = ndimage.binary_erosion(ct.mask, iterations=EDGE_VOXELS) & flair.mask
    if core.sum() < 100:
        return 0.0
    first, second = csf_on_ct(ct)[core], csf_on_flair(flair, core)[core]
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _dice(a: Mask, b: Mask) -> float:
    return float(2 * (a & b).sum() / max(int(a.sum() + b.sum()), 1))
