"""The script of the corrections' bias runs and prints each method."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_one_setting():
    command = [sys.executable, str(ROOT / "benchmarks" / "measurement_error_bias.py"), "--studies", "3"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    setting = "error linear reliability 0.95 400"
    done = subprocess.run(
        [*command, "--only", setting], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| linear reliability 0.95 400 pairs | 3 |")
