"""Training that starts from a bundle: its grid, slices and network are taken over, and its weights.

A bundle of more classes than LA and background (tissues, infarct) gives its weights too; the two channels of
the new last layers start from LA's own and from the mean of the others, and are learnt within a few steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from la_outcomes.errors import InputError
from la_outcomes.segmentation.bundle import read_card
from la_outcomes.segmentation.outputs import LA, Outputs
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.plans import CONFIGURATION
from la_outcomes.segmentation.training.recipes import Recipe
from la_outcomes.segmentation.training.weights import Weights, built_network, read_weights, split_folds

_LAST_LAYERS = "seg_layers"


def adopted(recipe: Recipe, path: Path) -> Recipe:
    """The recipe's schedule for the grid and network of a bundle.

    Raises ``InputError`` where the bundle is not for CT, gives no LA, holds no nnU-Net plan, or was trained
    on files that lie in another order than this package's.
    """
    card = _usable(path)
    spec = InputSpec.from_dict(card["input"])
    try:
        plan = card["nnunet"]["plans"]["configurations"][CONFIGURATION]
        architecture, batch_size = dict(plan["architecture"]), int(plan["batch_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("the bundle holds no nnU-Net plan to go on from", where=path) from error
    built_network(architecture, spec.slices)
    return replace(
        recipe,
        spec=spec,
        features=None,
        architecture=architecture,
        batch_size=recipe.batch_size or batch_size,
    )


def starting_weights(path: Path, fold: int) -> Weights:
    """Weights to start a fold from (of the same fold where the bundle holds several), for two classes."""
    card = _usable(path)
    folds = split_folds(read_weights(path, card))
    return _for_two_classes(folds[fold % len(folds)], Outputs.from_card(card["outputs"]))


def _usable(path: Path) -> dict[str, Any]:
    card = read_card(path)
    if card["modality"] != "CT":
        raise InputError(f"a model for {card['modality']} cannot be fine-tuned on CT", where=path)
    if LA not in Outputs.from_card(card["outputs"]).names:
        raise InputError("the model gives no LA: there is nothing to fine-tune", where=path)
    stored = dict(card.get("nnunet") or {}).get("stored", "RAS")
    if stored != "RAS":
        raise InputError(f"the model was trained on files in {stored} order", where=path, hint="train anew")
    return card


def _for_two_classes(weights: Weights, outputs: Outputs) -> Mapping[str, torch.Tensor]:
    """Background and LA from the last layers of a network of other classes."""
    if outputs == Outputs():
        return weights
    la = outputs.channels[outputs.names.index(LA)]
    others = [channel for channel in range(len(outputs.classes)) if channel not in la]
    return {
        name: torch.stack([tensor[others].mean(0), tensor[la].mean(0)]) if _LAST_LAYERS in name else tensor
        for name, tensor in weights.items()
    }
