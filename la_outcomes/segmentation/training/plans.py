"""nnU-Net's plan of a recipe, its environment and preprocessing, and the device to train on."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.execution import map_cases
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.dataset import DATASET_NAME, case_facts, channel_files, raw_folder
from la_outcomes.segmentation.training.recipes import Recipe
from la_outcomes.shards import write_text_atomic

CONFIGURATION = "2d"
PLANS_NAME = "nnUNetPlans"
_WORKERS = "nnUNet_n_proc_DA"
_SPACE_FOR_A_CASE_BYTES = 20_000_000


def choose_device(name: str) -> str:
    """ "cuda", "mps" or "cpu"; "auto" takes the first that is there. Raises ``ResourceError``."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, found in there.items() if found)
    if name not in there:
        raise UsageError(f"there is no device {name!r}", hint="auto, cuda, mps or cpu")
    if not there[name]:
        raise ResourceError(
            f"{name} was asked for, but this machine or this torch has none",
            hint="use --device cpu, or install torch for your GPU",
        )
    return name


@contextmanager
def nnunet_environment(work: Path, device: str) -> Iterator[None]:
    """Point nnU-Net at the working folder and keep it quiet; the environment is restored after.

    Without a GPU augmentation runs in this process: seeded, and without a pool to start.
    """
    values = {name: str(work / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    if device != "cuda":
        values[_WORKERS] = "0"
    with _environment(values), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def plan_and_preprocess(work: Path, chosen: Recipe) -> dict[str, Any]:
    """Write nnU-Net's fingerprint, plan and preprocessed cases; call inside ``nnunet_environment``.

    Returns the plan. Raises ``InputError`` where nnU-Net cannot preprocess a case, ``ResourceError`` where
    that is for want of space.
    """
    folder = preprocessed_folder(work)
    shutil.rmtree(folder, ignore_errors=True)  # a case half written by an earlier run would not be replaced
    folder.mkdir(parents=True)
    raw = raw_folder(work)
    _write_fingerprint(work, chosen.spec)
    for name in ("dataset.json", "splits_final.json"):
        write_text_atomic(folder / name, (raw / name).read_text(encoding="utf-8"))
    plans = _plans(chosen, work)
    write_text_atomic(folder / f"{PLANS_NAME}.json", json.dumps(plans, indent=1))
    outcomes = map_cases(
        _Preprocess(plans, raw, folder, chosen.spec.slices), sorted(case_facts(work)), label="preprocessing"
    )
    failed = [outcome for outcome in outcomes if not outcome.succeeded]
    if failed:
        refuse_full_disk(work)
        raise InputError(
            "nnU-Net could not preprocess a case", where=failed[0].case_id, hint=failed[0].reason
        )
    return plans


def refuse_full_disk(folder: Path) -> None:
    """Raise ``ResourceError`` where so little space is left that a failure to write is no wonder.

    Compressed arrays are written by a library that does not say why it failed.
    """
    if shutil.disk_usage(folder).free < _SPACE_FOR_A_CASE_BYTES:
        raise ResourceError("no space left on the disk", where=folder, hint="free space and run it again")


def preprocessed_folder(work: Path) -> Path:
    """nnU-Net's preprocessed dataset inside the working folder."""
    return work / "nnUNet_preprocessed" / DATASET_NAME


@dataclass(frozen=True)
class _Preprocess:
    """nnU-Net's preprocessing of one case, in this process."""

    plans: dict[str, Any]
    raw: Path
    folder: Path
    channels: int

    def __call__(self, case_id: str) -> tuple[str, str | None]:
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        manager = PlansManager(self.plans)
        configuration = manager.get_configuration(CONFIGURATION)
        target = self.folder / configuration.data_identifier
        target.mkdir(exist_ok=True)
        DefaultPreprocessor(verbose=False).run_case_save(
            str(target / case_id),
            [str(file) for file in channel_files(self.raw, case_id, self.channels)],
            str(self.raw / "labelsTr" / f"{case_id}.nii.gz"),
            manager,
            configuration,
            json.loads((self.folder / "dataset.json").read_text(encoding="utf-8")),
        )
        return "done", None


def _write_fingerprint(work: Path, spec: InputSpec) -> None:
    """nnU-Net's facts about the dataset; intensities are already scaled, so none need be measured."""
    facts = case_facts(work).values()
    neutral = {"mean": 0.0, "median": 0.0, "std": 1.0}
    limits = {name: float(spec.scaled(np.array(value))) for name, value in _window(spec).items()}
    fingerprint = {
        "spacings": [[fact["slice_spacing_mm"], spec.spacing_mm, spec.spacing_mm] for fact in facts],
        "shapes_after_crop": [[fact["slices"], spec.size_px, spec.size_px] for fact in facts],
        "foreground_intensity_properties_per_channel": {
            str(channel): {**neutral, **limits} for channel in range(spec.slices)
        },
        "median_relative_size_after_cropping": 1.0,
    }
    write_text_atomic(preprocessed_folder(work) / "dataset_fingerprint.json", json.dumps(fingerprint))


def _window(spec: InputSpec) -> dict[str, float]:
    low, high = spec.hu_low, spec.hu_high
    return {"min": low, "max": high, "percentile_00_5": low, "percentile_99_5": high}


def _plans(chosen: Recipe, work: Path) -> dict[str, Any]:
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    spec = chosen.spec
    planner = ExperimentPlanner(DATASET_NAME, plans_name=PLANS_NAME, suppress_transpose=True)
    slices = [fact["slices"] for fact in case_facts(work).values()]
    with _environment({_WORKERS: "1"}):  # nnU-Net takes its threads for planning from the same number
        configuration = planner.get_plans_for_configuration(
            np.array([spec.spacing_mm, spec.spacing_mm]),
            np.array([spec.size_px, spec.size_px]),
            planner.generate_data_identifier(CONFIGURATION),
            float(sum(slices)) * spec.size_px**2,
            {},
        )
    configuration["batch_dice"] = True
    _override(configuration, chosen)
    plans = {
        "dataset_name": DATASET_NAME,
        "plans_name": PLANS_NAME,
        "original_median_spacing_after_transp": np.median(
            planner.dataset_fingerprint["spacings"], 0
        ).tolist(),
        "original_median_shape_after_transp": [int(np.median(slices)), spec.size_px, spec.size_px],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: configuration},
        "experiment_planner_used": type(planner).__name__,
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": planner.dataset_fingerprint[
            "foreground_intensity_properties_per_channel"
        ],
    }
    recursive_fix_for_json_export(plans)
    return plans


def _override(configuration: dict[str, Any], chosen: Recipe) -> None:
    """Put the recipe's network and batch into nnU-Net's plan; the patch is always the whole square."""
    size = chosen.spec.size_px
    if chosen.batch_size is not None:
        configuration["batch_size"] = chosen.batch_size
    if chosen.architecture is not None:
        configuration["architecture"] = copy.deepcopy(chosen.architecture)
    elif chosen.features is not None:
        stages = len(chosen.features)
        configuration["architecture"]["arch_kwargs"] |= {
            "n_stages": stages,
            "features_per_stage": list(chosen.features),
            "kernel_sizes": [[3, 3]] * stages,
            "strides": [[1, 1], *[[2, 2]] * (stages - 1)],
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
        }
    strides = np.prod(configuration["architecture"]["arch_kwargs"]["strides"], axis=0)
    planned = chosen.features is None and chosen.architecture is None
    if planned and list(configuration["patch_size"]) != [size, size]:
        raise InputError(f"nnU-Net planned a patch of {configuration['patch_size']}, not the whole {size} px")
    if any(size % int(stride) for stride in strides):
        raise InputError(f"{size} px cannot be halved as often as the network does ({strides.tolist()})")
    configuration["patch_size"] = [size, size]
