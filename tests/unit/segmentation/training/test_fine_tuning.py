from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from head_phantom import head_ct, write_labels
from toy_bundle import write_bundle

from la_outcomes.cli.main import run
from la_outcomes.errors import InputError
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation.bundle import Bundle, load_bundle, write_card
from la_outcomes.segmentation.outputs import Outputs
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.export import export_bundle
from la_outcomes.segmentation.training.fine_tuning import adopted, starting_weights
from la_outcomes.segmentation.training.parity import repeat_parity
from la_outcomes.segmentation.training.recipes import SMOKE
from la_outcomes.segmentation.training.run import TrainingJob, train
from la_outcomes.segmentation.training.weights import built_network, network_state, read_weights

TISSUES = ("outside", "csf", "grey", "white", "lesion", "infarct")
SIX = Outputs(TISSUES, (("la", ("lesion",)), ("infarct", ("infarct",))))
SPEC = InputSpec(64, 3.0, slices=3)
ARCHITECTURE = {
    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 3,
        "features_per_stage": [8, 8, 16],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3]] * 3,
        "strides": [[1, 1], [2, 2], [2, 2]],
        "n_conv_per_stage": [1] * 3,
        "n_conv_per_stage_decoder": [1] * 2,
        "conv_bias": True,
        "norm_op": "torch.nn.modules.batchnorm.BatchNorm2d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
STILL = replace(SMOKE, epochs=1, iterations=1, validation_iterations=1, learning_rate=1e-12)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of six classes, three slices and BatchNorm, as a training of our own would leave it."""
    torch.manual_seed(0)
    network = built_network(ARCHITECTURE, channels=3, classes=6)
    plan = {"architecture": ARCHITECTURE, "batch_size": 3, "patch_size": [64, 64]}
    card = {
        "name": "six",
        "training": {},
        "parity": {},
        "outputs": SIX.as_card(),
        "nnunet": {"plans": {"configurations": {"2d": plan}}, "dataset": {}},
    }
    return export_bundle(tmp_path_factory.mktemp("six"), network, network_state(network), SPEC, card)


def test_a_fine_tuning_keeps_grid_slices_and_network_of_the_bundle(six: Bundle) -> None:
    recipe = adopted(replace(SMOKE, batch_size=None), six.path)
    assert (recipe.spec, recipe.batch_size, recipe.epochs) == (SPEC, 3, SMOKE.epochs)
    assert recipe.architecture == ARCHITECTURE


def test_other_classes_become_background_and_la(six: Bundle) -> None:
    before, after = read_weights(six.path, six.card), starting_weights(six.path, fold=0)
    heads = [name for name in before if "seg_layers" in name]
    assert heads
    for name in heads:
        assert after[name].shape == (2, *before[name].shape[1:])
        assert torch.equal(after[name][1], before[name][4])
        assert torch.allclose(after[name][0], before[name][[0, 1, 2, 3, 5]].mean(0))
    others = set(before) - set(heads)
    assert all(torch.equal(before[name], after[name]) for name in others)


def test_training_goes_on_from_the_weights_of_the_bundle(six: Bundle, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "labels", ["training", "internal_validation"])
    tuned = train(TrainingJob(labels, tmp_path / "model", STILL, device="cpu", init_from=six.path))
    assert (tuned.spec, tuned.outputs) == (SPEC, Outputs())
    assert tuned.card["training"]["fine_tuned"]
    start, end = starting_weights(six.path, fold=0), read_weights(tuned.path, tuned.card)
    moved = [name for name in start if "running" not in name and "num_batches" not in name]
    assert max(float((start[name] - end[name]).abs().max()) for name in moved) < 1e-6
    again = train(TrainingJob(labels, tmp_path / "again", STILL, device="cpu", init_from=tuned.path))
    assert again.spec == SPEC


def test_the_parity_of_a_model_without_nnunets_dataset_is_repeated_against_pytorch(
    six: Bundle, tmp_path: Path
) -> None:
    card = {**six.card, "nnunet": {"plans": six.card["nnunet"]["plans"]}}
    write_card(six.path, card)
    scan = write_image(tmp_path / "head.nii.gz", head_ct(1)[0], dtype="int16")
    found = repeat_parity(load_bundle(six.path), [scan])
    write_card(six.path, six.card)
    assert found["reference"] == "PyTorch's network of the same weights"
    assert found["dice_min"] is None or found["dice_min"] > 0.999
    assert (found["cases"], found["equivalent"]) == (1, False)


def test_bundles_that_cannot_be_gone_on_from_are_refused(six: Bundle, tmp_path: Path) -> None:
    def changed(**changes: object) -> Path:
        write_card(tmp_path, {**six.card, **changes})
        return tmp_path

    for changes, reason in (
        ({"modality": "FLAIR"}, "cannot be fine-tuned on CT"),
        ({"nnunet": {}}, "no nnU-Net plan"),
        ({"nnunet": {**six.card["nnunet"], "stored": "LPS"}}, "LPS order"),
    ):
        with pytest.raises(InputError, match=reason):
            adopted(SMOKE, changed(**changes))
    with pytest.raises(InputError, match="missing or altered"):
        starting_weights(write_bundle(tmp_path / "toy"), fold=0)


def test_a_configuration_beside_a_bundle_to_start_from_is_wrong_use(six: Bundle, tmp_path: Path) -> None:
    arguments = ["train", str(tmp_path), "--out", str(tmp_path / "out"), "--init-from", str(six.path)]
    assert run([*arguments, "--configuration", "0.9mm"]) == 2
