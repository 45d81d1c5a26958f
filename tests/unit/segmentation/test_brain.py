"""The inside of the skull on CT and FLAIR, with and without skull, straight and tilted."""

from __future__ import annotations

import numpy as np
import pytest
from pair_phantom import dice, make_pair

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.brain import ct_brain, flair_brain


@pytest.mark.parametrize("tilt", [0.0, 0.33])
def test_ct_brain_is_the_inside_of_the_skull(tilt: float) -> None:
    pair = make_pair(tilt=tilt)
    found = ct_brain(pair.ct)
    assert found.intracranial.shape == pair.ct.shape
    assert dice(found.intracranial, pair.inside_ct) > 0.96
    assert found.icv_ml == pytest.approx(volume_ml(pair.inside_ct, pair.ct.affine), rel=0.03)


def test_ct_without_skull() -> None:
    pair = make_pair()
    stripped = Image(np.where(pair.inside_ct, pair.ct.data, -1000.0).astype(np.float32), pair.ct.affine)
    assert dice(ct_brain(stripped).intracranial, pair.inside_ct) > 0.96


@pytest.mark.parametrize("has_skull", [True, False])
def test_flair_brain(has_skull: bool) -> None:
    pair = make_pair(angles_deg=(8, -5, 10), shift_mm=(4, 10, -6))
    seen = pair.flair.data if has_skull else np.where(pair.inside_flair, pair.flair.data, 0.0)
    found = flair_brain(Image(seen.astype(np.float32), pair.flair.affine))
    assert dice(found.intracranial, pair.inside_flair) > 0.93


def test_a_brighter_scan_gives_the_same_flair_mask() -> None:
    pair = make_pair()
    brighter = Image(pair.flair.data * 7.5, pair.flair.affine)
    assert dice(flair_brain(brighter).intracranial, flair_brain(pair.flair).intracranial) > 0.999


@pytest.mark.parametrize("find", [ct_brain, flair_brain])
def test_an_empty_scan_is_refused(find: object) -> None:
    air = Image(np.full((40, 40, 10), -1000.0 if find is ct_brain else 0.0, np.float32), np.eye(4) * 4)
    with pytest.raises(InputError, match=r"no brain|no signal"):
        find(air)  # type: ignore[operator]
