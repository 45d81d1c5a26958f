"""What goes wrong in training and inference: a clear error, its exit code, and nothing half-written."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from head_phantom import head_ct, write_labels
from small_disk import on_small_disk
from toy_bundle import write_bundle, write_tissue_bundle

from la_outcomes.cli.main import run
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.shards import read_shard, sha256_file

COMMAND = [sys.executable, "-c", "from la_outcomes.cli.main import main; main()"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SCANS.csv of four heads."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(4):
        write_image(folder / f"s{number}.nii.gz", head_ct(number)[0], dtype=np.int16)
    names = [f"s{number}" for number in range(4)]
    rows = {
        "patient_id": names,
        "scan_id": names,
        "modality": ["CT"] * 4,
        "path": [f"{n}.nii.gz" for n in names],
    }
    pd.DataFrame(rows).to_csv(folder / "scans.csv", index=False)
    return folder / "scans.csv"


def test_a_full_disk_in_inference_is_told_leaves_no_half_result_and_is_made_good(
    model: Path, scans: Path, tmp_path: Path
) -> None:
    before, after, disk = (tmp_path / name for name in ("before.txt", "after.txt", "disk"))
    arguments = ["segment", str(scans), "--model", str(model), "--out", str(disk)]
    done = on_small_disk(disk, 48, _again_with_more_room(disk, before, after, [*COMMAND, *arguments]))
    code, *left = before.read_text().splitlines()
    assert code == "4", done.stderr
    assert "no space left on the disk" in done.stderr
    assert not [file for file in left if "/overlays/" in file]
    assert not [file for file in left if Path(file).name.startswith(".")]
    assert done.returncode == 0, done.stderr
    assert len([file for file in after.read_text().splitlines() if "/overlays/" in file]) == 4


def _again_with_more_room(disk: Path, before: Path, after: Path, command: list[str]) -> list[str]:
    """The command, its exit code and what it left in ``before``; then it again on a larger disk."""
    script = (
        f'"$@"; echo $? > "{before}"; find "{disk}" -type f >> "{before}"; '
        f'mount -o remount,size=90m "{disk}" && "$@"; code=$?; find "{disk}" -type f > "{after}"; exit $code'
    )
    return ["sh", "-c", script, "sh", *command]


@pytest.mark.parametrize(
    ("kilobytes", "reached"),
    [
        (64, "training set: "),
        pytest.param(1_500, "preprocessing: ", marks=pytest.mark.slow),
        pytest.param(6_000, "epoch 1/1", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_in_training_is_told_wherever_it_happens_and_made_good(
    kilobytes: int, reached: str, tmp_path: Path
) -> None:
    """While the dataset, nnU-Net's preprocessed cases or the first checkpoint is written."""
    labels = write_labels(tmp_path / "labels", ["training", "internal_validation"])
    before, after, disk = (tmp_path / name for name in ("before.txt", "after.txt", "disk"))
    arguments = ["train", str(labels), "--out", str(disk), "--smoke", "--device", "cpu"]
    command = [*COMMAND, *arguments, "--epochs", "1", "--iterations", "1"]
    done = on_small_disk(disk, kilobytes, _again_with_more_room(disk, before, after, command))
    code, *left = before.read_text().splitlines()
    assert code == "7", done.stderr
    assert reached in done.stderr
    assert "no space left on the disk" in done.stderr
    assert not [file for file in left if Path(file).name == "model.json"]
    assert done.returncode == 0, done.stderr
    assert str(disk / "model.json") in after.read_text().splitlines()


@pytest.mark.parametrize(("step", "results"), [("overlay_png", 0), ("write_scan", 1)])
def test_a_killed_inference_leaves_whole_results_and_goes_on(
    step: str, results: int, model: Path, scans: Path, tmp_path: Path
) -> None:
    """Killed when the first scan's mask and overlay are there but not its result, and right after that."""
    out = tmp_path / "out"
    arguments = ["segment", str(scans), "--model", str(model), "--out", str(out)]
    done = _killed_after("la_outcomes.segmentation.inference", step, arguments)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (out / "masks" / "s0.nii.gz").exists()
    before = {file.name for file in (out / "shards").glob("la_measurement-*.json")}
    assert len(before) == results
    for name in before:
        row = read_shard(out / "shards" / name)["rows"]["la_measurements"][0]
        assert sha256_file(out / row["mask_path"]) == row["mask_sha256"]
    assert run(arguments) == 0
    assert before < {file.name for file in (out / "shards").glob("la_measurement-*.json")}
    masks = sorted(file.name for file in (out / "masks").glob("s*.nii.gz"))
    assert masks == [f"s{number}.nii.gz" for number in range(4)]
    assert all(read_image(out / "masks" / name).data.any() for name in masks)


def _killed_after(module: str, function: str, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own that SIGKILL ends as soon as a function has done its work once.

    A kill sent from here would hit a place that depends on how busy the machine is.
    """
    code = f"""
import importlib, os, signal
module = importlib.import_module({module!r})
work = module.{function}
def last(*args, **kwargs):
    work(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
module.{function} = last
from la_outcomes.cli.main import main
main()
"""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_gpu_that_is_not_there_is_told_before_anything_is_done(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    out = tmp_path / "out"
    arguments = ["segment", str(scans), "--model", str(model), "--out", str(out), "--device", "cuda"]
    assert run(arguments) == 7
    assert "cuda was asked for" in capsys.readouterr().err
    assert not out.exists()


def test_a_training_without_the_gpu_it_asks_for_does_not_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    labels = write_labels(tmp_path / "labels", ["training", "internal_validation"])
    out = tmp_path / "out"
    assert run(["train", str(labels), "--out", str(out), "--smoke", "--device", "cuda"]) == 7
    told = capsys.readouterr()
    assert "cuda was asked for" in told.err
    assert "2 labels are used; left out: none" in told.out
    assert "--registry" in told.out
    assert not out.exists()


def test_a_training_whose_loss_is_no_number_ends_as_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(tmp_path / "labels", ["training", "internal_validation"])
    out = tmp_path / "out"
    schedule = ["--smoke", "--epochs", "2", "--iterations", "4", "--learning-rate", "1e30"]
    assert run(["train", str(labels), "--out", str(out), "--device", "cpu", *schedule]) == 3
    assert "loss is not a number" in capsys.readouterr().err
    assert not (out / "model.json").exists()


def test_a_bundle_for_another_modality_is_refused(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flair = write_bundle(tmp_path / "flair", modality="FLAIR")
    out = tmp_path / "out"
    assert run(["segment", str(scans), "--model", str(flair), "--out", str(out)]) == 3
    assert "for FLAIR, not for CT" in capsys.readouterr().err
    assert not out.exists()


def test_a_bundle_without_la_is_refused(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skull = write_tissue_bundle(tmp_path / "skull", {"bone": (300.0, 2000.0)})
    out = tmp_path / "out"
    assert run(["segment", str(scans), "--model", str(skull), "--out", str(out)]) == 3
    assert "gives bone, not la" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("cohorts", "value", "reason"),
    [
        (["training"], 1, "one patient"),
        (["training", "internal_validation"], 0, "all training labels are empty"),
        (["training", "internal_validation"], 4, "no usable case is left"),
    ],
)
def test_labels_nothing_can_be_learnt_from_are_refused(
    cohorts: list[str], value: int, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(tmp_path / "labels", cohorts)
    image, la = head_ct(0)
    write_image(labels / "labels" / "p00.nii.gz", Image(la.astype(np.uint8) * value, image.affine))
    out = tmp_path / "model"
    assert run(["train", str(labels), "--out", str(out), "--smoke", "--device", "cpu"]) == 3
    assert reason in capsys.readouterr().err
    assert not (out / "model.json").exists()


@pytest.mark.slow
def test_a_training_killed_by_the_system_goes_on_to_the_very_same_weights(tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "labels", ["training", "training", "internal_validation"])
    arguments = ["train", str(labels), "--smoke", "--device", "cpu", "--epochs", "4", "--iterations", "3"]
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert run([*arguments, "--out", str(whole)]) == 0
    training = "la_outcomes.segmentation.training.trainer"
    done = _killed_after(training, "LaTrainer.on_epoch_end", [*arguments, "--out", str(resumed)])
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(resumed.rglob("checkpoint_latest.pth"))
    assert not (resumed / "model.json").exists()
    assert run([*arguments, "--out", str(resumed)]) == 0
    assert sha256_file(resumed / "weights.onnx") == sha256_file(whole / "weights.onnx")
    assert [file.name for file in resumed.glob("work*")] == []
