"""A patient's head: size, ventricles, sulci."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from la_outcomes.simulation.anatomy import Anatomy, Tissue
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.head import Head, build_head
from la_outcomes.simulation.parameters import load_parameters
from la_outcomes.simulation.patient import PatientSpec

_NEVER = {"probability": 0.0}


def _head(phantom: Anatomy, icv_ml: float | None = None, **changes: Any) -> Head:
    asked = {"plexus": _NEVER, "pineal": _NEVER, **changes}
    model = load_parameters({"image": {"head": asked}})["image"]["head"]
    return build_head(phantom, PatientSpec(icv_ml=icv_ml), stream(1, "head"), model)


def _fixed(value: float) -> dict[str, Any]:
    return {"intercept": value, "per_decade_from_68": 0.0, "sd": 0.0, "range": [-9.0, 9.0]}


def test_the_head_takes_the_asked_intracranial_volume(phantom: Anatomy) -> None:
    for icv_ml in (180.0, 300.0):
        assert _head(phantom, icv_ml).icv_ml == pytest.approx(icv_ml, rel=0.12)


def test_ventricles_grow_and_shrink(phantom: Anatomy) -> None:
    small, asis, large = (
        (_head(phantom, ventricles_mm=_fixed(mm)).tissue == Tissue.VENTRICLE).sum() for mm in (-1.5, 0.0, 2.5)
    )
    assert small < 0.9 * asis < 0.9 * large / 1.3


def test_atrophy_turns_cortex_into_fluid_and_lowers_the_brain_volume(phantom: Anatomy) -> None:
    young, old = (_head(phantom, atrophy=_fixed(amount)) for amount in (0.0, 0.3))
    lost = (young.tissue == Tissue.CORTEX) & (old.tissue == Tissue.CSF)
    assert lost.sum() == pytest.approx(0.3 * (young.tissue == Tissue.CORTEX).sum(), rel=0.25)
    assert young.brain_volume_ml - old.brain_volume_ml == pytest.approx(lost.sum() / 1000, abs=0.1)
    assert young.icv_ml == pytest.approx(old.icv_ml)


def test_each_seed_has_its_own_shape_and_the_same_seed_the_same(phantom: Anatomy) -> None:
    model = load_parameters()["image"]["head"]
    first, again, other = (
        build_head(phantom, PatientSpec(), stream(seed, "head"), model).tissue for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_the_map_s_own_lesions_move_with_the_head(phantom: Anatomy) -> None:
    prior = np.zeros(phantom.tissue.shape, bool)
    prior[60:70, 45:55, 45:55] = True
    marked = Anatomy("marked", phantom.tissue, prior, phantom.affine, phantom.mni_affine)
    head = _head(marked)
    centre = np.argwhere(head.lesion_prior).mean(axis=0) + head.affine[:3, 3]
    assert centre == pytest.approx([14.5, -0.5, -0.5], abs=6)
    assert head.tissue.max() < 128


def test_plexus_lies_in_the_ventricles(phantom: Anatomy) -> None:
    with_plexus = _head(phantom, plexus={"probability": 1.0}).tissue == Tissue.PLEXUS
    without = _head(phantom).tissue
    assert with_plexus.sum() > 20
    assert (without[with_plexus] == Tissue.VENTRICLE).all()


def test_a_pineal_gland_lies_at_the_midline(phantom: Anatomy) -> None:
    head = _head(phantom, pineal={"probability": 1.0})
    where = np.argwhere(head.tissue == Tissue.PLEXUS) + head.affine[:3, 3]
    assert 10 < len(where) < 250
    assert abs(where[:, 0].mean()) < 2


def test_narrow_sulci_give_fluid_to_the_cortex(phantom: Anatomy) -> None:
    asis, narrow = (_head(phantom, atrophy=_fixed(amount)) for amount in (0.0, -0.2))
    gained = (asis.tissue == Tissue.CSF) & (narrow.tissue == Tissue.CORTEX)
    assert gained.sum() == pytest.approx(0.2 * (asis.tissue == Tissue.CSF).sum(), rel=0.25)
    assert narrow.brain_volume_ml > asis.brain_volume_ml
