"""An empty registry for each test, made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from la_outcomes.registry.database import open_for_writing


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("registry") / "empty.duckdb"
    with open_for_writing(path):
        pass
    return path


@pytest.fixture
def registry(tmp_path: Path, empty_registry: Path) -> Path:
    return Path(shutil.copy2(empty_registry, tmp_path / "registry.duckdb"))
