"""Weights of a bundle as torch tensors: for fine-tuning, and to repeat the parity with nnU-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_PARTS: Mapping[str, tuple[str | None, ...]] = {
    "conv_op": ("torch.nn.modules.conv.Conv2d",),
    "norm_op": (
        "torch.nn.modules.instancenorm.InstanceNorm2d",
        "torch.nn.modules.batchnorm.BatchNorm2d",
    ),
    "nonlin": ("torch.nn.LeakyReLU",),
    "dropout_op": (None,),
}
_FOLD = "fold_{}."


def read_weights(path: Path, card: Mapping[str, Any]) -> Weights:
    """The bundle's safetensors, as float32 where stored as float16.

    Raises ``InputError`` where they are missing or not those of the card.
    """
    from safetensors.torch import load

    file = path / TENSORS_FILE
    entry = card.get("tensors_for_training")
    if not file.is_file() or not isinstance(entry, dict) or sha256_file(file) != entry.get("sha256"):
        raise InputError(
            "the bundle's weights for training are missing or altered",
            where=file,
            hint="copy the whole bundle again; fine-tuning and verifying need its safetensors",
        )
    loaded = load(file.read_bytes())
    return {name: t.float() if t.is_floating_point() else t for name, t in loaded.items()}


def network_state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers (running means of a BatchNorm) of a network by name, each once."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def join_folds(folds: Sequence[Weights]) -> dict[str, torch.Tensor]:
    """Weights of one network as they are, of several with the fold before each name."""
    if len(folds) == 1:
        return dict(folds[0])
    return {_FOLD.format(k) + name: tensor for k, fold in enumerate(folds) for name, tensor in fold.items()}


def split_folds(weights: Weights) -> list[Weights]:
    """The networks' weights of a bundle; the reverse of ``join_folds``."""
    folds: list[Weights] = []
    while True:
        prefix = _FOLD.format(len(folds))
        found = {n.removeprefix(prefix): t for n, t in weights.items() if n.startswith(prefix)}
        if not found:
            return folds or [weights]
        folds.append(found)


def copy_weights(network: torch.nn.Module, weights: Weights) -> None:
    """Put named weights into a network; raises ``InputError`` where they are of another architecture."""
    own = network_state(network)
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in weights.items()}:
        raise InputError(
            "the weights are of another architecture",
            hint="fine-tune with the recipe the model was trained with",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def named_weights(network: torch.nn.Module, weights: Weights) -> dict[str, torch.Tensor]:
    """Copy a state dictionary into the network, and return each of its tensors once, by name.

    nnU-Net's state dictionaries hold shared tensors under several names. Raises ``InputError`` as
    ``copy_weights``.
    """
    own = {name: weights[name] for name in network_state(network) if name in weights}
    copy_weights(network, own)
    return own


def rebuilt_networks(bundle: Bundle) -> list[torch.nn.Module]:
    """nnU-Net's network of each fold with the bundle's weights, on the CPU, in evaluation mode."""
    try:
        architecture = bundle.card["nnunet"]["plans"]["configurations"][CONFIGURATION]["architecture"]
    except (KeyError, TypeError) as error:
        raise InputError("the card holds no nnU-Net plan", where=bundle.path) from error
    folds = split_folds(read_weights(bundle.path, bundle.card))
    channels, classes = bundle.spec.slices, len(bundle.outputs.classes)
    networks = [built_network(architecture, channels, classes) for _ in folds]
    for network, weights in zip(networks, folds, strict=True):
        copy_weights(network, weights)
    stored = bundle.card["nnunet"].get("stored", "RAS")
    return [oriented(network, stored).eval() for network in networks]


def built_network(architecture: Mapping[str, Any], channels: int = 1, classes: int = 2) -> torch.nn.Module:
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
    if name not in known or any(kwargs.get(part) not in allowed for part, allowed in _PARTS.items()):
        raise InputError("the plan names another network than nnU-Net's 2D U-Nets")
    return get_network_from_plans(
        name, kwargs, tuple(_PARTS), input_channels=channels, output_channels=classes, deep_supervision=False
    ).eval()


class Ensemble(torch.nn.Module):
    """The mean of several networks' logits, as nnU-Net's predictor joins the folds of a model."""

    def __init__(self, networks: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.networks = torch.nn.ModuleList(networks)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Logits of the classes."""
        first, *others = [network(slices) for network in self.networks]
        total: torch.Tensor = first
        for logits in others:
            total = total + logits
        return total / len(self.networks)


def ensemble(networks: Sequence[torch.nn.Module]) -> torch.nn.Module:
    """One network as it is, several as their mean."""
    return networks[0] if len(networks) == 1 else Ensemble(networks)


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
