"""Heads of a generated training: the part's own, every load, the same for the same number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.pretraining.heads import LOADS, Sources, draw_load, log_even
from la_outcomes.pretraining.pool import Pool
from la_outcomes.simulation.split import part_of_anatomy, part_of_infarct


def _folders(tmp_path: Path, anatomies: int, infarcts: int) -> tuple[Path, Path]:
    for folder, names in (
        ("anatomies", [f"training_seg_{n:02d}" for n in range(1, anatomies + 1)]),
        ("infarcts", [f"sub-{n}_lesion" for n in range(infarcts)]),
    ):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name}.nii.gz").touch()
    return tmp_path / "anatomies", tmp_path / "infarcts"


def test_parts_share_no_anatomy_and_no_infarct(tmp_path: Path) -> None:
    anatomies, infarcts = _folders(tmp_path, 16, 60)
    parts = {part: Sources.of(anatomies, infarcts, part) for part in ("training", "validation", "test")}
    assert sum(len(part.anatomies) for part in parts.values()) == 16
    assert sum(len(part.masks) for part in parts.values()) == 60
    for name, part in parts.items():
        assert {part_of_anatomy(anatomy) for anatomy in part.anatomies} == {name}
        assert {part_of_infarct(mask) for mask in part.masks} == {name}


def test_a_part_without_anatomies_is_refused(tmp_path: Path) -> None:
    anatomies, infarcts = _folders(tmp_path, 5, 60)
    with pytest.raises(InputError, match="test part"):
        Sources.of(anatomies, infarcts, "test")


def test_lesion_free_small_and_large_loads_are_all_common() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([draw_load(LOADS, rng) for _ in range(2000)])
    assert 0.11 < (drawn == 0).mean() < 0.17
    assert 0.10 < ((drawn > 0) & (drawn < 3)).mean() < 0.18
    assert 0.14 < (drawn > 60).mean() < 0.24
    assert drawn.max() <= 125


def test_log_even_numbers_lie_between_their_limits_with_half_below_the_geometric_mean() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([log_even((1.0, 100.0), rng) for _ in range(2000)])
    assert drawn.min() >= 1
    assert drawn.max() <= 100
    assert abs((drawn < 10).mean() - 0.5) < 0.05


def test_a_number_gives_the_same_head_whatever_is_taken_of_it(ct_pool: Pool, flair_pool: Pool) -> None:
    first, second = ct_pool.head(0), flair_pool.head(0)
    assert first.patient == second.patient
    assert (first.head.tissue == second.head.tissue).all()
    assert (first.lesions.wmh.tissue == second.lesions.wmh.tissue).all()
