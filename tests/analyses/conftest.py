"""Small simulated registries for the scripts: a complete one, and ones in which questions have no answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.figures import base
from la_outcomes.bulk import write_bulk
from la_outcomes.dictionary import load_dictionary
from la_outcomes.provenance import Run
from la_outcomes.registry.database import open_for_writing
from la_outcomes.registry.ingest import ingest
from la_outcomes.simulation.clinical import simulate_clinical

Tables = dict[str, pd.DataFrame]
SIZES = {"training": 60, "internal_validation": 30, "external_test": 80, "us_test": 40, "clinical": 400}


@functools.cache
def _simulated() -> Mapping[str, pd.DataFrame]:
    return simulate_clinical(SIZES, seed=3).tables


def build_registry(folder: Path, change: Callable[[Tables], Tables] = lambda tables: tables) -> Path:
    """A registry in ``folder`` with the simulated tables after ``change``; label rows are added for pairs."""
    tables = change(with_repeats(with_labels({name: table.copy() for name, table in _simulated().items()})))
    run = Run("tests", {"sizes": SIZES}, seed=3)
    for name, table in tables.items():
        if table.empty:
            continue
        if "run_id" in load_dictionary().tables[name].columns:
            table = table.assign(run_id=run.run_id)
        write_bulk(folder, kind="tests", table=name, frame=table, run=run)
    registry = folder / "registry.duckdb"
    if any(len(table) for table in tables.values()):
        ingest([folder], registry)
    else:
        with open_for_writing(registry):
            pass
    return registry


def with_labels(tables: Tables) -> Tables:
    """Pseudo-labels and Dice for every pair, as images would give them, from the volumes at hand."""
    random = np.random.default_rng(5)
    pairs = tables["pairs"].merge(
        tables["wmh_measurements"], left_on="flair_scan_id", right_on="scan_id", suffixes=("", "_flair")
    )
    volume = 0.9 * pairs["wmh_volume_ml"] * np.exp(random.normal(0, 0.1, len(pairs)))
    tables["pseudo_labels"] = pairs[["ct_scan_id", "flair_scan_id", "parameters_sha256"]].assign(
        label_volume_ml=volume.round(3), wmh_volume_ml=pairs["wmh_volume_ml"], status="accepted"
    )
    dice = np.clip(0.35 + 0.08 * np.log1p(volume) + random.normal(0, 0.08, len(pairs)), 0, 1)
    tables["segmentation_scores"] = pd.DataFrame(
        {
            "scan_id": pairs["ct_scan_id"],
            "model_sha256": tables["models"]["model_sha256"].iloc[0],
            "reference": "label",
            "reference_name": "pseudo-label",
            "dsc": dice,
        }
    )
    tables["qc_reviews"] = reviews(pairs)
    return tables


def reviews(pairs: pd.DataFrame) -> pd.DataFrame:
    """Two reviewers' decisions on thirty pseudo-labels, the first one's twice; both reject one label."""
    targets = pairs["ct_scan_id"] + "|" + pairs["flair_scan_id"] + "|" + pairs["parameters_sha256"]
    passes = (("v1", 1), ("v2", 1), ("v1", 2))
    rows = [
        {
            "target_kind": "pseudo_label",
            "target_id": target,
            "reviewer": reviewer,
            "pass_no": pass_no,
            "reviewed_at": pd.Timestamp("2026-01-01") + pd.Timedelta(minutes=place),
            "decision": "reject" if i == 0 else "unsure" if (i + place) % 5 == 0 else "accept",
            "reason": "coregistration is off" if i == 0 else None,
        }
        for i, target in enumerate(targets.head(30))
        for place, (reviewer, pass_no) in enumerate(passes)
    ]
    return pd.DataFrame(rows)


def with_repeats(tables: Tables) -> Tables:
    """A second CT of every tenth clinical patient, and another model's volumes of the first CTs."""
    random = np.random.default_rng(6)
    clinical = tables["patients"].loc[tables["patients"]["cohort"] == "clinical", "patient_id"].iloc[::10]
    scans = tables["scans"]
    first = scans[(scans["modality"] == "CT") & scans["patient_id"].isin(clinical)]
    volumes = tables["la_measurements"][tables["la_measurements"]["scan_id"].isin(first["scan_id"])]
    volumes = volumes[volumes["la_volume_ml"].notna()]
    second = first[first["scan_id"].isin(volumes["scan_id"])]
    again = second.assign(
        scan_id=second["scan_id"] + "-b", days_from_onset=second["days_from_onset"].fillna(0) + 3
    )
    noise = np.exp(random.normal(0, 0.15, len(volumes)))
    repeated = volumes.assign(
        scan_id=volumes["scan_id"] + "-b", la_volume_ml=(volumes["la_volume_ml"] * noise).round(3)
    )
    model = tables["models"].iloc[:1].assign(model_sha256="f" * 64, name="other", is_active=False)
    every = tables["la_measurements"].dropna(subset=["la_volume_ml"])
    other = every.assign(model_sha256="f" * 64, la_volume_ml=(1.2 * every["la_volume_ml"] + 0.3).round(3))
    tables["scans"] = pd.concat([scans, again], ignore_index=True)
    tables["models"] = pd.concat([tables["models"], model], ignore_index=True)
    tables["la_measurements"] = pd.concat([tables["la_measurements"], repeated, other], ignore_index=True)
    return tables


def no_volume(tables: Tables) -> Tables:
    """Every CT failed."""
    tables["la_measurements"] = tables["la_measurements"].assign(
        la_volume_ml=np.nan, not_measured_reason="brain not covered"
    )
    return tables


def no_outcome(tables: Tables) -> Tables:
    """Nobody was followed up."""
    return {name: table for name, table in tables.items() if name != "outcomes"}


def same_outcome(tables: Tables) -> Tables:
    """Everybody has mRS 2, nobody died."""
    known = tables["outcomes"].assign(
        mrs_3m=2, death_days=np.nan, recurrence_days=np.nan, last_seen_days=365.0
    )
    return {**tables, "outcomes": known}


def one_centre(tables: Tables) -> Tables:
    """All patients from one centre."""
    return {**tables, "patients": tables["patients"].assign(site="K01")}


def no_mri(tables: Tables) -> Tables:
    """CT alone."""
    ct = tables["scans"][tables["scans"]["modality"] == "CT"]
    gone = ("pairs", "wmh_measurements", "pseudo_labels", "segmentation_scores")
    return {name: table for name, table in tables.items() if name not in gone} | {"scans": ct}


def one_patient(tables: Tables) -> Tables:
    """A registry of one."""
    wanted = tables["patients"]["patient_id"].iloc[-1]
    scans = tables["scans"][tables["scans"]["patient_id"] == wanted]
    keys: Mapping[str, Any] = {
        "patient_id": [wanted],
        "scan_id": scans["scan_id"],
        "ct_scan_id": scans["scan_id"],
    }
    kept = {}
    for name, table in tables.items():
        key = next((column for column in keys if column in table), None)
        kept[name] = table if key is None else table[table[key].isin(keys[key])]
    return kept


def nobody(tables: Tables) -> Tables:
    """An empty registry."""
    return {name: table.head(0) for name, table in tables.items()}


EMPTY_QUESTIONS: dict[str, Callable[[Tables], Tables]] = {
    change.__name__: change
    for change in (no_volume, no_outcome, same_outcome, one_centre, no_mri, one_patient, nobody)
}


@pytest.fixture(scope="session", autouse=True)
def _coarse_pictures() -> Iterator[None]:
    """Fewer pixels: what is drawn is tested, not how finely."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "FIGURE_DPI", 50)
        yield


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The complete simulated registry."""
    return build_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="session")
def odd_registries(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds, once, the registry of a named odd situation."""

    @functools.cache
    def build(name: str) -> Path:
        return build_registry(tmp_path_factory.mktemp(name), EMPTY_QUESTIONS[name])

    return build
