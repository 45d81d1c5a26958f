from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from la_outcomes.errors import InputError, UsageError
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.importing import ImportJob, import_nnunet, input_spec
from la_outcomes.segmentation.training.plans import nnunet_environment, preprocessed_folder
from la_outcomes.segmentation.training.read_checkpoint import read_network_weights
from la_outcomes.segmentation.training.recipes import SMOKE
from la_outcomes.segmentation.training.trainer import make_trainer, seed_everything
from la_outcomes.segmentation.training.weights import built_network, named_weights, oriented

RECIPE = replace(SMOKE, spec=InputSpec(size_px=64, spacing_mm=3.0))
DATASET: dict[str, Any] = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "la": 1},
    "numTraining": 7,
    "file_ending": ".nii.gz",
}
WINDOW = {"percentile_00_5": 2.0, "percentile_99_5": 33.0, "mean": 17.5, "std": 5.5, "median": 17.0}


def _plans(stages: int = 3) -> dict[str, Any]:
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a checkpoint that nnU-Net's own trainer wrote."""
    path = tmp_path_factory.mktemp("nnUNetTrainer__nnUNetPlans__2d")
    (path / "fold_0").mkdir()
    (path / "plans.json").write_text(json.dumps(_plans()))
    (path / "dataset.json").write_text(json.dumps(DATASET))
    cases = preprocessed_folder(path / "work") / "nnUNetPlans_2d"
    cases.mkdir(parents=True)
    (cases / "none.b2nd").touch()  # nnU-Net tells the kind of its dataset by the files' endings
    with nnunet_environment(path / "work", "cpu"):
        seed_everything(0)
        trainer = make_trainer(_plans(), DATASET, RECIPE, "cpu")
        trainer.logger.log("train_losses", np.float32(0.5), 0)
        nnUNetTrainer.save_checkpoint(trainer, str(path / "fold_0" / "checkpoint_final.pth"))
    return path


def test_an_imported_model_computes_what_nnunets_network_computes(folder: Path, tmp_path: Path) -> None:
    bundle = import_nnunet(ImportJob(folder, tmp_path / "model"))
    assert bundle.spec == InputSpec(64, 3.0, 2.0, 33.0, 17.5, 5.5)
    network = built_network(_plans()["configurations"]["2d"]["architecture"])
    state = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=False)
    network.load_state_dict(state["network_weights"])
    slices = np.random.default_rng(0).normal(0, 1, (2, 1, 64, 64)).astype(np.float32)
    with torch.no_grad():
        both = network(torch.from_numpy(slices)).numpy()
    assert bundle.predict(slices)["la"] == pytest.approx(both[:, 1] - both[:, 0], abs=1e-4)
    assert not bundle.card["parity"]["equivalent"]


def test_files_stored_in_lps_order_are_turned() -> None:
    network = built_network(_plans()["configurations"]["2d"]["architecture"])
    slices = torch.from_numpy(np.random.default_rng(0).normal(0, 1, (1, 1, 64, 64)).astype(np.float32))
    with torch.no_grad():
        turned = oriented(network, "LPS")(slices)
        by_hand = network(slices.flip(2).flip(3)).flip(2).flip(3)
        assert torch.allclose(turned, by_hand)
        assert not torch.allclose(turned, oriented(network, "RAS")(slices), atol=1e-3)


class _Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch EXPLODED",)


def test_a_checkpoint_that_would_run_code_is_not_opened(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = tmp_path / "evil"
    (evil / "fold_0").mkdir(parents=True)
    for name in ("plans.json", "dataset.json"):
        (evil / name).write_text((folder / name).read_text())
    torch.save({"network_weights": {}, "bomb": _Bomb()}, evil / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(InputError, match="not opened"):
        import_nnunet(ImportJob(evil, tmp_path / "model"))
    (evil / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(pickle.UnpicklingError):
        read_network_weights(evil / "fold_0" / "checkpoint_final.pth")
    assert not (tmp_path / "EXPLODED").exists()
    assert not (tmp_path / "model").exists()


def test_a_plan_cannot_choose_what_is_imported() -> None:
    architecture = _plans()["configurations"]["2d"]["architecture"]
    for changes in (
        {"network_class_name": "os.system"},
        {"arch_kwargs": {**architecture["arch_kwargs"], "nonlin": "subprocess.Popen"}},
        {"arch_kwargs": None},
    ):
        with pytest.raises(InputError):
            built_network({**architecture, **changes})


@pytest.mark.parametrize(
    ("plan_changes", "dataset_changes", "reason"),
    [
        ({"transpose_forward": [2, 0, 1]}, {}, "not axial"),
        ({"configurations": {"3d_fullres": {}}}, {}, "no plan of a 2D"),
        ({}, {"labels": {"background": 0, "la": 1, "infarct": 2}}, "other classes"),
        ({}, {"channel_names": {"0": "CT", "1": "CTA"}}, "one CT channel"),
    ],
)
def test_models_a_bundle_cannot_hold_are_refused(
    plan_changes: dict[str, Any], dataset_changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        input_spec(_plans() | plan_changes, DATASET | dataset_changes)


def test_other_folders_folds_and_orders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no nnU-Net v2 model folder"):
        import_nnunet(ImportJob(tmp_path, tmp_path / "model"))
    with pytest.raises(InputError, match="no such fold"):
        import_nnunet(ImportJob(folder, tmp_path / "model", fold="3"))
    with pytest.raises(UsageError):
        import_nnunet(ImportJob(folder, tmp_path / "model", stored="LAS"))


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    weights = read_network_weights(folder / "fold_0" / "checkpoint_final.pth")
    deeper = built_network(_plans(stages=4)["configurations"]["2d"]["architecture"])
    with pytest.raises(InputError, match="another architecture"):
        named_weights(deeper, weights)
