"""One head of the embedded template, drawn once, and its takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from la_outcomes.pretraining.heads import Sources
from la_outcomes.pretraining.pool import Pool
from la_outcomes.simulation.parameters import load_parameters

SEED = 11


@pytest.fixture(scope="session")
def ct_pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return new_pool("CT", tmp_path_factory.mktemp("ct_takes"))


@pytest.fixture(scope="session")
def flair_pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return new_pool("FLAIR", tmp_path_factory.mktemp("flair_takes"))


def new_pool(modality: str, folder: Path) -> Pool:
    """A pool on the embedded template with modelled infarcts."""
    vendors = ("GE",) if modality == "CT" else ()
    sources = Sources.of(None, None, "training")
    return Pool(
        sources, modality, SEED, vendors, load_parameters()["image"], folder, size=2, takes_per_head=8
    )
