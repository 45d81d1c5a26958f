"""Old infarcts of a training: real shapes, gliotic or hollow, never brighter than before on CT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la_outcomes.pretraining.infarct_looks import (
    aged,
    mottle_acute,
    paint_old_on_ct,
    paint_old_on_flair,
    without_old,
)
from la_outcomes.pretraining.pool import Pool
from la_outcomes.simulation.anatomy import PARENCHYMA, is_tissue
from la_outcomes.simulation.fields import FloatArray
from la_outcomes.simulation.head import Head
from la_outcomes.simulation.lesions import Lesions


@pytest.fixture(scope="module")
def head(ct_pool: Pool) -> Head:
    return ct_pool.head(0).head


@pytest.fixture(scope="module")
def ball(head: Head) -> FloatArray:
    """An infarct of about 30 mL in one hemisphere's brain."""
    middle = np.array(head.tissue.shape) / 2 + [30, 10, 10]
    away = sum((np.arange(n) - c).reshape([-1 if a == k else 1 for a in range(3)]) ** 2
               for k, (n, c) in enumerate(zip(head.tissue.shape, middle, strict=True)))  # fmt: skip
    share = (np.asarray(away) < 20**2) & is_tissue(head.tissue, PARENCHYMA)
    return share.astype(np.float32)


@pytest.fixture(scope="module")
def lesions(ct_pool: Pool, ball: FloatArray) -> Lesions:
    return replace(ct_pool.head(0).lesions, infarct=ball, old_infarct=0 * ball)


def test_one_infarct_of_three_is_shown_as_an_old_one_of_the_same_shape(lesions: Lesions) -> None:
    shown = [aged(lesions, np.random.default_rng(seed)) for seed in range(30)]
    old = [each for each in shown if each.old_infarct.any()]
    assert 5 <= len(old) <= 17
    assert not any(each.infarct.any() for each in old)
    assert all((each.old_infarct == lesions.infarct).all() for each in old)


def test_an_old_infarct_on_ct_is_darker_and_its_target_lies_where_it_shows(
    head: Head, ball: FloatArray
) -> None:
    levels = []
    for seed in range(8):
        hu = np.full(ball.shape, 32, dtype=np.float32)
        shown = paint_old_on_ct(hu, ball, head, np.random.default_rng(seed))
        assert (hu <= 32).all()
        assert (hu[shown == 0] == 32).all()
        assert (shown <= ball).all()
        assert 0.4 < shown.sum() / ball.sum() <= 1
        levels.append(float(hu[shown > 0.9].mean()))
    assert min(levels) < 17 < 20 < max(levels)
    assert min(levels) > 4


def test_an_old_infarct_on_flair_is_gliotic_with_or_without_a_cavity(head: Head, ball: FloatArray) -> None:
    darkest = []
    for seed in range(8):
        signal = np.ones(ball.shape, dtype=np.float32)
        shown = paint_old_on_flair(signal, ball, head, np.random.default_rng(seed))
        assert (signal[shown == 0] == 1).all()
        assert signal.max() > 1.1
        darkest.append(float(np.percentile(signal[shown > 0.9], 2)))
    assert min(darkest) < 0.8 < 1.05 < max(darkest)


def test_a_fresh_infarct_is_mottled_in_its_place_alone(ball: FloatArray) -> None:
    signal = np.ones(ball.shape, dtype=np.float32)
    mottle_acute(signal, ball, np.random.default_rng(1))
    assert signal[ball > 0].std() > 0.005
    assert (signal[ball == 0] == 1).all()
    mottle_acute(signal, 0 * ball, np.random.default_rng(1))


def test_nothing_is_painted_where_there_is_nothing(head: Head, ball: FloatArray, lesions: Lesions) -> None:
    hu = np.full(ball.shape, 32, dtype=np.float32)
    assert not paint_old_on_ct(hu, 0 * ball, head, np.random.default_rng(0)).any()
    assert (hu == 32).all()
    assert not without_old(lesions).old_infarct.any()
