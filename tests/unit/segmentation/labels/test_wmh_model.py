"""WMH by a bundle on FLAIR: a network whose answer is known."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from pair_phantom import dice, make_pair
from scipy import ndimage
from toy_bundle import onnx_network, write_bundle

from la_outcomes.errors import InputError, UsageError
from la_outcomes.imaging.geometry import volume_ml
from la_outcomes.segmentation.bundle import load_bundle
from la_outcomes.segmentation.labels.sources import configure
from la_outcomes.segmentation.labels.wmh_model import flair_for_network, wmh_from_model
from la_outcomes.segmentation.preprocessing import InputSpec

SPEC = InputSpec(160, 1.2, hu_low=0.0, hu_high=250.0, hu_centre=100.0, hu_scale=40.0)


def flair_bundle(path: Path) -> Path:
    """A network that takes 145 to 220 % of white matter's signal for WMH."""
    network = onnx_network(SPEC, low_hu=145, high_hu=220)
    return write_bundle(path, network, modality="FLAIR", input=asdict(SPEC))


def test_a_flair_bundle_gives_a_soft_map(tmp_path: Path) -> None:
    pair = make_pair(lesion=0.5)
    found = wmh_from_model(
        pair.flair, pair.inside_flair, load_bundle(flair_bundle(tmp_path / "b"), modality="FLAIR")
    )
    assert dice(found.soft.data, pair.wmh_flair.data) > 0.7
    assert found.volume_ml == pytest.approx(volume_ml(found.soft.data, pair.flair.affine))
    assert found.source == "model"
    assert found.version.startswith("toy ")


def test_a_ct_bundle_is_refused_for_flair(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="for CT, not for FLAIR"):
        configure("model", model=write_bundle(tmp_path / "ct"))


def test_a_flair_bundle_is_part_of_what_identifies_a_label(tmp_path: Path) -> None:
    source = configure("model", model=flair_bundle(tmp_path / "b"))
    assert (
        source.parameters()["wmh_model_sha256"] == load_bundle(tmp_path / "b", modality="FLAIR").model_sha256
    )
    with pytest.raises(UsageError):
        configure("model")


def test_the_network_sees_what_lies_outside_a_rough_mask() -> None:
    pair = make_pair(lesion=0.5)
    rough = ndimage.binary_erosion(pair.inside_flair, iterations=3)
    seen, rougher = (flair_for_network(pair.flair, m).data for m in (pair.inside_flair, rough))
    white = pair.inside_flair & (pair.wmh_flair.data == 0) & (pair.flair.data > 88) & (pair.flair.data < 112)
    assert np.median(seen[white]) == pytest.approx(100, abs=4)
    scalp = ~pair.inside_flair & (pair.flair.data > 60)
    assert np.median(seen[scalp]) == pytest.approx(90, abs=8)
    assert np.abs(seen - rougher)[pair.inside_flair].mean() < 3
