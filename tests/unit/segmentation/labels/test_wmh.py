"""WMH on FLAIR from a given mask and from the classical method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pair_phantom import dice, make_pair

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation.labels.wmh import classical_wmh, wmh_from_mask


def test_a_given_mask_is_taken_as_it_is(tmp_path: Path) -> None:
    pair = make_pair()
    path = write_image(tmp_path / "wmh.nii.gz", pair.wmh_flair)
    found = wmh_from_mask(path, pair.flair)
    assert found.volume_ml == pytest.approx(volume_ml(pair.wmh_flair.data, pair.flair.affine))
    assert found.source == "mask"


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    pair = make_pair()
    path = write_image(tmp_path / "wmh.nii.gz", pair.wmh_ct)
    with pytest.raises(InputError, match="grid"):
        wmh_from_mask(path, pair.flair)


def test_a_label_map_is_no_wmh_mask(tmp_path: Path) -> None:
    pair = make_pair()
    path = write_image(tmp_path / "wmh.nii.gz", Image(pair.wmh_flair.data * 3, pair.flair.affine))
    with pytest.raises(InputError, match="0 to 1"):
        wmh_from_mask(path, pair.flair)


def test_the_classical_method_finds_bright_lesions() -> None:
    pair = make_pair(lesion=0.5)
    found = classical_wmh(pair.flair, pair.inside_flair)
    assert dice(found.soft.data, pair.wmh_flair.data) > 0.7


def test_the_classical_method_finds_next_to_nothing_in_a_head_without_lesions() -> None:
    pair = make_pair(lesion=0.0)
    assert not pair.wmh_flair.data.any()
    assert classical_wmh(pair.flair, pair.inside_flair).volume_ml < 1.0


def test_an_infarct_is_left_out_of_the_classical_method() -> None:
    pair = make_pair(lesion=0.5)
    infarct = np.zeros(pair.flair.shape, bool)
    infarct[: pair.flair.shape[0] // 2] = True
    found = classical_wmh(pair.flair, pair.inside_flair, infarct)
    assert found.soft.data[infarct].max() == 0
    assert found.soft.data[~infarct].max() > 0.5
