"""How a network does on a few validation heads, and which shift of its log odds keeps volumes right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from la_outcomes.pretraining import ct_takes, flair_takes
from la_outcomes.pretraining.heads import head_of
from la_outcomes.pretraining.pool import Pool
from la_outcomes.pretraining.takes import LESION, Take
from la_outcomes.segmentation.preprocessing import InputSpec, keep_volume
from la_outcomes.segmentation.volumetry import dice
from la_outcomes.simulation.fields import stream

SLICE_MM = 5.0
SHIFTS = tuple(float(value) for value in np.arange(-1.5, 1.51, 0.25))
_LEAST_DICE_ML = 5.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Case:
    """A validation acquisition, and how many mL a pixel of its slices holds."""

    take: Take
    voxel_ml: float


def validation_cases(pool: Pool, spec: InputSpec, heads: int) -> list[Case]:
    """One acquisition as simulated, in slices of 5 mm, of each of so many heads of the pool's sources."""
    voxel_ml = spec.spacing_mm**2 * SLICE_MM / 1000
    return [Case(_acquired(pool, number), voxel_ml) for number in range(heads)]


def _acquired(pool: Pool, number: int) -> Take:
    drawn = head_of(pool.sources, pool.seed, number, pool.image)[1]
    rng = stream(pool.seed, "validation", pool.modality, str(number))
    thick = {"slice_thickness_mm": SLICE_MM, "slice_spacing_mm": SLICE_MM}
    if pool.modality == "CT":
        ct = replace(ct_takes.draw_settings(pool.vendors, rng), **thick)  # type: ignore[arg-type]
        return ct_takes.ct_take(drawn, ct, rng, pool.image)
    flair = replace(flair_takes.draw_settings(rng), **thick, pixel_spacing_mm=0.9)  # type: ignore[arg-type]
    return flair_takes.flair_take(drawn, flair, rng, pool.image)


def log_odds(network: torch.nn.Module, take: Take, spec: InputSpec) -> Floats:
    """Log odds of the lesion, (slice, row, column), the network in evaluation mode."""
    stacks = np.stack([spec.scaled(take.image[n : n + 3].astype(np.float32)) for n in range(take.slices)])
    found = []
    network.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(stacks), 8):
            logits = network(torch.from_numpy(stacks[start : start + 8])).float()
            others = [n for n in range(logits.shape[1]) if n != LESION]
            found.append((logits[:, LESION] - torch.logsumexp(logits[:, others], 1)).numpy())
    network.train()
    return np.concatenate(found)


def measure(network: torch.nn.Module, cases: Sequence[Case], spec: InputSpec) -> dict[str, Any]:
    """Agreement with the drawn lesions as the network is, and at the shift that suits them best."""
    found = [log_odds(network, case.take, spec) for case in cases]
    by_shift = {shift: summary(found, cases, shift) for shift in SHIFTS}
    best = max(SHIFTS, key=lambda shift: _merit(by_shift[shift]))
    return {"validation": by_shift[0.0], "best_shift": best, "at_best_shift": by_shift[best]}


def summary(found: Sequence[Floats], cases: Sequence[Case], shift: float) -> dict[str, Any]:
    """Mean Dice above 5 mL, CCC and bias of volumes, false mL on lesion-free heads, infarct labelled."""
    rows = [_row(values + shift > 0, case) for values, case in zip(found, cases, strict=True)]
    truth, volume = (np.array([row[name] for row in rows]) for name in ("truth", "volume"))
    large = [row["dice"] for row in rows if row["truth"] > _LEAST_DICE_ML]
    free = volume[truth == 0]
    lost = [row["infarct_labelled"] for row in rows if row["infarct_labelled"] is not None]
    return {
        "dice_above_5_ml": _mean(large),
        "ccc": _ccc(truth, volume),
        "bias_ml": _mean(volume - truth),
        "false_ml": _mean(free),
        "infarct_labelled": _mean(lost),
    }


def _row(mask: npt.NDArray[np.bool_], case: Case) -> dict[str, Any]:
    lesion, infarct = case.take.lesion / np.float32(255), case.take.infarct / np.float32(255)
    total = float(infarct.sum()) * case.voxel_ml
    return {
        "truth": float(lesion.sum()) * case.voxel_ml,
        "volume": float(mask.sum()) * case.voxel_ml,
        "dice": dice(mask, keep_volume(lesion)),
        "infarct_labelled": float(infarct[mask].sum()) * case.voxel_ml / total if total > 1 else None,
    }


def _merit(row: dict[str, Any]) -> float:
    return float(row["ccc"] or 0) + float(row["dice_above_5_ml"] or 0) - 0.02 * float(row["false_ml"] or 0)


def _mean(values: Any) -> float | None:
    values = np.asarray(values, dtype=float)
    return round(float(values.mean()), 4) if values.size else None


def _ccc(truth: npt.NDArray[Any], volume: npt.NDArray[Any]) -> float | None:
    spread = truth.var() + volume.var() + (truth.mean() - volume.mean()) ** 2
    if len(truth) < 3 or spread == 0:
        return None
    return round(float(2 * np.mean((truth - truth.mean()) * (volume - volume.mean())) / spread), 4)
