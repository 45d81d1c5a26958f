"""What is trained and how: recipes, and nnU-Net's plan for them.

One code path for all devices: the full recipe takes nnU-Net's own 2D plan (architecture, batch size,
SGD, 1,000 epochs); the smoke recipe overrides the network and the schedule so that a CPU finishes in
minutes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.execution import map_cases
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.segmentation.training.dataset import DATASET_NAME, case_facts, raw_folder
from la_outcomes.shards import write_text_atomic

CONFIGURATION = "2d"
PLANS_NAME = "nnUNetPlans"
_WORKERS = "nnUNet_n_proc_DA"


@dataclass(frozen=True)
class Recipe:
    """One way to train.

    ``features`` of each stage and ``batch_size`` None: nnU-Net plans them. ``rotation_deg`` and
    ``mirror_axes`` (0 row, 1 column) bound the augmentation. ``optimizer`` "sgd" is nnU-Net's own
    (Nesterov, polynomial decay), "adamw" keeps the decay. ``save_every`` epochs lie between checkpoints.
    """

    name: str
    spec: InputSpec
    epochs: int
    iterations: int
    validation_iterations: int
    optimizer: str
    learning_rate: float
    rotation_deg: float
    mirror_axes: tuple[int, ...]
    save_every: int
    features: tuple[int, ...] | None = None
    batch_size: int | None = None

    def as_card(self) -> dict[str, Any]:
        """The recipe as the model card and the training's identity hold it."""
        return asdict(self)


FULL = Recipe(
    name="full",
    spec=InputSpec(size_px=320, spacing_mm=0.7),
    epochs=1000,
    iterations=250,
    validation_iterations=50,
    optimizer="sgd",
    learning_rate=1e-2,
    rotation_deg=180.0,
    mirror_axes=(0, 1),
    save_every=10,
)
SMOKE = Recipe(
    name="smoke",
    spec=InputSpec(size_px=128, spacing_mm=1.5),
    epochs=20,
    iterations=40,
    validation_iterations=8,
    optimizer="adamw",
    learning_rate=2e-3,
    rotation_deg=15.0,
    mirror_axes=(1,),
    save_every=1,
    features=(16, 32, 64, 128),
    batch_size=4,
)


def recipe(
    *,
    smoke: bool,
    epochs: int | None = None,
    iterations: int | None = None,
    learning_rate: float | None = None,
) -> Recipe:
    """The full or the smoke recipe, with another schedule where asked.

    Raises ``UsageError`` for epochs or iterations below 1 and a learning rate of 0 or less.
    """
    chosen = SMOKE if smoke else FULL
    wanted = {"epochs": epochs, "iterations": iterations, "learning_rate": learning_rate}
    changes = {name: value for name, value in wanted.items() if value is not None}
    for name, value in changes.items():
        if value <= 0:
            raise UsageError(f"{name} must be above 0, not {value}")
    return replace(chosen, **changes)  # type: ignore[arg-type]


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

    Returns the plan. Raises ``InputError`` where nnU-Net cannot preprocess a case.
    """
    folder = preprocessed_folder(work)
    folder.mkdir(parents=True, exist_ok=True)
    raw = raw_folder(work)
    _write_fingerprint(work, chosen.spec)
    for name in ("dataset.json", "splits_final.json"):
        write_text_atomic(folder / name, (raw / name).read_text(encoding="utf-8"))
    plans = _plans(chosen, work)
    write_text_atomic(folder / f"{PLANS_NAME}.json", json.dumps(plans, indent=1))
    outcomes = map_cases(_Preprocess(plans, raw, folder), sorted(case_facts(work)), label="preprocessing")
    failed = [outcome for outcome in outcomes if not outcome.succeeded]
    if failed:
        raise InputError(
            "nnU-Net could not preprocess a case", where=failed[0].case_id, hint=failed[0].reason
        )
    return plans


def preprocessed_folder(work: Path) -> Path:
    """nnU-Net's preprocessed dataset inside the working folder."""
    return work / "nnUNet_preprocessed" / DATASET_NAME


@dataclass(frozen=True)
class _Preprocess:
    """nnU-Net's preprocessing of one case, in this process."""

    plans: dict[str, Any]
    raw: Path
    folder: Path

    def __call__(self, case_id: str) -> tuple[str, str | None]:
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        manager = PlansManager(self.plans)
        configuration = manager.get_configuration(CONFIGURATION)
        target = self.folder / configuration.data_identifier
        target.mkdir(exist_ok=True)
        DefaultPreprocessor(verbose=False).run_case_save(
            str(target / case_id),
            [str(self.raw / "imagesTr" / f"{case_id}_0000.nii.gz")],
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
        "foreground_intensity_properties_per_channel": {"0": {**neutral, **limits}},
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
    if chosen.features is not None:
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
    if chosen.features is None and list(configuration["patch_size"]) != [size, size]:
        raise InputError(f"nnU-Net planned a patch of {configuration['patch_size']}, not the whole {size} px")
    if any(size % int(stride) for stride in strides):
        raise InputError(f"{size} px cannot be halved as often as the network does ({strides.tolist()})")
    configuration["patch_size"] = [size, size]
