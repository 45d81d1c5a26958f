from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from head_phantom import write_labels

from la_outcomes.segmentation.training.accepted import read_labels
from la_outcomes.segmentation.training.dataset import prepare_dataset
from la_outcomes.segmentation.training.plans import nnunet_environment, plan_and_preprocess
from la_outcomes.segmentation.training.recipes import CONFIGURATIONS, DEFAULT, FULL, PLANNED, Recipe, recipe
from la_outcomes.segmentation.training.splits import split_cases


def _planned(chosen: Recipe, folder: Path) -> dict[str, Any]:
    """nnU-Net's 2D configuration for two phantom heads."""
    cases = read_labels(write_labels(folder, ["training", "internal_validation"]))
    prepare_dataset(cases, [split_cases(cases, 0)], folder / "work", chosen.spec)
    with nnunet_environment(folder / "work", "cpu"):
        plans = plan_and_preprocess(folder / "work", chosen)
    return dict(plans["configurations"]["2d"])


def test_nnunets_own_plan_sees_the_whole_square(tmp_path: Path) -> None:
    configuration = _planned(recipe(smoke=False, configuration=PLANNED), tmp_path)
    features = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    assert list(configuration["patch_size"]) == [320, 320]
    assert list(configuration["spacing"]) == [0.7, 0.7]
    assert configuration["normalization_schemes"] == ["NoNormalization"]
    assert (len(features), features[0], max(features)) == (7, 32, 512)
    strides = np.prod(configuration["architecture"]["arch_kwargs"]["strides"], axis=0)
    assert (320 % strides == 0).all()


def test_the_full_recipe_takes_the_default_network_and_leaves_the_batch_to_nnunet(tmp_path: Path) -> None:
    configuration = _planned(FULL, tmp_path)
    default = CONFIGURATIONS[DEFAULT]
    assert list(configuration["patch_size"]) == [default.spec.size_px] * 2
    assert configuration["architecture"]["arch_kwargs"]["features_per_stage"] == list(default.features or ())
    assert FULL.batch_size is None


def test_the_environment_is_as_before_even_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_raw", "mine")
    monkeypatch.delenv("nnUNet_results", raising=False)
    names = ("nnUNet_raw", "nnUNet_results")

    def fails() -> None:
        with nnunet_environment(tmp_path, "cpu"):
            assert [os.environ[name] for name in names] == [str(tmp_path / name) for name in names]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert [os.environ.get(name) for name in names] == ["mine", None]
