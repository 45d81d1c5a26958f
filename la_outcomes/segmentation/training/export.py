"""From a trained network to a bundle: ONNX with one channel of logit difference, safetensors, the card."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from la_outcomes.segmentation.bundle import (
    FORMAT,
    FORMAT_VERSION,
    INPUT_NAME,
    OUTPUT_NAME,
    TENSORS_FILE,
    WEIGHTS_FILE,
    Bundle,
    load_bundle,
    tensors_entry,
    weights_entry,
    write_card,
)
from la_outcomes.segmentation.preprocessing import ORIENTATION, InputSpec
from la_outcomes.shards import atomic_path

INTENDED_USE = (
    "Research: volume of leukoaraiosis on non-contrast head CT of adults with ischaemic stroke, for "
    "studies of groups. Not a medical device; not for decisions about a patient."
)
LIMITS = (
    "Volumes are comparable only within one model. Scanners, kernels, slice thickness, age groups or "
    "diseases outside the training data need a validation of their own; part of what MRI shows leaves no "
    "contrast on CT."
)


class LogitDifference(torch.nn.Module):
    """A two-class network as one channel: foreground minus background logit; above 0 is foreground."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """(slice, 1, row, column) to (slice, 1, row, column)."""
        logits = self.network(slices)
        return logits[:, 1:2] - logits[:, 0:1]


def export_bundle(
    out: Path,
    network: torch.nn.Module,
    weights: Mapping[str, torch.Tensor],
    spec: InputSpec,
    card: Mapping[str, Any],
) -> Bundle:
    """Write weights and card into ``out`` and load them back; the card comes last, so a bundle is whole.

    ``network`` is on the CPU in evaluation mode without deep supervision; ``card`` holds name, training
    and parity.
    """
    from safetensors.torch import save

    with atomic_path(out / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(onnx_bytes(network, spec))
    with atomic_path(out / TENSORS_FILE) as temporary:
        temporary.write_bytes(save(dict(weights)))
    write_card(
        out,
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": "segmentation",
            "modality": "CT",
            "weights": weights_entry(out / WEIGHTS_FILE),
            "tensors_for_training": weights_entry(out / TENSORS_FILE),
            "tensors": tensors_entry(spec),
            "orientation": ORIENTATION,
            "input": vars(spec),
            "intended_use": INTENDED_USE,
            "limits": LIMITS,
            **card,
        },
    )
    return load_bundle(out)


def onnx_bytes(network: torch.nn.Module, spec: InputSpec) -> bytes:
    """The network as one ONNX file: any number of slices, logit difference out."""
    buffer = io.BytesIO()
    example = torch.zeros(2, 1, spec.size_px, spec.size_px)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            LogitDifference(network).eval(),
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "slice"}, OUTPUT_NAME: {0: "slice"}},
            opset_version=17,
            dynamo=False,
        )
    return buffer.getvalue()
