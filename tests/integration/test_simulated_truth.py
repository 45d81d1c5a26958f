"""The simulation's true common odds ratio comes back from its own patients."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "simulated_truth.py"


def test_the_true_odds_ratio_comes_back_on_average() -> None:
    command = [sys.executable, str(SCRIPT), "--cohorts", "25", "--patients", "3000", "--first-seed", "100"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    away = re.search(r"\(([+-][\d.]+) Monte-Carlo SE\)", printed)
    ratio = re.search(r"log scale: ([\d.]+)", printed)
    assert away is not None, printed
    assert ratio is not None, printed
    assert abs(float(away[1])) < 4
    assert 0.9 < float(ratio[1]) < 1.1
