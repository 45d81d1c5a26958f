"""A user's own nnU-Net v2 2D model as a bundle: plans and dataset read as JSON, weights without pickle.

What a bundle can hold: one CT channel under nnU-Net's CT normalisation, two classes, the plain or the
residual 2D U-Net, square pixels. Slices are predicted whole on a square as large as nnU-Net's patch;
where images are larger than the patch nnU-Net blends windows, and the parity says what that changes.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError, UsageError
from la_outcomes.segmentation.bundle import CARD_FILE, Bundle, load_bundle, write_card
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.export import export_bundle
from la_outcomes.segmentation.training.parity import parity_section, repeat_parity
from la_outcomes.segmentation.training.plans import CONFIGURATION
from la_outcomes.segmentation.training.weights import built_network, named_weights, oriented

STORED = ("RAS", "LPS")
_CHECKPOINT = "checkpoint_final.pth"
_SQUARE_TOLERANCE = 0.02


@dataclass(frozen=True)
class ImportJob:
    """What to import: nnU-Net's model folder, where to, which fold, and how its training files lay.

    ``stored`` is the order of the training images on disk: RAS as this package's ``convert`` writes
    them, LPS as many DICOM converters do. ``scans`` are head CTs for the parity.
    """

    folder: Path
    out: Path
    fold: str = "0"
    stored: str = "RAS"
    scans: Sequence[Path] = ()


def import_nnunet(job: ImportJob) -> Bundle:
    """Convert the model, measure its parity on the given scans, and return the bundle.

    Raises ``InputError`` where the folder is not such a model, the checkpoint holds anything but
    weights, numbers and text, or ``out`` holds a model already; ``UsageError`` for an unknown order.
    """
    if job.stored not in STORED:
        raise UsageError(f"training files cannot lie {job.stored!r}", hint=" or ".join(STORED))
    if (job.out / CARD_FILE).exists():
        raise InputError("the folder holds a model already", where=job.out, hint="choose another --out")
    plans, dataset = _read_json(job.folder / "plans.json"), _read_json(job.folder / "dataset.json")
    spec = input_spec(plans, dataset)
    neutral = _without_normalization(plans)
    network = built_network(neutral["configurations"][CONFIGURATION]["architecture"])
    checkpoint = job.folder / f"fold_{job.fold}" / _CHECKPOINT
    weights = named_weights(network, checkpoint_weights(checkpoint))
    card = {
        "name": f"imported-{job.folder.name}-fold{job.fold}",
        "training": {
            "patients": int(dataset.get("numTraining", 0)),
            "split": f"nnU-Net's own, fold {job.fold}",
            "simulated": False,
            "imported": True,
            "slice_spacing_mm": _slice_spacing(plans),
        },
        "nnunet": {"plans": neutral, "dataset": dataset, "stored": job.stored},
        "parity": parity_section([]),
    }
    bundle = export_bundle(job.out, oriented(network, job.stored), weights, spec, card)
    if job.scans:
        write_card(job.out, {**bundle.card, "parity": repeat_parity(bundle, job.scans)})
    return load_bundle(job.out)


def input_spec(plans: Mapping[str, Any], dataset: Mapping[str, Any]) -> InputSpec:
    """The bundle's grid and window from nnU-Net's plan; raises ``InputError`` where it has no such thing."""
    try:
        configuration = plans["configurations"][CONFIGURATION]
        rows, columns = configuration["patch_size"]
        spacing = [float(value) for value in configuration["spacing"]]
        schemes = configuration["normalization_schemes"]
        intensities = plans["foreground_intensity_properties_per_channel"]["0"]
        labels, channels = dataset["labels"], dataset["channel_names"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("the folder holds no plan of a 2D nnU-Net v2 model") from error
    if list(plans["transpose_forward"]) != [0, 1, 2] or abs(spacing[0] / spacing[1] - 1) > _SQUARE_TOLERANCE:
        raise InputError("the model's slices are not axial with square pixels")
    if len(channels) != 1 or schemes != ["CTNormalization"]:
        raise InputError("the model does not take one CT channel", hint="channel_names must be {'0': 'CT'}")
    if sorted(labels.values()) != [0, 1]:
        raise InputError("the model has other classes than background and one structure")
    return InputSpec(
        size_px=max(int(rows), int(columns)),
        spacing_mm=float(np.mean(spacing)),
        hu_low=float(intensities["percentile_00_5"]),
        hu_high=float(intensities["percentile_99_5"]),
        hu_centre=float(intensities["mean"]),
        hu_scale=max(float(intensities["std"]), 1e-8),
    )


def checkpoint_weights(checkpoint: Path) -> dict[str, Any]:
    """Weights of a checkpoint, read by another process that unpickles tensors and numbers alone."""
    from safetensors.torch import load_file

    if not checkpoint.is_file():
        raise InputError("the model has no such fold", where=checkpoint, hint="choose another --fold")
    module = "la_outcomes.segmentation.training.read_checkpoint"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "weights.safetensors"
        command = [sys.executable, "-m", module, str(checkpoint), str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not out.is_file():
            raise InputError(
                "the checkpoint is damaged or holds more than weights, numbers and text; it was not opened",
                where=checkpoint,
                hint="use the checkpoint as nnU-Net v2 wrote it",
            )
        return dict(load_file(out))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        hint = "give the folder that nnU-Net calls <trainer>__<plans>__2d"
        raise InputError("this is no nnU-Net v2 model folder", where=file, hint=hint) from error


def _without_normalization(plans: Mapping[str, Any]) -> dict[str, Any]:
    """The plan for input that the bundle's window has scaled already, with the 2D configuration alone."""
    changed = copy.deepcopy(dict(plans))
    configuration = changed["configurations"][CONFIGURATION]
    configuration["normalization_schemes"] = ["NoNormalization"]
    changed["configurations"] = {CONFIGURATION: configuration}
    return changed


def _slice_spacing(plans: Mapping[str, Any]) -> list[float]:
    spacing = plans.get("original_median_spacing_after_transp") or [0.0]
    return [float(spacing[0])] * 2
