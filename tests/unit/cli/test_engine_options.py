"""Options of the verbs that work on many cases."""

import json
from pathlib import Path

import pytest
import typer

from la_outcomes.cli.engine_options import dry_run, where_to_run
from la_outcomes.cli.main import run
from la_outcomes.errors import UsageError
from la_outcomes.execution import Cluster, map_cases, start_work
from la_outcomes.shards import write_shard


def _work(case: str) -> tuple[str, str | None]:
    start_work()
    raise AssertionError("worked in a dry run")


def test_a_place_is_processes_here_or_the_cluster_named() -> None:
    assert where_to_run(3, None) == 3
    assert where_to_run(3, "slurm") == Cluster("slurm", workers=3)
    with pytest.raises(UsageError, match="in the clear"):
        where_to_run(1, "tcp://192.0.2.1:8786")


def test_simulate_dry_run_counts_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["simulate", "--out", str(out), "--patients", "5", "--seed", "3", "--dry-run"]) == 0
    assert "to_do" in capsys.readouterr().out
    assert not out.exists()


def test_a_dry_run_tells_the_time_from_earlier_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, seconds in enumerate((20.0, 30.0, 100.0)):
        rows = {"pseudo_labels": [{"cpu_seconds": seconds}]}
        write_shard(tmp_path, kind="x", case_id=str(number), key=str(number), status="done", rows=rows)
    with pytest.raises(typer.Exit), dry_run(True, 2, tmp_path, table="pseudo_labels"):
        map_cases(_work, [str(number) for number in range(40)])
    assert "30.0 CPU s a case: 20 min on one core, 10 min on 2" in capsys.readouterr().out


def test_errors_are_json_where_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from la_outcomes.execution.progress import log_as_json

    try:
        assert run(["label", str(tmp_path / "none.csv"), "--out", str(tmp_path), "--log-json"]) == 3
    finally:
        log_as_json(False)
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (line["event"], line["exit_code"]) == ("error", 3)
