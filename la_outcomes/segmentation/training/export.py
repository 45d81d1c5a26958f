"""From a trained network to a bundle: ONNX with one channel a structure, safetensors, the card."""

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
from la_outcomes.segmentation.outputs import Outputs
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


class LogOdds(torch.nn.Module):
    """A network of several classes as one channel a structure: its log odds against everything else."""

    def __init__(self, network: torch.nn.Module, outputs: Outputs) -> None:
        super().__init__()
        self.network = network
        everything = range(len(outputs.classes))
        self.inside = outputs.channels
        self.outside = [[n for n in everything if n not in channels] for channels in outputs.channels]

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """(slice, channel, row, column) to (slice, structure, row, column)."""
        logits = self.network(slices)
        pairs = zip(self.inside, self.outside, strict=True)
        return torch.cat([_pooled(logits, inside) - _pooled(logits, outside) for inside, outside in pairs], 1)


def _pooled(logits: torch.Tensor, channels: list[int]) -> torch.Tensor:
    """Logit of a union of classes: ln of the sum of their exponentials."""
    if len(channels) == 1:
        return logits[:, channels[0] : channels[0] + 1]
    return torch.logsumexp(torch.cat([logits[:, n : n + 1] for n in channels], 1), 1, keepdim=True)


def export_bundle(
    out: Path,
    network: torch.nn.Module,
    weights: Mapping[str, torch.Tensor],
    spec: InputSpec,
    card: Mapping[str, Any],
    *,
    half: bool = False,
) -> Bundle:
    """Write weights and card into ``out`` and load them back; the card comes last, so a bundle is whole.

    ``network`` is on the CPU in evaluation mode without deep supervision; ``card`` holds name, training
    and parity, and what differs from a CT model of LA: ``modality``, ``outputs``, ``intended_use``,
    ``limits``. ``half`` stores the safetensors as float16; ONNX stays float32, since normalisations are
    folded into its weights and rounding these would change what the network says.
    """
    from safetensors.torch import save

    outputs = Outputs.from_card(card.get("outputs", Outputs().as_card()))
    with atomic_path(out / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(onnx_bytes(network, spec, outputs))
    with atomic_path(out / TENSORS_FILE) as temporary:
        temporary.write_bytes(save({name: _stored(tensor, half) for name, tensor in weights.items()}))
    write_card(
        out,
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "kind": "segmentation",
            "modality": "CT",
            "weights": weights_entry(out / WEIGHTS_FILE),
            "tensors_for_training": weights_entry(out / TENSORS_FILE),
            "tensors": tensors_entry(spec, outputs),
            "orientation": ORIENTATION,
            "input": vars(spec),
            "outputs": outputs.as_card(),
            "intended_use": INTENDED_USE,
            "limits": LIMITS,
            **card,
        },
    )
    return load_bundle(out, modality=card.get("modality", "CT"))


def onnx_bytes(network: torch.nn.Module, spec: InputSpec, outputs: Outputs) -> bytes:
    """The network as one ONNX file: any number of slices in, log odds of each structure out."""
    buffer = io.BytesIO()
    example = torch.zeros(2, spec.slices, spec.size_px, spec.size_px)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            LogOdds(network, outputs).eval(),
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes={INPUT_NAME: {0: "slice"}, OUTPUT_NAME: {0: "slice"}},
            opset_version=17,
            dynamo=False,
        )
    return buffer.getvalue()


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    return tensor.half() if half and tensor.is_floating_point() else tensor
