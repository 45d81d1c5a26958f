"""The planted archive: a few studies of it, imported as the benchmark does, and faults it must notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from benchmark_scripts import load_script


@pytest.fixture(scope="module")
def archive() -> ModuleType:
    return load_script("archive")


@pytest.mark.slow
def test_a_few_studies_are_chosen_as_planted_and_a_wrong_choice_is_noticed(
    archive: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LA_OUTCOMES_KEY_FILE", str(tmp_path / "key"))
    page, wrong = archive.measure(tmp_path, 10, seed=2)
    assert wrong == []
    assert "| tilted, unsigned | 1 | chosen | 0 |" in page
    planted = archive.build(tmp_path / "again", 10, seed=2)
    turned = [
        replace(one, plant=replace(one.plant, rule="kernel" if one.plant.rule is None else None))
        for one in planted
    ]
    found, _ = archive.compare(turned, tmp_path / "out", tmp_path / "key")
    assert len(found) == len(planted)
    moved = [replace(one, head=1 - one.head) for one in planted]
    assert any(
        "differ from the head" in what
        for what in archive.compare(moved, tmp_path / "out", tmp_path / "key")[0]
    )
