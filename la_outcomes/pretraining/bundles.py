"""From a checkpoint to a bundle: outputs, card, and whether ONNX says what PyTorch says."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from la_outcomes.pretraining.augment import COLUMNS
from la_outcomes.pretraining.loop import Learner, Schedule
from la_outcomes.pretraining.network import architecture
from la_outcomes.pretraining.pool import Pool
from la_outcomes.pretraining.takes import CLASSES, INFARCT, LESION
from la_outcomes.segmentation.bundle import Bundle
from la_outcomes.segmentation.outputs import Outputs
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.export import LogOdds, export_bundle
from la_outcomes.segmentation.training.plans import CONFIGURATION
from la_outcomes.segmentation.training.weights import named_weights
from la_outcomes.simulation.parameters import simulator_version

NAMES = {"CT": "la-ct-sim", "FLAIR": "wmh-flair-sim"}
LESION_NAMES = {"CT": "la", "FLAIR": "wmh"}
SLICE_SPACING_MM = {"CT": [1.0, 8.8], "FLAIR": [0.9, 9.1]}
_LAST_BIAS = "decoder.seg_layers.{}.bias"
PARITY_SLICES = 60
PARITY_AGREEMENT = 0.999

INTENDED_USE = {
    "CT": "Research: volume of leukoaraiosis on non-contrast head CT of adults, for studies of groups, "
    "after a look at the overlays. Not a medical device; not for decisions about a patient.",
    "FLAIR": "Research: white-matter hyperintensity on FLAIR of adults, for labels on CT or volumes for "
    "studies of groups, after a look at the overlays. Not a medical device; not for decisions about a "
    "patient.",
}
LIMITS = (
    "Trained on simulated acquisitions alone and not validated on patients. Real scanners differ from the "
    "simulated ones; volumes are comparable only within one model. Fine-tune or calibrate on own pairs "
    "before a study."
)


@dataclass(frozen=True)
class Shifts:
    """What is added to the logits of two classes at export."""

    lesion: float = 0.0
    infarct: float = 0.0


NO_SHIFTS = Shifts()


def outputs_of(modality: str) -> Outputs:
    """The network's classes and the structures made of them."""
    tissue = ("grey", "white", "lesion", "infarct")
    return Outputs(
        CLASSES,
        (
            (LESION_NAMES[modality], ("lesion",)),
            ("infarct", ("infarct",)),
            ("brain", ("csf", *tissue)),
            ("parenchyma", tissue),
        ),
    )


def export(
    learner: Learner, pool: Pool, spec: InputSpec, schedule: Schedule, out: Path, shifts: Shifts = NO_SHIFTS
) -> Bundle:
    """Write the bundle of a learner's network as it is now.

    ``shifts`` are added to the lesion's and the infarct's logits: where on validation heads volumes come out
    right and infarcts are not taken for lesions. The weights are rounded to float16 first, and ONNX is
    compared with PyTorch on slices of the pool.
    """
    network = copy.deepcopy(learner.network).eval()
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    with torch.no_grad():
        bias = dict(network.named_parameters())[_LAST_BIAS.format(len(learner.features) - 2)]
        bias[LESION] += shifts.lesion
        bias[INFARCT] += shifts.infarct
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    weights = named_weights(network, network.state_dict())
    card = _card(learner, pool, spec, schedule, shifts)
    bundle = export_bundle(out, network, weights, spec, {**card, "parity": {}}, half=True)
    parity = compare(bundle, network, pool)
    return export_bundle(out, network, weights, spec, {**card, "parity": parity}, half=True)


def compare(bundle: Bundle, network: torch.nn.Module, pool: Pool) -> dict[str, Any]:
    """Masks by ONNX Runtime against PyTorch's, slices of the pool's newest takes; the card's section."""
    slices = _slices(pool, bundle.spec)
    theirs = bundle.compute(slices)
    with torch.no_grad():
        ours = LogOdds(network, bundle.outputs).eval()(torch.from_numpy(slices)).numpy()
    same = {
        name: _overlap(theirs[:, channel] > 0, ours[:, channel] > 0)
        for channel, name in enumerate(bundle.outputs.names)
    }
    equivalent = all(value is None or value >= PARITY_AGREEMENT for value in same.values())
    return {
        "reference": "PyTorch's float32 network of the same weights, not nnU-Net's predictor: its "
        "preprocessing is not what this network was trained with",
        "cases": len(slices),
        "dice": same,
        "dice_min": min((value for value in same.values() if value is not None), default=None),
        "largest_log_odds_difference": float(np.abs(theirs - ours).max()),
        "threshold": PARITY_AGREEMENT,
        "equivalent": equivalent,
        "reason": None if equivalent else f"Dice below {PARITY_AGREEMENT}",
    }


def _slices(pool: Pool, spec: InputSpec) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(pool.seed)
    chosen = [pool.choose(rng) for _ in range(PARITY_SLICES)]
    return np.stack([spec.scaled(take.image[n : n + 3].astype(np.float32)) for take, n in chosen])


def _overlap(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float | None:
    total = int(first.sum()) + int(second.sum())
    return None if total == 0 else 2 * int((first & second).sum()) / total


def _card(
    learner: Learner, pool: Pool, spec: InputSpec, schedule: Schedule, shifts: Shifts
) -> dict[str, Any]:
    modality = pool.modality
    takes = schedule.first_takes + learner.iteration // schedule.per_take
    training = {
        "simulated": True,
        "simulator_version": simulator_version(),
        "acquisitions": takes,
        "heads": -(-takes // pool.takes_per_head),
        "anatomies": len(pool.sources.anatomies),
        "infarct_masks": len(pool.sources.masks),
        "vendors": list(pool.vendors),
        "split": "anatomies and infarcts of the training part; those of validation and test never seen",
        "slice_spacing_mm": SLICE_SPACING_MM[modality],
        "seed": pool.seed,
        "iterations": learner.iteration,
        "planned_iterations": schedule.iterations,
        "batch": schedule.batch,
        "learning_rate": schedule.rate,
        "cpu_seconds": round(learner.seconds),
        "lesion_logit_shift": shifts.lesion,
        "infarct_logit_shift": shifts.infarct,
    }
    plan = {
        "architecture": architecture(learner.features),
        "batch_size": schedule.batch,
        "patch_size": [spec.size_px, spec.size_px],
        "trained_columns": COLUMNS,
    }
    return {
        "name": NAMES[modality],
        "modality": modality,
        "outputs": outputs_of(modality).as_card(),
        "simulated": True,
        "validated_on_patients": False,
        "medical_device": False,
        "training": training,
        "nnunet": {"plans": {"configurations": {CONFIGURATION: plan}}, "stored": "RAS"},
        "intended_use": INTENDED_USE[modality],
        "limits": LIMITS,
    }
