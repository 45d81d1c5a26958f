"""Swelling and shrinkage: volumes, what moves, what stays."""

from __future__ import annotations

import numpy as np
import pytest

from la_outcomes.simulation.anatomy import Anatomy, Tissue
from la_outcomes.simulation.fields import FloatArray, stream
from la_outcomes.simulation.head import Head, build_head
from la_outcomes.simulation.infarcts import draw_infarct
from la_outcomes.simulation.mass_effect import displacement, draw_infarcts, moved, swollen_share, warp
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import PatientSpec

IMAGE = load_parameters()["image"]


@pytest.fixture(scope="module")
def head(phantom: Anatomy) -> Head:
    return build_head(phantom, PatientSpec(), stream(1, "head"), IMAGE["head"])


@pytest.fixture(scope="module")
def infarct(head: Head) -> FloatArray:
    return draw_infarct(head, 12.0, None, stream(4, "infarct"), IMAGE["infarct"])


@pytest.mark.parametrize("strain", [-0.35, 0.15])
def test_the_marked_tissue_changes_its_volume_and_fluid_makes_up_for_it(
    head: Head, infarct: FloatArray, strain: float
) -> None:
    move = displacement(head, infarct, strain, 25.0)
    after = moved(head, move)
    change = float(warp(infarct, move).sum()) / float(infarct.sum()) - 1
    assert 0.4 * abs(strain) < abs(change) < 1.3 * abs(strain)
    assert np.sign(change) == np.sign(strain)
    fluid = [np.isin(one.tissue, (Tissue.CSF, Tissue.VENTRICLE)).sum() for one in (head, after)]
    assert np.sign(fluid[1] - fluid[0]) == -np.sign(strain)
    assert after.icv_ml == pytest.approx(head.icv_ml, rel=0.01)


def test_the_skull_does_not_move(head: Head, infarct: FloatArray) -> None:
    after = moved(head, displacement(head, infarct, 0.25, 25.0))
    for kind in (Tissue.CORTICAL_BONE, Tissue.SKIN, Tissue.AIR):
        assert np.array_equal(after.tissue == kind, head.tissue == kind)


def test_the_asked_volumes_are_met_after_the_change(head: Head) -> None:
    patient = PatientSpec("m", infarct_volume_ml=15.0, hours_from_onset=110.0, old_infarct_volume_ml=6.0)
    after, infarcts = draw_infarcts(head, patient, (stream(1, "a"), stream(1, "b")), IMAGE["infarct"])
    assert infarcts.acute.sum(dtype=float) / 1000 == pytest.approx(15.0, rel=1e-3)
    assert (infarcts.acute + infarcts.old).max() <= 1 + 1e-5
    assert not np.array_equal(after.tissue, head.tissue)


def test_swelling_comes_and_goes() -> None:
    model = IMAGE["infarct"]["mass_effect"]
    shares = [swollen_share(hours, model) for hours in (1.0, 24.0, 110.0, 800.0)]
    assert shares[0] < 0.01 < shares[1] < shares[2]
    assert shares[2] > 0.95
    assert shares[3] < 0.05
