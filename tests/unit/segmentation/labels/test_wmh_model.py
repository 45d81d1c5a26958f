"""WMH by a bundle on FLAIR: a network whose answer is known."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pair_phantom import dice, make_pair
from pair_table import write_pairs
from scipy import ndimage
from toy_bundle import onnx_network, write_bundle, write_tissue_bundle

from la_outcomes.errors import InputError, UsageError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.segmentation.bundle import load_bundle
from la_outcomes.segmentation.labels.pseudo_labels import label_pairs
from la_outcomes.segmentation.labels.sources import configure
from la_outcomes.segmentation.labels.wmh_model import flair_by_model, flair_for_network
from la_outcomes.segmentation.preprocessing import InputSpec
from la_outcomes.shards import read_shard

SPEC = InputSpec(160, 1.2, hu_low=0.0, hu_high=250.0, hu_centre=100.0, hu_scale=40.0)


BANDS = {
    "wmh": (145.0, 200.0),
    "infarct": (210.0, 245.0),
    "brain": (15.0, 249.0),
    "parenchyma": (60.0, 245.0),
}
EARNED = {"brain": {"mask": "network"}, "infarct": {"search": "network"}}


def flair_bundle(path: Path) -> Path:
    """A network that takes 145 to 220 % of white matter's signal for WMH."""
    network = onnx_network(SPEC, low_hu=145, high_hu=220)
    return write_bundle(path, network, modality="FLAIR", input=asdict(SPEC))


def test_a_flair_bundle_gives_a_mask_with_its_volume(tmp_path: Path) -> None:
    pair = make_pair(lesion=0.5)
    bundle = load_bundle(flair_bundle(tmp_path / "b"), modality="FLAIR")
    found = flair_by_model(pair.flair, pair.inside_flair, bundle).wmh
    assert dice(found.soft.data, pair.wmh_flair.data) > 0.7
    assert found.volume_ml == pytest.approx(volume_ml(found.soft.data, pair.flair.affine))
    assert set(np.unique(found.soft.data)) == {0.0, 1.0}
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
    for arguments in (("model",), ("classical", None, tmp_path / "b"), ("mask", None, tmp_path / "b")):
        with pytest.raises(UsageError):
            configure(*arguments)


def test_the_network_sees_what_lies_outside_a_rough_mask() -> None:
    pair = make_pair(lesion=0.5)
    rough = ndimage.binary_erosion(pair.inside_flair, iterations=3)
    seen, rougher = (flair_for_network(pair.flair, m).data for m in (pair.inside_flair, rough))
    white = pair.inside_flair & (pair.wmh_flair.data == 0) & (pair.flair.data > 88) & (pair.flair.data < 112)
    assert np.median(seen[white]) == pytest.approx(100, abs=4)
    scalp = ~pair.inside_flair & (pair.flair.data > 60)
    assert np.median(seen[scalp]) == pytest.approx(90, abs=8)
    assert np.abs(seen - rougher)[pair.inside_flair].mean() < 3


def tissue_bundle(path: Path, **card: object) -> Path:
    """A FLAIR model with brain and infarct."""
    return write_tissue_bundle(path, BANDS, modality="FLAIR", input=asdict(SPEC), **card)


def test_brain_and_infarct_are_the_models_where_it_earned_them(tmp_path: Path) -> None:
    pair = make_pair(lesion=0.5)
    data = pair.flair.data.copy()
    data[70:90, 60:80, 18:24] = 228
    flair = Image(data, pair.flair.affine)
    rough = ndimage.binary_erosion(pair.inside_flair, iterations=2)
    unproven = load_bundle(tissue_bundle(tmp_path / "a"), modality="FLAIR")
    plain = flair_by_model(flair, rough, unproven)
    assert plain.infarct is None
    assert (plain.inside == rough).all()
    found = flair_by_model(
        flair, rough, load_bundle(tissue_bundle(tmp_path / "b", **EARNED), modality="FLAIR")
    )
    assert dice(found.inside, pair.inside_flair) > dice(rough, pair.inside_flair)
    assert found.infarct is not None
    assert volume_ml(found.infarct.data > 0, flair.affine) == pytest.approx(20 * 20 * 6 * 0.009, rel=0.3)
    assert not ((found.wmh.soft.data > 0) & (found.infarct.data > 0)).any()


def test_pairs_without_a_mask_are_read_by_the_model_and_others_keep_theirs(tmp_path: Path) -> None:
    def lose_mask(row: dict[str, Any]) -> None:
        if row["patient_id"] == "b":
            row["wmh_mask_path"] = ""

    pairs = write_pairs(tmp_path / "in", ["a", "b"], lose_mask)
    source = configure("auto", model=tissue_bundle(tmp_path / "m", **EARNED))
    assert source.parameters()["wmh_model_use"] == {"brain": True, "infarct": True}
    outcomes = label_pairs(pairs, tmp_path / "out", source=source)
    assert [outcome.status for outcome in outcomes] == ["done", "done"]
    rows = [read_shard(path)["rows"] for path in (tmp_path / "out" / "shards").glob("*.json")]
    assert {row["wmh_measurements"][0]["source"] for row in rows} == {"mask", "model"}
    assert {row["pseudo_labels"][0]["infarct_source"] for row in rows} == {"given"}


def test_a_model_without_wmh_is_refused(tmp_path: Path) -> None:
    path = write_tissue_bundle(tmp_path, {"brain": (15.0, 249.0)}, modality="FLAIR", input=asdict(SPEC))
    with pytest.raises(InputError, match="gives brain, not wmh"):
        configure("model", model=path)
