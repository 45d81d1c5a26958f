"""The network, as nnU-Net builds it, and what it learns by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from la_outcomes.pretraining.augment import Sample
from la_outcomes.pretraining.takes import CLASSES, INFARCT, LESION

FEATURES = (16, 32, 64, 128, 128)
_SMOOTH_PX = 20.0
_DICE_WEIGHT = {LESION: 1.0, INFARCT: 0.8}
# lesions and infarcts hold a hundredth of the pixels each: without a weight they are learned last
_CLASS_WEIGHT = (1.0, 1.0, 1.0, 1.0, 3.0, 3.0)
# an infarct called lesion spoils volumes; one not found at all does not
_INFARCT_AS_LESION_WEIGHT = 3.0
_NO_LESION = [number for number in range(len(CLASSES)) if number != LESION]
_SHARE = np.float32(1 / 255)


def architecture(features: Sequence[int] = FEATURES) -> dict[str, Any]:
    """nnU-Net's description of the network: a plain 2D U-Net with batch normalisation."""
    stages = len(features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": list(features),
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": [[3, 3]] * stages,
            "strides": [[1, 1], *[[2, 2]] * (stages - 1)],
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.batchnorm.BatchNorm2d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def batch_tensors(samples: Sequence[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (sample, channel, row, column) and soft targets (sample, class, row, column), sum 1."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    tissue = np.stack([sample.tissue for sample in samples])
    infarct = np.stack([sample.infarct for sample in samples]) * _SHARE
    lesion = np.minimum(np.stack([sample.lesion for sample in samples]) * _SHARE, 1 - infarct)
    rest = 1 - lesion - infarct
    planes = [np.where(tissue == number, rest, np.float32(0)) for number in range(LESION)]
    targets = np.stack([*planes, lesion, infarct], axis=1)
    return images.contiguous(memory_format=torch.channels_last), torch.from_numpy(targets)


def loss_of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy against the soft targets, and soft Dice of lesion and infarct over the batch.

    Of an infarct, what is given to the lesion costs more than what is given to the other classes.
    """
    logs = torch.log_softmax(logits.float(), dim=1)
    weights = torch.tensor(_CLASS_WEIGHT)[None, :, None, None]
    total = -(weights * targets * logs).sum(1).mean()
    no_lesion = torch.logsumexp(logs[:, _NO_LESION], dim=1)
    total = total - _INFARCT_AS_LESION_WEIGHT * (targets[:, INFARCT] * no_lesion).mean()
    for number, weight in _DICE_WEIGHT.items():
        share, truth = logs[:, number].exp(), targets[:, number]
        both = 2 * (share * truth).sum() + _SMOOTH_PX
        total = total + weight * (1 - both / ((share * share).sum() + (truth * truth).sum() + _SMOOTH_PX))
    return total


def channels() -> int:
    """How many classes the network tells apart."""
    return len(CLASSES)
