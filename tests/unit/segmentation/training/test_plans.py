from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from head_phantom import write_labels

from la_outcomes.segmentation.training.accepted import read_labels
from la_outcomes.segmentation.training.dataset import prepare_dataset
from la_outcomes.segmentation.training.plans import nnunet_environment, plan_and_preprocess
from la_outcomes.segmentation.training.recipes import FULL
from la_outcomes.segmentation.training.splits import split_cases


def test_the_full_recipe_takes_nnunets_own_plan_for_the_whole_square(tmp_path: Path) -> None:
    cases = read_labels(write_labels(tmp_path, ["training", "internal_validation"]))
    prepare_dataset(cases, [split_cases(cases, 0)], tmp_path / "work", FULL.spec)
    with nnunet_environment(tmp_path / "work", "cpu"):
        plans = plan_and_preprocess(tmp_path / "work", FULL)
    configuration = plans["configurations"]["2d"]
    features = configuration["architecture"]["arch_kwargs"]["features_per_stage"]
    assert list(configuration["patch_size"]) == [320, 320]
    assert list(configuration["spacing"]) == [0.7, 0.7]
    assert configuration["normalization_schemes"] == ["NoNormalization"]
    assert (len(features), features[0], max(features)) == (7, 32, 512)
    strides = np.prod(configuration["architecture"]["arch_kwargs"]["strides"], axis=0)
    assert (320 % strides == 0).all()


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
