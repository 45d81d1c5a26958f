from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunet_folder import DATASET, plans, write_nnunet_folder

from la_outcomes.errors import InputError, UsageError
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.importing import ImportJob, import_nnunet, input_spec
from la_outcomes.segmentation.training.read_checkpoint import read_network_weights
from la_outcomes.segmentation.training.weights import built_network, named_weights, oriented


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a checkpoint that nnU-Net's own trainer wrote."""
    return write_nnunet_folder(tmp_path_factory.mktemp("nnUNetTrainer__nnUNetPlans__2d"))


def test_an_imported_model_computes_what_nnunets_network_computes(folder: Path, tmp_path: Path) -> None:
    bundle = import_nnunet(ImportJob(folder, tmp_path / "model"))
    assert bundle.spec == InputSpec(64, 3.0, 2.0, 33.0, 17.5, 5.5)
    network = built_network(plans()["configurations"]["2d"]["architecture"])
    state = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=False)
    network.load_state_dict(state["network_weights"])
    slices = np.random.default_rng(0).normal(0, 1, (2, 1, 64, 64)).astype(np.float32)
    with torch.no_grad():
        both = network(torch.from_numpy(slices)).numpy()
    assert bundle.predict(slices)["la"] == pytest.approx(both[:, 1] - both[:, 0], abs=1e-4)
    assert not bundle.card["parity"]["equivalent"]


def test_files_stored_in_lps_order_are_turned() -> None:
    network = built_network(plans()["configurations"]["2d"]["architecture"])
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
    architecture = plans()["configurations"]["2d"]["architecture"]
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
        input_spec(plans() | plan_changes, DATASET | dataset_changes)


def test_other_folders_folds_and_orders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no nnU-Net v2 model folder"):
        import_nnunet(ImportJob(tmp_path, tmp_path / "model"))
    with pytest.raises(InputError, match="no such fold"):
        import_nnunet(ImportJob(folder, tmp_path / "model", fold="3"))
    with pytest.raises(UsageError):
        import_nnunet(ImportJob(folder, tmp_path / "model", stored="LAS"))


def test_weights_of_another_architecture_are_refused(folder: Path) -> None:
    weights = read_network_weights(folder / "fold_0" / "checkpoint_final.pth")
    deeper = built_network(plans(stages=4)["configurations"]["2d"]["architecture"])
    with pytest.raises(InputError, match="another architecture"):
        named_weights(deeper, weights)
