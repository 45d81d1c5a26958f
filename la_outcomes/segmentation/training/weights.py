"""Weights of a bundle as torch tensors: for fine-tuning, and to repeat the parity with nnU-Net."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from la_outcomes.errors import InputError
from la_outcomes.segmentation.bundle import TENSORS_FILE, Bundle
from la_outcomes.segmentation.training.plans import CONFIGURATION
from la_outcomes.shards import sha256_file

Weights = Mapping[str, torch.Tensor]

_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
_NETWORK_MODULE = "dynamic_network_architectures.architectures.unet"
_PARTS = {
    "conv_op": "torch.nn.modules.conv.Conv2d",
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
    "nonlin": "torch.nn.LeakyReLU",
    "dropout_op": None,
}


def read_weights(path: Path, card: Mapping[str, Any]) -> Weights:
    """The bundle's safetensors; raises ``InputError`` where they are missing or not those of the card."""
    from safetensors.torch import load

    file = path / TENSORS_FILE
    entry = card.get("tensors_for_training")
    if not file.is_file() or not isinstance(entry, dict) or sha256_file(file) != entry.get("sha256"):
        raise InputError(
            "the bundle's weights for training are missing or altered",
            where=file,
            hint="copy the whole bundle again; fine-tuning and verifying need its safetensors",
        )
    return load(file.read_bytes())


def copy_weights(network: torch.nn.Module, weights: Weights) -> None:
    """Put named weights into a network; raises ``InputError`` where they are of another architecture."""
    own = dict(network.named_parameters())
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in weights.items()}:
        raise InputError(
            "the weights are of another architecture",
            hint="fine-tune with the recipe the model was trained with",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def named_weights(network: torch.nn.Module, weights: Weights) -> dict[str, torch.Tensor]:
    """Copy a state dictionary into the network, and return each of its parameters once, by name.

    nnU-Net's state dictionaries hold shared tensors under several names. Raises ``InputError`` as
    ``copy_weights``.
    """
    own = {name: weights[name] for name, _ in network.named_parameters() if name in weights}
    copy_weights(network, own)
    return own


def rebuilt_network(bundle: Bundle) -> torch.nn.Module:
    """nnU-Net's network of the card with the bundle's weights, on the CPU, in evaluation mode."""
    try:
        architecture = bundle.card["nnunet"]["plans"]["configurations"][CONFIGURATION]["architecture"]
    except (KeyError, TypeError) as error:
        raise InputError("the card holds no nnU-Net plan", where=bundle.path) from error
    network = built_network(architecture)
    copy_weights(network, read_weights(bundle.path, bundle.card))
    return oriented(network, bundle.card["nnunet"].get("stored", "RAS")).eval()


def built_network(architecture: Mapping[str, Any]) -> torch.nn.Module:
    """nnU-Net's network of a plan, untrained, in evaluation mode.

    Raises ``InputError`` where the plan names any class but those of nnU-Net's 2D U-Nets: a file from
    outside must not choose what is imported.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    try:
        kwargs = dict(architecture["arch_kwargs"])
        name = str(architecture["network_class_name"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("the plan describes no network") from error
    known = {f"{_NETWORK_MODULE}.{network}" for network in _NETWORKS}
    if name not in known or {part: kwargs.get(part) for part in _PARTS} != _PARTS:
        raise InputError("the plan names another network than nnU-Net's 2D U-Nets")
    return get_network_from_plans(
        name, kwargs, tuple(_PARTS), input_channels=1, output_channels=2, deep_supervision=False
    ).eval()


class Flipped(torch.nn.Module):
    """A network trained on rows and columns in the other direction."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Turn the input, predict, turn the output back."""
        turned: torch.Tensor = self.network(torch.flip(slices, (2, 3)))
        return torch.flip(turned, (2, 3))


def oriented(network: torch.nn.Module, stored: str) -> torch.nn.Module:
    """The network for this package's axes, from one trained on files stored in RAS or LPS order."""
    return Flipped(network) if stored == "LPS" else network
