import json

import numpy as np
import pytest

from la_outcomes import shards
from la_outcomes.errors import InputError, LaOutcomesError

ROWS = {"la_measurements": [{"scan_id": "s1", "la_volume_ml": 0.0}]}


def write(folder, status="done", rows=ROWS):
    return shards.write_shard(
        folder, kind="la_measurement", case_id="s1", key="a" * 64, status=status, rows=rows
    )


def test_a_shard_comes_back_as_it_was_written(tmp_path):
    body = shards.read_shard(write(tmp_path))
    assert body["rows"] == ROWS
    assert body["case_key"] == "a" * 64


def test_zero_stays_zero_and_missing_stays_null(tmp_path):
    rows = {"la_measurements": [{"la_volume_ml": None}, {"la_volume_ml": 0.0}]}
    body = shards.read_shard(write(tmp_path, rows=rows))
    assert [row["la_volume_ml"] for row in body["rows"]["la_measurements"]] == [None, 0.0]


def test_numpy_values_are_written_as_numbers(tmp_path):
    rows = {"t": [{"a": np.float32(1.5), "b": np.int64(2), "c": np.bool_(True)}]}
    assert shards.read_shard(write(tmp_path, rows=rows))["rows"]["t"] == [{"a": 1.5, "b": 2, "c": True}]


@pytest.mark.parametrize("value", [float("nan"), np.float32("nan"), np.float64("inf")])
def test_nan_is_refused_because_a_missing_value_is_null(tmp_path, value):
    with pytest.raises(ValueError, match="JSON compliant"):
        write(tmp_path, rows={"t": [{"a": value}]})
    assert list((tmp_path).rglob("*.json")) == []


@pytest.mark.parametrize("cut", [2, 40, 120])
def test_a_half_shard_is_refused(tmp_path, cut):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError):
        shards.read_shard(path)


def test_a_changed_number_is_found(tmp_path):
    path = write(tmp_path)
    body = json.loads(path.read_text())
    body["rows"]["la_measurements"][0]["la_volume_ml"] = 12.0
    path.write_text(json.dumps(body))
    with pytest.raises(InputError, match="changed after"):
        shards.read_shard(path)


def test_done_follows_the_status_of_a_whole_shard(tmp_path):
    assert not shards.is_done(tmp_path, "la_measurement", "a" * 64)
    path = write(tmp_path, status=shards.TRANSIENT_STATUS)
    assert not shards.is_done(tmp_path, "la_measurement", "a" * 64)
    write(tmp_path)
    assert shards.is_done(tmp_path, "la_measurement", "a" * 64)
    path.write_text("{")
    assert not shards.is_done(tmp_path, "la_measurement", "a" * 64)


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "x.txt"
    shards.write_text_atomic(target, "old")

    def fail():
        with shards.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_full_disk_is_a_resource_error(tmp_path):
    def fill():
        with shards.atomic_path(tmp_path / "x"):
            raise OSError(28, "No space left on device")

    with pytest.raises(LaOutcomesError) as caught:
        fill()
    assert caught.value.exit_code == 7


def test_the_case_key_depends_on_each_part():
    keys = {
        shards.case_key({"ct": "1"}, "m", "p"),
        shards.case_key({"ct": "2"}, "m", "p"),
        shards.case_key({"ct": "1"}, "n", "p"),
        shards.case_key({"ct": "1"}, None, "p"),
        shards.case_key({"ct": "1"}, "m", "q"),
    }
    assert len(keys) == 5
    assert shards.case_key({"a": "1", "b": "2"}, "m", "p") == shards.case_key({"b": "2", "a": "1"}, "m", "p")
