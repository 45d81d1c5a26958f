"""Two stacks of slices in one scan: places, thicknesses, volumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.simulation.anatomy import Anatomy
from la_outcomes.simulation.pair import draw_patient, take_ct
from la_outcomes.simulation.parameters import Parameters
from la_outcomes.simulation.patient import PatientSpec
from la_outcomes.simulation.stacks import slice_places


def test_thin_slices_below_and_thick_above_adjoin_and_hold_the_same_volume(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters
) -> None:
    asked = replace(small_patient, ct=replace(small_patient.ct, lower_slice_thickness_mm=3.0))
    drawn = draw_patient(phantom, asked, 3, image_parameters["image"])
    scan = take_ct(drawn, image_parameters["image"])
    centres, thickness = slice_places(scan.stacks)
    assert set(thickness) == {3.0, 5.0}
    assert np.diff(centres) == pytest.approx((thickness[:-1] + thickness[1:]) / 2)
    assert scan.image.data.dtype == np.int16
    for image, truth in ((scan.tissue, 12.0), (scan.visible, 8.0), (scan.infarct, 6.0)):
        assert image.shape == scan.image.shape
        assert np.array_equal(image.affine, scan.image.affine)
        assert volume_ml(image.data, image.affine) == pytest.approx(truth, rel=0.02)


def test_an_even_scan_is_one_stack(
    phantom: Anatomy, small_patient: PatientSpec, image_parameters: Parameters
) -> None:
    drawn = draw_patient(phantom, small_patient, 3, image_parameters["image"])
    scan = take_ct(drawn, image_parameters["image"])
    assert len(scan.stacks) == 1
    assert scan.stacks[0].image is scan.image
