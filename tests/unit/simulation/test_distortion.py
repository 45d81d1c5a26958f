"""The FLAIR's distortion: smooth, bounded, and its inverse is its inverse."""

from __future__ import annotations

import numpy as np
import pytest

from la_outcomes.simulation.distortion import Distortion, draw_distortion
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.pair import SimulatedPair
from la_outcomes.simulation.parameters import load_parameters


@pytest.fixture(scope="module")
def distortion() -> Distortion:
    corners = np.array([[-110.0, -120.0, -80.0], [110.0, 120.0, 80.0]])
    return draw_distortion(corners, stream(1, "d"), load_parameters()["image"]["flair"]["distortion"])


def test_what_is_undone_was_done(distortion: Distortion) -> None:
    appears, undone = distortion.appears(), distortion.undone()
    rng = np.random.default_rng(0)
    for point in rng.uniform([-90, -100, -70], [90, 100, 70], (200, 3)):
        back = undone.TransformPoint(appears.TransformPoint(point.tolist()))
        assert np.linalg.norm(np.array(back) - point) < 0.1


def test_it_is_millimetres_at_most_and_nothing_far_away(distortion: Distortion) -> None:
    length = np.linalg.norm(distortion.shift, axis=0)
    assert 0.3 < length.max() < 6
    far = (1000.0, 1000.0, 1000.0)
    assert distortion.appears().TransformPoint(far) == pytest.approx(far)


def test_the_transform_of_a_pair_is_not_rigid(small_pair: SimulatedPair) -> None:
    points = np.random.default_rng(1).uniform(-40, 40, (60, 3))
    mapped = np.array([small_pair.ct_to_flair.TransformPoint(p.tolist()) for p in points])
    design = np.hstack([points, np.ones((60, 1))])
    solution, *_ = np.linalg.lstsq(design, mapped, rcond=None)
    residual = np.linalg.norm(design @ solution - mapped, axis=1)
    assert 0.05 < residual.max() < 4
