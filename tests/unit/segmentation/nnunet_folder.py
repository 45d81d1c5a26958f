"""A model folder as nnU-Net v2's own trainer leaves it, with weights nobody trained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.plans import nnunet_environment, preprocessed_folder
from la_outcomes.segmentation.training.recipes import SMOKE
from la_outcomes.segmentation.training.trainer import make_trainer, seed_everything

RECIPE = replace(SMOKE, spec=InputSpec(size_px=64, spacing_mm=3.0))
DATASET: dict[str, Any] = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "la": 1},
    "numTraining": 7,
    "file_ending": ".nii.gz",
}
WINDOW = {"percentile_00_5": 2.0, "percentile_99_5": 33.0, "mean": 17.5, "std": 5.5, "median": 17.0}


def plans(stages: int = 3) -> dict[str, Any]:
    """A plan for 64 px of 3 mm."""
    conv, norm = "torch.nn.modules.conv.Conv2d", "torch.nn.modules.instancenorm.InstanceNorm2d"
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [8 * 2**n for n in range(stages)],
            "conv_op": conv,
            "kernel_sizes": [[3, 3]] * stages,
            "strides": [[1, 1], *[[2, 2]] * (stages - 1)],
            "n_conv_per_stage": [1] * stages,
            "n_conv_per_stage_decoder": [1] * (stages - 1),
            "conv_bias": True,
            "norm_op": norm,
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    kinds = ("data", "seg", "probabilities")
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [64, 64],
        "spacing": [3.0, 3.0],
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "architecture": architecture,
        "batch_dice": True,
        **{f"resampling_fn_{kind}": "resample_data_or_seg_to_shape" for kind in kinds},
        **{f"resampling_fn_{kind}_kwargs": resampling for kind in kinds},
    }
    return {
        "dataset_name": "Dataset001_LaOnCt",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [5.0, 0.5, 0.5],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"2d": configuration},
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": WINDOW},
    }


def write_nnunet_folder(path: Path) -> Path:
    """Write the folder with the checkpoint of fold 0; returns it."""
    (path / "fold_0").mkdir()
    (path / "plans.json").write_text(json.dumps(plans()))
    (path / "dataset.json").write_text(json.dumps(DATASET))
    cases = preprocessed_folder(path / "work") / "nnUNetPlans_2d"
    cases.mkdir(parents=True)
    (cases / "none.b2nd").touch()  # nnU-Net tells the kind of its dataset by the files' endings
    with nnunet_environment(path / "work", "cpu"):
        seed_everything(0)
        trainer = make_trainer(plans(), DATASET, RECIPE, "cpu")
        trainer.logger.log("train_losses", np.float32(0.5), 0)
        nnUNetTrainer.save_checkpoint(trainer, str(path / "fold_0" / "checkpoint_final.pth"))
    return path
