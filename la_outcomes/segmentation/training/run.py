"""A training from labels to a bundle, in steps that a killed run takes up where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from la_outcomes.errors import InputError, UsageError
from la_outcomes.provenance import Run
from la_outcomes.segmentation.bundle import (
    CARD_FILE,
    TENSORS_FILE,
    WEIGHTS_FILE,
    Bundle,
    load_bundle,
    write_card,
)
from la_outcomes.segmentation.training.accepted import LabelCase, labels_left_out, read_labels
from la_outcomes.segmentation.training.dataset import (
    case_facts,
    labels_sha256,
    prepare_dataset,
)
from la_outcomes.segmentation.training.plans import (
    PLANS_NAME,
    choose_device,
    nnunet_environment,
    plan_and_preprocess,
    preprocessed_folder,
)
from la_outcomes.segmentation.training.recipes import Recipe
from la_outcomes.segmentation.training.splits import FOLDS, Split, make_splits
from la_outcomes.shards import sha256_file, sha256_json, write_text_atomic

if TYPE_CHECKING:
    import torch

TRAINING_VERSION = "3"


@dataclass(frozen=True)
class TrainingJob:
    """What to train: labels, the accepted among them, recipe, seed, device, a model to start from.

    With ``init_from`` grid and network are that bundle's, whatever the recipe says.

    ``folds`` is 1, or 5: then five networks are trained, each case validates one of them, and the bundle
    holds all five, whose logits are averaged as nnU-Net's predictor does. ``prove`` False leaves the parity
    with that predictor to ``model verify``; the card says that it is not proven.
    """

    labels_dir: Path
    out: Path
    recipe: Recipe
    accepted: Path | None = None
    seed: int = 0
    device: str = "auto"
    init_from: Path | None = None
    jobs: int = 1
    folds: int = 1
    prove: bool = True

    def __post_init__(self) -> None:
        if self.folds not in (1, FOLDS):
            raise UsageError(f"a training has 1 or {FOLDS} folds, not {self.folds}")

    @property
    def work(self) -> Path:
        """Working folder; gone once the bundle is whole."""
        return self.out / "work"


@dataclass(frozen=True, eq=False)
class TrainedFold:
    """A network after its training: for the CPU, its weights, its curve, wall-clock seconds."""

    network: torch.nn.Module
    weights: dict[str, torch.Tensor]
    curve: dict[str, list[float | None]]
    seconds: dict[str, float]


def train(job: TrainingJob) -> Bundle:
    """Train and export; a finished bundle of the same job is returned as it is.

    The same labels, recipe, seed and code make one job, whose killed run is resumed from its last
    checkpoint. Raises ``InputError`` for unusable labels, a folder that holds another model or another
    training, a loss that is not a number; ``ResourceError`` for a device that is not there or a full
    disk.
    """
    if job.init_from is not None:
        from la_outcomes.segmentation.training.fine_tuning import adopted

        job = replace(job, recipe=adopted(job.recipe, job.init_from))
    device = choose_device(job.device)
    cases = read_labels(job.labels_dir, job.accepted)
    splits = make_splits(cases, job.seed, job.folds)
    identity = _identity(job, cases, splits)
    if (job.out / CARD_FILE).exists():
        return _finished(job.out, identity)
    _claim(job.work, identity)
    with nnunet_environment(job.work, device):
        excluded, prepared = _prepare(job, cases, splits)
        trained = [_trained(job, device, fold) for fold in range(job.folds)]
        facts = _facts(job, cases, excluded)
        facts |= {"identity": identity, "device": device, "seconds_preparation": prepared}
        facts |= {"split": splits[0].note, "folds": _fold_facts(job, splits, trained)}
        _export(job, trained, facts, splits)
    shutil.rmtree(job.work)
    return load_bundle(job.out)


def _identity(job: TrainingJob, cases: Sequence[LabelCase], splits: Sequence[Split]) -> str:
    start = None if job.init_from is None else sha256_file(job.init_from / CARD_FILE)
    parts = [asdict(split) for split in splits]
    return sha256_json([TRAINING_VERSION, labels_sha256(cases), parts, asdict(job.recipe), job.seed, start])


def _finished(out: Path, identity: str) -> Bundle:
    bundle = load_bundle(out)
    if bundle.card["training"].get("identity") != identity:
        raise InputError(
            "the folder holds a model of another training", where=out, hint="choose another --out"
        )
    return bundle


def _claim(work: Path, identity: str) -> None:
    """Mark the working folder as this job's; refuse one of another job."""
    claim = work / "identity"
    if claim.exists() and claim.read_text(encoding="utf-8") != identity:
        raise InputError(
            "the folder holds an unfinished training of other labels or another recipe",
            where=work,
            hint="choose another --out, or delete this folder to start anew",
        )
    write_text_atomic(claim, identity)


def _prepare(
    job: TrainingJob, cases: Sequence[LabelCase], splits: Sequence[Split]
) -> tuple[dict[str, str], float]:
    """Dataset and plan, once; returns the cases left out with the reason of each, and its seconds."""
    marker = job.work / "prepared.json"
    if not marker.exists():
        started = time.monotonic()
        outcomes = prepare_dataset(cases, splits, job.work, job.recipe.spec, jobs=job.jobs)
        excluded = {o.case_id: str(o.reason) for o in outcomes if not o.succeeded}
        plan_and_preprocess(job.work, job.recipe)
        seconds = round(time.monotonic() - started, 1)
        write_text_atomic(marker, json.dumps({"excluded": excluded, "seconds": seconds}))
    prepared = json.loads(marker.read_text(encoding="utf-8"))
    return dict(prepared["excluded"]), float(prepared["seconds"])


def _trained(job: TrainingJob, device: str, fold: int) -> TrainedFold:
    """Train one fold, or take up where its training stopped."""
    from la_outcomes.segmentation.training.fine_tuning import starting_weights
    from la_outcomes.segmentation.training.progress import training_progress
    from la_outcomes.segmentation.training.trainer import FINAL, LATEST, make_trainer, seed_everything

    seed_everything(job.seed + fold)
    plans, dataset = _read(job, f"{PLANS_NAME}.json"), _read(job, "dataset.json")
    trainer = make_trainer(plans, dataset, job.recipe, device, fold)
    folder = Path(trainer.output_folder)
    found = next((folder / name for name in (FINAL, LATEST) if (folder / name).exists()), None)
    if found is not None:
        trainer.load_checkpoint(str(found))
    elif job.init_from is not None:
        trainer.load_weights(starting_weights(job.init_from, fold))
    if trainer.current_epoch < trainer.num_epochs:
        with training_progress(trainer.num_epochs, f"fold {fold} " if job.folds > 1 else "") as report:
            trainer.report = report
            trainer.run_training()
    return TrainedFold(trainer.inference_network(), trainer.weights(), trainer.curve(), trainer.seconds())


def _fold_facts(
    job: TrainingJob, splits: Sequence[Split], trained: Sequence[TrainedFold]
) -> list[dict[str, Any]]:
    """Sizes, curve and seconds of each fold."""
    prepared = case_facts(job.work)
    return [
        {
            "cases_train": sum(case in prepared for case in split.train),
            "cases_validation": sum(case in prepared for case in split.validation),
            "curve": fold.curve,
            "seconds": fold.seconds,
        }
        for split, fold in zip(splits, trained, strict=True)
    ]


def _facts(job: TrainingJob, cases: Sequence[LabelCase], excluded: Mapping[str, str]) -> dict[str, Any]:
    """The card's section on training data and recipe; no ids of patients, scans or sites."""
    facts = case_facts(job.work)
    used = [case for case in cases if case.case_id in facts]
    spacings = [fact["slice_spacing_mm"] for fact in facts.values()]
    return {
        "patients": len({case.patient_id for case in used}),
        "cases_excluded": len(excluded),
        "labels_left_out": labels_left_out(job.labels_dir, cases),
        "sites": len({case.site for case in used}),
        "simulated": any(case.anatomy for case in used),
        "slice_spacing_mm": [round(float(np.min(spacings)), 3), round(float(np.max(spacings)), 3)],
        "recipe": asdict(job.recipe),
        "seed": job.seed,
        "fine_tuned": job.init_from is not None,
    }


def _export(
    job: TrainingJob, trained: Sequence[TrainedFold], facts: dict[str, Any], splits: Sequence[Split]
) -> None:
    """Write the bundle in the working folder, measure its parity, and move it into place, card last."""
    from la_outcomes.segmentation.training.export import export_bundle
    from la_outcomes.segmentation.training.parity import parity_section
    from la_outcomes.segmentation.training.weights import ensemble, join_folds

    network = ensemble([fold.network for fold in trained])
    run = Run("train", {"identity": facts["identity"]}, job.seed, facts["device"]).row()
    card = {
        "name": f"la-{job.recipe.name}-{facts['identity'][:8]}",
        "training": facts | {"run": run},
        "nnunet": {"plans": _read(job, f"{PLANS_NAME}.json"), "dataset": _read(job, "dataset.json")},
        "parity": parity_section([]),
    }
    weights = join_folds([fold.weights for fold in trained])
    bundle = export_bundle(job.work / "bundle", network.eval(), weights, job.recipe.spec, card)
    if job.prove:
        write_card(bundle.path, {**bundle.card, "parity": _parity(job, bundle, trained, splits)})
    for name in (WEIGHTS_FILE, TENSORS_FILE, CARD_FILE):
        os.replace(bundle.path / name, job.out / name)


def _parity(
    job: TrainingJob, bundle: Bundle, trained: Sequence[TrainedFold], splits: Sequence[Split]
) -> dict[str, Any]:
    """The export against nnU-Net's predictor on cases of the training's own set, validation first."""
    from la_outcomes.segmentation.training.parity import (
        PARITY_CASES,
        measure_parity,
        prepared_cases,
        stock_predictor,
    )

    prepared = case_facts(job.work)
    order = dict.fromkeys((*splits[0].validation, *splits[0].train))
    chosen = [case for case in order if case in prepared][: PARITY_CASES + 2]
    nnunet = bundle.card["nnunet"]
    predictor = stock_predictor([fold.network for fold in trained], nnunet["plans"], nnunet["dataset"])
    return measure_parity(
        bundle, predictor, prepared_cases(chosen, job.work, bundle.spec.slices), len(chosen)
    )


def _read(job: TrainingJob, name: str) -> dict[str, Any]:
    return dict(json.loads((preprocessed_folder(job.work) / name).read_text(encoding="utf-8")))
