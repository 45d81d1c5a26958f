import json

from la_outcomes.provenance import Run, git_commit


def test_a_run_tells_what_was_asked_and_by_which_code():
    row = Run("segment", {"threshold": 0.5}, seed=3, device="cpu").row()
    assert json.loads(row["parameters"]) == {"threshold": 0.5}
    assert row["seed"] == 3
    assert row["package_version"]
    assert row["git_commit"] == git_commit()


def test_equal_parameters_have_one_hash_whatever_their_order():
    assert Run("x", {"a": 1, "b": 2}).parameters_sha256 == Run("y", {"b": 2, "a": 1}).parameters_sha256
    assert Run("x", {"a": 1}).parameters_sha256 != Run("x", {"a": 2}).parameters_sha256


def test_two_runs_never_share_an_id():
    assert Run("x", {}).run_id != Run("x", {}).run_id
