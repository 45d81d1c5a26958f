from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from la_outcomes.errors import InputError
from la_outcomes.segmentation.bundle import load_bundle
from la_outcomes.segmentation.outputs import Outputs
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.export import LogOdds, export_bundle
from la_outcomes.segmentation.training.weights import (
    built_network,
    copy_weights,
    join_folds,
    network_state,
    read_weights,
    split_folds,
)

TISSUES = ("outside", "csf", "grey", "white", "lesion", "infarct")
SIX = Outputs(TISSUES, (("la", ("lesion",)), ("infarct", ("infarct",)), ("brain", TISSUES[2:])))
SPEC = InputSpec(32, 3.0, slices=3)
ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [8, 16],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3]] * 2,
        "strides": [[1, 1], [2, 2]],
        "n_conv_per_stage": [1] * 2,
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.batchnorm.BatchNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
}
CARD = {"name": "six", "training": {}, "parity": {}, "outputs": SIX.as_card()}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """Six classes from three slices, with running means that a training would have left."""
    torch.manual_seed(0)
    built = built_network(ARCHITECTURE, channels=3, classes=6)
    built.train()
    with torch.no_grad():
        built(torch.randn(4, 3, 32, 32) * 3 + 1)
    return built.eval()


@pytest.fixture(scope="module")
def slices() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (5, 3, 32, 32)).astype(np.float32)


def test_log_odds_are_those_of_the_softmax(network: torch.nn.Module, slices: np.ndarray) -> None:
    with torch.no_grad():
        share = torch.softmax(network(torch.from_numpy(slices)), 1)
        found = LogOdds(network, SIX)(torch.from_numpy(slices))
    for channel, members in enumerate(SIX.channels):
        part = share[:, members].sum(1)
        assert torch.allclose(found[:, channel], torch.log(part / (1 - part)), atol=1e-3)


def test_weights_for_training_stored_as_half_take_half_the_room_and_change_nothing_else(
    network: torch.nn.Module, slices: np.ndarray, tmp_path: Path
) -> None:
    weights = network_state(network)
    whole = export_bundle(tmp_path / "whole", network, weights, SPEC, CARD)
    half = export_bundle(tmp_path / "half", network, weights, SPEC, CARD, half=True)
    name = "weights.safetensors"
    assert (half.path / name).stat().st_size < 0.75 * (whole.path / name).stat().st_size
    assert half.model_sha256 == whole.model_sha256
    stored = read_weights(half.path, half.card)
    for name, tensor in weights.items():
        assert stored[name].dtype == tensor.dtype
        assert torch.allclose(stored[name].float(), tensor.float(), rtol=1e-3, atol=1e-6)


def test_a_bundle_of_six_classes_and_three_slices_gives_its_structures(
    network: torch.nn.Module, slices: np.ndarray, tmp_path: Path
) -> None:
    bundle = export_bundle(tmp_path, network, network_state(network), SPEC, CARD)
    found = bundle.predict(slices)
    assert tuple(found) == ("la", "infarct", "brain")
    with torch.no_grad():
        direct = LogOdds(network, SIX)(torch.from_numpy(slices)).numpy()
    for channel, values in enumerate(found.values()):
        assert values == pytest.approx(direct[:, channel], abs=1e-4)
    assert bundle.card["outputs"]["classes"] == list(TISSUES)


def test_a_model_of_another_modality_is_exported_and_refused_for_ct(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    export_bundle(tmp_path, network, network_state(network), SPEC, {**CARD, "modality": "FLAIR"})
    with pytest.raises(InputError, match="for FLAIR, not for CT"):
        load_bundle(tmp_path)
    assert load_bundle(tmp_path, modality="FLAIR").name == "six"


def test_safetensors_hold_the_running_means_of_a_batch_norm(network: torch.nn.Module) -> None:
    state = network_state(network)
    assert any(name.endswith("running_mean") for name in state)
    fresh = built_network(ARCHITECTURE, channels=3, classes=6)
    copy_weights(fresh, state)
    example = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(fresh(example), network(example))


def test_folds_are_joined_and_split_again() -> None:
    folds = [{"a": torch.tensor([float(k)])} for k in range(5)]
    assert split_folds(join_folds(folds)) == folds
    assert split_folds(join_folds(folds[:1])) == folds[:1]
