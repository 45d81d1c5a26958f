"""A training from labels to a bundle, in steps that a killed run takes up where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.provenance import Run
from la_outcomes.segmentation.bundle import (
    CARD_FILE,
    TENSORS_FILE,
    WEIGHTS_FILE,
    Bundle,
    load_bundle,
    read_card,
    write_card,
)
from la_outcomes.segmentation.training.dataset import (
    LabelCase,
    Split,
    case_facts,
    labels_sha256,
    prepare_dataset,
    read_labels,
    split_cases,
)
from la_outcomes.segmentation.training.plans import (
    PLANS_NAME,
    Recipe,
    choose_device,
    nnunet_environment,
    plan_and_preprocess,
    preprocessed_folder,
)
from la_outcomes.shards import sha256_file, sha256_json, write_text_atomic

if TYPE_CHECKING:
    from la_outcomes.segmentation.training.trainer import LaTrainer
    from la_outcomes.segmentation.training.weights import Weights

TRAINING_VERSION = "1"


@dataclass(frozen=True)
class TrainingJob:
    """What to train: labels, the accepted among them, recipe, seed, device, a model to start from."""

    labels_dir: Path
    out: Path
    recipe: Recipe
    accepted: Path | None = None
    seed: int = 0
    device: str = "auto"
    init_from: Path | None = None
    jobs: int = 1

    @property
    def work(self) -> Path:
        """Working folder; gone once the bundle is whole."""
        return self.out / "work"


def train(job: TrainingJob) -> Bundle:
    """Train and export; a finished bundle of the same job is returned as it is.

    The same labels, recipe, seed and code make one job, whose killed run is resumed from its last
    checkpoint. Raises ``InputError`` for unusable labels, a folder that holds another model or another
    training, a loss that is not a number; ``ResourceError`` for a device that is not there or a full
    disk.
    """
    cases = read_labels(job.labels_dir, job.accepted)
    split = split_cases(cases, job.seed)
    device = choose_device(job.device)
    identity = _identity(job, cases, split)
    if (job.out / CARD_FILE).exists():
        return _finished(job.out, identity)
    _claim(job.work, identity)
    seconds: dict[str, float] = {}
    with nnunet_environment(job.work, device):
        with _clock(seconds, "preparation"):
            excluded = _prepare(job, cases, split)
        with _clock(seconds, "training"):
            trainer = _trained(job, device)
        facts = _facts(job, cases, split, excluded)
        facts |= {"identity": identity, "device": device, "seconds": seconds}
        _export(job, trainer, facts, split)
    shutil.rmtree(job.work)
    return load_bundle(job.out)


def starting_weights(path: Path, recipe: Recipe) -> Weights:
    """Weights of a bundle to start from; raises ``InputError`` where bundle and recipe do not match."""
    from la_outcomes.segmentation.training.weights import read_weights

    card = read_card(path)
    if card["input"] != vars(recipe.spec):
        raise InputError("the bundle sees another grid or window than this recipe", where=path)
    return read_weights(path, card)


def _identity(job: TrainingJob, cases: Sequence[LabelCase], split: Split) -> str:
    start = None if job.init_from is None else sha256_file(job.init_from / CARD_FILE)
    return sha256_json(
        [TRAINING_VERSION, labels_sha256(cases), asdict(split), asdict(job.recipe), job.seed, start]
    )


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


def _prepare(job: TrainingJob, cases: Sequence[LabelCase], split: Split) -> dict[str, str]:
    """Dataset and plan, once; returns the cases left out with the reason of each."""
    marker = job.work / "prepared.json"
    if not marker.exists():
        outcomes = prepare_dataset(cases, split, job.work, job.recipe.spec, jobs=job.jobs)
        excluded = {o.case_id: str(o.reason) for o in outcomes if not o.succeeded}
        plan_and_preprocess(job.work, job.recipe)
        write_text_atomic(marker, json.dumps(excluded))
    return dict(json.loads(marker.read_text(encoding="utf-8")))


def _trained(job: TrainingJob, device: str) -> LaTrainer:
    from la_outcomes.segmentation.training.progress import training_progress
    from la_outcomes.segmentation.training.trainer import FINAL, LATEST, make_trainer, seed_everything

    seed_everything(job.seed)
    trainer = make_trainer(_read(job, f"{PLANS_NAME}.json"), _read(job, "dataset.json"), job.recipe, device)
    folder = Path(trainer.output_folder)
    found = next((folder / name for name in (FINAL, LATEST) if (folder / name).exists()), None)
    if found is not None:
        trainer.load_checkpoint(str(found))
    elif job.init_from is not None:
        trainer.load_weights(starting_weights(job.init_from, job.recipe))
    if trainer.current_epoch < trainer.num_epochs:
        with training_progress(trainer.num_epochs) as report:
            trainer.report = report
            trainer.run_training()
    return trainer


def _facts(
    job: TrainingJob, cases: Sequence[LabelCase], split: Split, excluded: Mapping[str, str]
) -> dict[str, Any]:
    """The card's section on training data and recipe; no ids of patients, scans or sites."""
    facts = case_facts(job.work)
    used = [case for case in cases if case.case_id in facts]
    spacings = [fact["slice_spacing_mm"] for fact in facts.values()]
    return {
        "patients": len({case.patient_id for case in used}),
        "cases_train": sum(case in facts for case in split.train),
        "cases_validation": sum(case in facts for case in split.validation),
        "cases_excluded": len(excluded),
        "split": split.note,
        "sites": len({case.site for case in used}),
        "simulated": any(case.anatomy for case in used),
        "slice_spacing_mm": [round(float(np.min(spacings)), 3), round(float(np.max(spacings)), 3)],
        "recipe": asdict(job.recipe),
        "seed": job.seed,
        "fine_tuned": job.init_from is not None,
    }


def _export(job: TrainingJob, trainer: LaTrainer, facts: dict[str, Any], split: Split) -> None:
    """Write the bundle in the working folder, measure its parity, and move it into place, card last."""
    from la_outcomes.segmentation.training.export import export_bundle
    from la_outcomes.segmentation.training.parity import (
        PARITY_CASES,
        measure_parity,
        parity_section,
        prepared_cases,
        stock_predictor,
    )

    network = trainer.inference_network()
    plans, dataset_json = _read(job, f"{PLANS_NAME}.json"), _read(job, "dataset.json")
    run = Run("train", {"identity": facts["identity"]}, job.seed, facts["device"]).row()
    card = {
        "name": f"la-{job.recipe.name}-{facts['identity'][:8]}",
        "training": facts | {"curve": trainer.curve(), "run": run},
        "nnunet": {"plans": plans, "dataset": dataset_json},
        "parity": parity_section([]),
    }
    folder = job.work / "bundle"
    bundle = export_bundle(folder, network, trainer.weights(), job.recipe.spec, card)
    prepared = case_facts(job.work)
    chosen = [case for case in (*split.validation, *split.train) if case in prepared][: PARITY_CASES + 2]
    predictor = stock_predictor(network, plans, dataset_json)
    parity = measure_parity(bundle, predictor, prepared_cases(chosen, job.work), len(chosen))
    write_card(folder, {**bundle.card, "parity": parity})
    for name in (WEIGHTS_FILE, TENSORS_FILE, CARD_FILE):
        os.replace(folder / name, job.out / name)


def _read(job: TrainingJob, name: str) -> dict[str, Any]:
    return dict(json.loads((preprocessed_folder(job.work) / name).read_text(encoding="utf-8")))


@contextmanager
def _clock(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - started, 1)
