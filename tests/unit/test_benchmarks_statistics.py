"""The two scripts behind the claims about the statistics run, resume and judge as they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def coverage(store: Path, cohorts: int, *more: str) -> subprocess.CompletedProcess[str]:
    scenarios = "ccc,ordinal,linear_20_centres"
    return run("coverage.py", "--store", str(store), "--cohorts", str(cohorts), "--only", scenarios, *more)


class TestCoverage:
    def test_resumes_after_a_line_cut_short(self, tmp_path):
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        done = coverage(whole, 4, "--markdown", str(tmp_path / "table.md"))
        assert done.returncode in (0, 4), done.stderr
        assert "| ccc | z-transform | 4 |" in done.stdout
        assert "| ordinal | hypertension | 4 |" in (tmp_path / "table.md").read_text()
        coverage(broken, 2)
        store = broken / "ordinal-0.jsonl"
        store.write_text(store.read_text()[:-9])
        assert coverage(broken, 4).returncode == done.returncode
        for name in ("ccc-0.jsonl", "ordinal-0.jsonl", "linear_20_centres-0.jsonl"):
            lines = (whole / name).read_text().splitlines()
            assert lines == (broken / name).read_text().splitlines()
            assert len({json.dumps(line) for line in lines}) == 4
        assert "4 cohorts" not in coverage(broken, 4).stdout

    def test_unknown_scenario(self, tmp_path):
        done = run("coverage.py", "--store", str(tmp_path), "--only", "nonsense")
        assert done.returncode == 2
        assert "no scenario 'nonsense'" in done.stderr

    @pytest.mark.parametrize(
        ("truths", "code"), [([0.0, 0.0], 4), ([1.0] * 19 + [0.0], 0)], ids=["never covers", "95 %"]
    )
    def test_verdict(self, tmp_path, truths, code):
        rows = [[["z-transform", truth, 1.0, 0.9, 1.1]] for truth in truths]
        (tmp_path / "ccc-0.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        # bias is judged against the mean truth, so let the estimate be that mean
        for row in rows:
            row[0][2] = sum(truths) / len(truths)
        (tmp_path / "ccc-0.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = run("coverage.py", "--store", str(tmp_path), "--only", "ccc", "--cohorts", str(len(rows)))
        assert done.returncode == code, done.stdout


def test_speed():
    small = ("--rows", "3000", "--million", "4000", "--replicates", "3", "--without-statsmodels")
    done = run("statistics.py", *small)
    assert done.returncode == 0, done.stderr
    assert re.search(r"proportional odds, 3,000 x 12 x 7: [\d.]+ s", done.stdout)
    assert re.search(r"20 imputations x 3 bootstraps, 2 processes: [\d.]+ CPU s", done.stdout)
    assert re.search(r"imputing inside the bootstrap, m = 2: [\d.]+ s a resample", done.stdout)
    assert re.search(r"4,000 x 12 x 7: [\d.]+ s, peak memory [\d.]+ GB", done.stdout)
