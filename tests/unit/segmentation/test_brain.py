import numpy as np
import pytest

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.segmentation.brain import ct_brain, flair_brain


def ball(shape, spacing, radius_mm, centre_mm):
    places = np.indices(shape).reshape(3, -1).T * spacing
    return (((places - centre_mm) ** 2).sum(1) <= radius_mm**2).reshape(shape)


def head_ct(spacing=(2.0, 2.0, 4.0), shear=0.0, skull=True):
    """A ball of brain (60 mm) with a ventricle (15 mm), in a skull of 7 mm and a scalp of 5 mm."""
    spacing = np.asarray(spacing)
    shape = tuple((np.array([160.0, 160.0, 160.0]) / spacing).astype(int))
    centre = np.array([80.0, 80.0, 80.0])
    data = np.full(shape, -1000.0, np.float32)
    if skull:
        data[ball(shape, spacing, 72, centre)] = 30.0
        data[ball(shape, spacing, 67, centre)] = 1000.0
    data[ball(shape, spacing, 60, centre)] = 32.0
    data[ball(shape, spacing, 15, centre)] = 5.0
    affine = np.diag([*spacing, 1.0])
    affine[1, 2] = shear * spacing[2]
    return Image(data, affine)


@pytest.mark.parametrize("skull", [True, False])
@pytest.mark.parametrize("shear", [0.0, 0.2])
def test_the_inside_of_a_head_is_measured_whole(skull, shear):
    found = ct_brain(head_ct(skull=skull, shear=shear))
    true_ml = 4 / 3 * np.pi * 6.0**3
    assert found.icv_ml == pytest.approx(true_ml, rel=0.08)


def test_thick_slices_give_the_same_volume():
    thin, thick = ct_brain(head_ct()), ct_brain(head_ct(spacing=(2.0, 2.0, 8.0)))
    assert thick.icv_ml == pytest.approx(thin.icv_ml, rel=0.06)


@pytest.mark.parametrize("find", [ct_brain, flair_brain])
def test_air_holds_no_brain(find):
    with pytest.raises(InputError):
        find(Image(np.full((40, 40, 20), -1000.0, np.float32), np.diag([4.0, 4.0, 6.0, 1.0])))
