from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from head_phantom import write_labels

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.segmentation.bundle import CARD_FILE, TENSORS_FILE, Bundle, load_bundle
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.parity import parity_section, repeat_parity
from la_outcomes.segmentation.training.plans import choose_device
from la_outcomes.segmentation.training.recipes import CONFIGURATIONS, FULL, SMOKE, Configuration, recipe
from la_outcomes.segmentation.training.run import TrainingJob, train
from la_outcomes.segmentation.training.trainer import LaTrainer
from la_outcomes.segmentation.training.weights import read_weights, rebuilt_networks

TINY = replace(
    SMOKE,
    spec=InputSpec(size_px=64, spacing_mm=3.0),
    epochs=2,
    iterations=3,
    validation_iterations=1,
    features=(8, 16, 32),
    batch_size=2,
)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labels(tmp_path_factory.mktemp("labels"), ["training"] * 3 + ["internal_validation"])


@pytest.fixture(scope="module")
def job(labels: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingJob:
    return TrainingJob(labels, tmp_path_factory.mktemp("model"), TINY, device="cpu", seed=5)


@pytest.fixture(scope="module")
def bundle(job: TrainingJob) -> Bundle:
    return train(job)


def test_a_training_leaves_a_whole_bundle_and_nothing_else(job: TrainingJob, bundle: Bundle) -> None:
    assert {file.name for file in job.out.iterdir()} == {CARD_FILE, TENSORS_FILE, "weights.onnx"}
    training = bundle.card["training"]
    (fold,) = training["folds"]
    assert (fold["cases_train"], fold["cases_validation"], training["device"]) == (3, 1, "cpu")
    assert len(fold["curve"]["loss"]) == 2
    assert training["slice_spacing_mm"] == [6.0, 6.0]
    assert bundle.spec == TINY.spec


def test_the_card_holds_no_path_and_no_id(job: TrainingJob, bundle: Bundle) -> None:
    text = json.dumps(bundle.card)
    assert str(job.out) not in text
    assert "p00" not in text


def test_exported_network_says_what_nnunets_predictor_says(labels: Path, bundle: Bundle) -> None:
    scans = sorted((labels / "ct").glob("*.nii.gz"))
    parity = repeat_parity(bundle, scans)
    assert parity["cases"] == 4
    if parity["cases_with_foreground"]:
        assert parity["dice_min"] >= 0.999
    assert not parity["equivalent"]
    assert "10 are needed" in parity["reason"]


def test_onnx_and_torch_agree_on_the_logits(bundle: Bundle) -> None:
    import torch

    slices = np.random.default_rng(0).normal(0, 1, (3, 1, 64, 64)).astype(np.float32)
    with torch.no_grad():
        both = rebuilt_networks(bundle)[0](torch.from_numpy(slices)).numpy()
    assert bundle.predict(slices)["la"] == pytest.approx(both[:, 1] - both[:, 0], abs=1e-4)


def test_the_same_job_again_returns_the_finished_bundle(job: TrainingJob, bundle: Bundle) -> None:
    before = (job.out / CARD_FILE).stat().st_mtime_ns
    assert train(job).model_sha256 == bundle.model_sha256
    assert (job.out / CARD_FILE).stat().st_mtime_ns == before


def test_another_job_does_not_overwrite_a_model(job: TrainingJob, bundle: Bundle) -> None:
    with pytest.raises(InputError, match="another training"):
        train(replace(job, seed=6))


def test_a_killed_training_goes_on_to_the_very_same_weights(
    job: TrainingJob, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = replace(job, out=tmp_path / "resumed")
    whole = LaTrainer.on_epoch_end

    def killed(self: LaTrainer) -> None:
        whole(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(LaTrainer, "on_epoch_end", killed)
    with pytest.raises(KeyboardInterrupt):
        train(interrupted)
    assert not (interrupted.out / CARD_FILE).exists()
    monkeypatch.undo()
    resumed = train(interrupted)
    assert resumed.model_sha256 == bundle.model_sha256
    (first,), (second,) = (b.card["training"]["folds"] for b in (bundle, resumed))
    assert first["curve"] == second["curve"]
    assert resumed.card["training"]["seconds_preparation"] > 0.1  # the killed run's: it was not done again


def test_an_unfinished_folder_is_not_taken_over_by_another_job(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(job, out=tmp_path)
    monkeypatch.setattr(LaTrainer, "run_training", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(first)
    with pytest.raises(InputError, match="unfinished training"):
        train(replace(first, seed=9))


def test_a_damaged_checkpoint_is_refused_with_a_hint(
    job: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(job, out=tmp_path)
    monkeypatch.setattr(LaTrainer, "run_training", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(broken)
    folder = next((tmp_path / "work" / "nnUNet_results").rglob("fold_0"))
    (folder / "checkpoint_latest.pth").write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(InputError, match="checkpoint cannot be resumed"):
        train(broken)


def test_a_loss_that_is_not_a_number_stops_the_training(job: TrainingJob, tmp_path: Path) -> None:
    wild = replace(job, out=tmp_path, recipe=replace(TINY, learning_rate=1e30))
    with pytest.raises(InputError, match="loss is not a number"):
        train(wild)
    assert not (tmp_path / CARD_FILE).exists()


def test_a_card_cannot_choose_what_is_imported(bundle: Bundle) -> None:
    card = json.loads(json.dumps(bundle.card))
    card["nnunet"]["plans"]["configurations"]["2d"]["architecture"]["network_class_name"] = "os.system"
    with pytest.raises(InputError, match="another network"):
        rebuilt_networks(replace(bundle, card=card))


def test_altered_safetensors_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / TENSORS_FILE).write_bytes((bundle.path / TENSORS_FILE).read_bytes() + b" ")
    with pytest.raises(InputError, match="missing or altered"):
        read_weights(tmp_path, load_bundle(bundle.path).card)


def test_parity_needs_ten_cases_and_counts_none_where_both_are_empty() -> None:
    assert parity_section([1.0] * 10)["equivalent"]
    worse = parity_section([1.0] * 9 + [0.998])
    assert (worse["equivalent"], worse["reason"]) == (False, "Dice below 0.999 in 1 cases")
    empty = parity_section([None] * 12)
    assert (empty["equivalent"], empty["cases"], empty["dice_min"]) == (False, 12, None)


def test_recipes_take_another_schedule_and_refuse_nonsense() -> None:
    assert recipe(smoke=True) == SMOKE
    assert recipe(smoke=False, epochs=3) == replace(FULL, epochs=3)
    with pytest.raises(UsageError):
        recipe(smoke=True, learning_rate=0.0)


def test_a_gpu_that_is_not_there_is_told() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert choose_device("auto") in ("cpu", "mps")
    with pytest.raises(ResourceError, match="cuda was asked for"):
        choose_device("cuda")
    with pytest.raises(UsageError):
        choose_device("tpu")


def test_five_folds_are_resumed_and_make_one_bundle_whose_logits_are_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    labels = write_labels(tmp_path / "labels", ["training"] * 4 + ["internal_validation"])
    one = replace(TINY, epochs=1, iterations=1)
    job = TrainingJob(labels, tmp_path / "model", one, device="cpu", folds=5)
    begun: list[int] = []
    whole = LaTrainer.run_training

    def stopped_in_the_third(self: LaTrainer) -> None:
        begun.append(self.fold)
        if begun == [0, 1, 2]:
            raise KeyboardInterrupt
        whole(self)

    monkeypatch.setattr(LaTrainer, "run_training", stopped_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        train(job)
    bundle = train(job)
    assert begun == [0, 1, 2, 2, 3, 4]  # those that were done are not trained again
    folds = bundle.card["training"]["folds"]
    assert [(fold["cases_train"], fold["cases_validation"]) for fold in folds] == [(4, 1)] * 5
    networks = rebuilt_networks(bundle)
    slices = np.random.default_rng(0).normal(0, 1, (2, 1, 64, 64)).astype(np.float32)
    with torch.no_grad():
        each = [network(torch.from_numpy(slices)).numpy() for network in networks]
    assert not np.allclose(each[0], each[1], atol=1e-2)
    mean = np.mean(each, axis=0)
    assert bundle.predict(slices)["la"] == pytest.approx(mean[:, 1] - mean[:, 0], abs=1e-4)
    parity = repeat_parity(bundle, sorted((labels / "ct").glob("*.nii.gz"))[:2])
    assert parity["dice_min"] is None or parity["dice_min"] >= 0.999


def test_a_training_has_one_or_five_folds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 or 5 folds"):
        TrainingJob(tmp_path, tmp_path, TINY, folds=3)


def test_neighbouring_slices_are_trained_on_and_computed(labels: Path, tmp_path: Path) -> None:
    import torch

    stacked = replace(TINY, epochs=1, iterations=1, spec=replace(TINY.spec, slices=3))
    bundle = train(TrainingJob(labels, tmp_path, stacked, device="cpu"))
    slices = np.random.default_rng(0).normal(0, 1, (2, 3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        both = rebuilt_networks(bundle)[0](torch.from_numpy(slices)).numpy()
    assert bundle.predict(slices)["la"] == pytest.approx(both[:, 1] - both[:, 0], abs=1e-4)


def test_where_the_time_went_is_in_the_card(bundle: Bundle) -> None:
    seconds = bundle.card["training"]["folds"][0]["seconds"]
    assert set(seconds) == {"training steps", "waiting for data"}
    assert seconds["training steps"] > 0


def test_configurations_change_grid_and_network_alone() -> None:
    changed = recipe(smoke=True, configuration="0.9mm-3slices")
    assert (changed.spec.slices, changed.spec.spacing_mm, changed.name) == (3, 0.9, "smoke-0.9mm-3slices")
    assert (changed.epochs, changed.optimizer) == (SMOKE.epochs, SMOKE.optimizer)
    assert changed.batch_size == CONFIGURATIONS["0.9mm-3slices"].small_batch
    full = recipe(smoke=False, configuration="0.9mm-3slices")
    assert (full.spec, full.features) == (changed.spec, changed.features)
    assert full.batch_size is None
    with pytest.raises(UsageError, match="no configuration"):
        recipe(smoke=True, configuration="0.1mm")


@pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
def test_every_configuration_holds_a_head_and_can_be_halved(configuration: Configuration) -> None:
    spec = configuration.spec
    assert spec.size_px * spec.spacing_mm >= 200
    assert spec.size_px % 2 ** (len(configuration.features or (1,)) - 1) == 0
