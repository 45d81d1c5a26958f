"""A study with images, made once and copied for each test that writes; a list of many without images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from review_study import make_list, make_study


@pytest.fixture(scope="session")
def made_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_study(tmp_path_factory.mktemp("made"))


@pytest.fixture
def registry(made_study: Path, tmp_path: Path) -> Path:
    """A registry in a study folder of its own, moved away from where its rows say its scans are."""
    folder = tmp_path / "study"
    shutil.copytree(made_study.parent, folder)
    return folder / made_study.name


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_list(tmp_path_factory.mktemp("many"), 400)


@pytest.fixture
def list_registry(many: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(many.parent, tmp_path / "list")) / many.name
