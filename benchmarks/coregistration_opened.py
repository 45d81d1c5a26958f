"""A pair of the bed as the package sees it: masks found, scans on working grids; shared by the benchmarks."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.coregistration_bed import Pair, load
from benchmarks.coregistration_candidates import Prepared, prepare
from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.segmentation.brain import ct_brain, flair_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle
from la_outcomes.segmentation.labels.wmh_model import FlairFindings, flair_by_model
from la_outcomes.segmentation.outputs import INFARCT
from la_outcomes.segmentation.packaged import bundle_path
from la_outcomes.segmentation.volumetry import dice


@dataclass(frozen=True, eq=False)
class Opened:
    """A pair, its scans on working grids, how good both intracranial masks are, and what a model saw.

    ``seen``: WMH, brain and infarct of a FLAIR model, None where the FLAIR's mask is by thresholds.
    """

    pair: Pair
    prepared: Prepared
    masks: dict[str, Any]
    seen: FlairFindings | None


@lru_cache(maxsize=2)
def opened(folder: Path, model: str | None = None) -> Opened:
    """Read a pair and find its masks, the FLAIR's by the model where one is given; the last two are kept."""
    pair, bundle = load(folder), flair_model(model)
    started = time.process_time()
    ct, flair = ct_brain(pair.ct), flair_brain(pair.flair).intracranial
    seen = None if bundle is None else flair_by_model(pair.flair, flair, asked_for_infarcts(bundle))
    flair = flair if seen is None else seen.inside
    figures: dict[str, Any] = {"pair": pair.name, "cpu_s": time.process_time() - started}
    masks = (
        ("ct", ct.intracranial, pair.ct, pair.inside_ct),
        ("flair", flair, pair.flair, pair.inside_flair),
    )
    for name, found, scan, true in masks:
        figures[f"{name}_dice"] = dice(found, true.data > 0.5)
        found_ml, true_ml = volume_ml(found, scan.affine), volume_ml(true.data, true.affine)
        figures[f"{name}_icv_error"] = found_ml / true_ml - 1
    return Opened(pair, prepare(pair.ct, pair.flair, ct.intracranial, flair), figures, seen)


@lru_cache(maxsize=1)
def flair_model(name_or_path: str | None) -> Bundle | None:
    """A FLAIR bundle or packaged model; None for None."""
    return None if name_or_path is None else load_bundle(bundle_path(name_or_path), modality="FLAIR")


def asked_for_infarcts(bundle: Bundle) -> Bundle:
    """The bundle as if it had earned the search for infarcts, where it gives them."""
    if INFARCT not in bundle.outputs.names:
        return bundle
    return replace(bundle, card={**bundle.card, "infarct": {"search": "network"}})


def rows_folder(out: Path, name: str, model: str | None) -> Path:
    """Where rows lie: apart for each model, by its SHA-256."""
    bundle = flair_model(model)
    folder = out / (name if bundle is None else f"{name}_{bundle.model_sha256[:8]}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
