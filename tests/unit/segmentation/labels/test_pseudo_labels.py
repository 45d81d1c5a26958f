import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pair_table import write_pairs

from la_outcomes.errors import InputError, UsageError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, write_image
from la_outcomes.segmentation.labels.pseudo_labels import binarise, label_pairs
from la_outcomes.segmentation.labels.sources import configure
from la_outcomes.segmentation.training.accepted import read_labels
from la_outcomes.shards import read_shard

SHARES = st.floats(0, 1, width=32).map(lambda value: 0.0 if value < 0.06 else value)


@given(arrays(np.float32, (3, 2, 5), elements=SHARES))
def test_the_binary_mask_keeps_the_soft_volume_to_a_voxel_and_its_ties(soft):
    wanted = round(float(soft.sum()))
    mask = binarise(soft)
    if wanted == 0:
        assert not mask.any()
        return
    threshold = np.sort(soft.ravel())[-wanted]
    ties = int((soft == threshold).sum())
    assert wanted - 1 <= mask.sum() <= wanted + ties


def test_a_thin_lesion_survives_that_a_threshold_of_one_half_would_lose():
    soft = np.zeros((10, 10, 3), np.float32)
    soft[2:6, 2:6, 1] = 0.4
    assert (soft >= 0.5).sum() == 0
    assert binarise(soft).sum() == 16


def test_a_trace_everywhere_is_no_lesion():
    assert not binarise(np.full((10, 10, 10), 0.01, np.float32)).any()


def test_an_unknown_way_to_know_infarcts_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match="infarcts cannot be"):
        label_pairs(tmp_path / "pairs.csv", tmp_path / "out", infarcts="guess")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("guess",), "no WMH source"),
        (("command",), "needs a tool"),
        (("model",), "go together"),
        (("mask", None, "bundle"), "go together"),
        (("classical", "lst-ai"), "does not go with"),
        (("mask", "no-such-tool"), "no WMH tool"),
    ],
)
def test_sources_that_do_not_go_together_are_wrong_use(arguments, said):
    with pytest.raises(UsageError, match=said):
        configure(*arguments)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """One phantom pair labelled from the command line's function; its folder and the pairs' table."""
    folder = tmp_path_factory.mktemp("labels")
    table = write_pairs(folder, ["p1"])
    outcomes = label_pairs(table, folder / "out", infarcts="mask")
    return folder, table, outcomes


def shard_rows(folder):
    paths = sorted((folder / "out" / "shards").glob("*.json"))
    return [read_shard(path)["rows"] for path in paths]


def test_a_pair_leaves_its_three_volumes_side_by_side(labelled):
    folder, _, outcomes = labelled
    assert [outcome.status for outcome in outcomes] == ["done"]
    row = shard_rows(folder)[0]["pseudo_labels"][0]
    native, carried, label = (row[f"{name}_volume_ml"] for name in ("wmh", "carried", "label"))
    assert carried == pytest.approx(native, rel=0.1)
    assert label == pytest.approx(carried, rel=0.01)
    assert shard_rows(folder)[0]["wmh_measurements"][0]["wmh_volume_ml"] == native
    for kind in ("labels", "carried", "wmh"):
        assert (folder / "out" / kind / "p1-ct.nii.gz").is_file()


def test_a_rerun_does_nothing_and_a_lost_shard_is_made_again_with_the_same_bytes(labelled):
    folder, table, _ = labelled
    before = {path: path.read_bytes() for path in (folder / "out" / "labels").iterdir()}
    transform = sorted((folder / "out" / "carried").iterdir())[0].read_bytes()
    assert label_pairs(table, folder / "out", infarcts="mask")[0].status == "already_done"
    next((folder / "out" / "shards").iterdir()).unlink()
    assert label_pairs(table, folder / "out", infarcts="mask")[0].status == "done"
    assert {path: path.read_bytes() for path in before} == before
    assert sorted((folder / "out" / "carried").iterdir())[0].read_bytes() == transform


def swapped(row):
    row["ct_path"], row["flair_path"] = row["flair_path"], row["ct_path"]


def few_slices(row):
    image = read_image(row["flair_path"])
    row["flair_path"] = saved(row, "three.nii.gz", Image(image.data[:, :, :3].copy(), image.affine))


def other_grid(row):
    row["wmh_mask_path"] = row["wmh_ct_path"]


def four_axes(row):
    path = str(row["flair_path"]).replace("flair", "series")
    data = np.stack([read_image(row["flair_path"]).data] * 2, axis=-1)
    nib.save(nib.Nifti1Image(data, np.diag([1.5, 1.5, 4.0, 1.0])), path)
    row["flair_path"] = path


def not_numbers(row):
    image = read_image(row["flair_path"])
    data = image.data.copy()
    data[5, 5, 5] = np.nan
    row["flair_path"] = saved(row, "nan.nii.gz", Image(data, image.affine))


def flipped_header(row):
    file = nib.load(row["flair_path"])
    sform = file.affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    file.set_sform(sform, code=1)
    row["flair_path"] = str(row["flair_path"]).replace("flair", "flipped")
    nib.save(file, row["flair_path"])


def saved(row, name, image):
    return str(write_image(Path(row["flair_path"]).parent / name, image))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (swapped, "swapped"),
        (few_slices, "too few slices: 3"),
        (other_grid, "grid"),
        (four_axes, "4 axes"),
        (not_numbers, "not numbers"),
        (flipped_header, "contradict|mirror"),
    ],
)
def test_a_faulty_pair_gets_a_clear_reason_and_no_volume(tmp_path, spoil, said):
    table = write_pairs(tmp_path, ["p1"], spoil)
    outcome = label_pairs(table, tmp_path / "out", infarcts="mask")[0]
    assert outcome.status == "failed_input"
    assert re.search(said, outcome.reason)
    rows = shard_rows(tmp_path)[0]
    assert rows["wmh_measurements"] == []
    assert rows["pseudo_labels"][0]["status"] == "failed"
    assert "label_volume_ml" not in rows["pseudo_labels"][0]
    assert not (tmp_path / "out" / "labels").exists()


def test_only_accepted_labels_and_those_a_reviewer_accepts_are_trained_on(labelled, tmp_path):
    folder, _, _ = labelled
    table = pd.read_csv(folder / "out" / "labels.csv", dtype=str)
    table.assign(status="review").to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(InputError):
        read_labels(tmp_path)
    (tmp_path / "accepted.csv").write_text("ct_scan_id\np1-ct\n")
    (tmp_path / "labels").mkdir()
    shutil.copy(folder / "out" / "labels" / "p1-ct.nii.gz", tmp_path / "labels")
    assert [case.ct_scan_id for case in read_labels(tmp_path, tmp_path / "accepted.csv")] == ["p1-ct"]
