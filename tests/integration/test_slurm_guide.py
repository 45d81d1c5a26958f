"""The page on clusters is true: its commands, with its settings, on a real SLURM of one node."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from head_phantom import head_ct
from one_node_slurm import OneNodeSlurm, why_not
from toy_bundle import write_bundle

from la_outcomes.imaging.nifti import write_image
from la_outcomes.registry.database import open_read_only

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "cluster.md").read_text(encoding="utf-8")
SITE = ("queue", "account", "interface", "memory", "shared-temp-directory")  # differ from place to place


def command(part: str) -> list[str]:
    """The page's command that holds ``part``, for two jobs."""
    lines = [line for line in re.findall(r"```\n(.*?)```", PAGE, flags=re.DOTALL) if part in line]
    (line,) = lines
    return shlex.split(line.replace("--jobs 20", "--jobs 2"))


def la_outcomes(words: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run a command of the page as a user would; its output."""
    assert words[0] == "la-outcomes"
    run = [sys.executable, "-c", "from la_outcomes.cli.main import main; main()", *words[1:]]
    done = subprocess.run(run, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_scans(study: Path, count: int) -> None:
    """SCANS.csv and its head CTs."""
    rows = []
    for number in range(count):
        name = f"p{number}"
        write_image(study / f"{name}.nii.gz", head_ct(number)[0], dtype=np.int16)
        rows.append({"patient_id": name, "scan_id": f"{name}-ct", "modality": "CT", "path": f"{name}.nii.gz"})
    pd.DataFrame(rows).to_csv(study / "SCANS.csv", index=False)


def test_the_page_on_a_real_slurm(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    write_scans(study, 4)
    write_bundle(study / "my-model")
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    settings = yaml.safe_load(block)["jobqueue"]["slurm"]
    assert set(SITE) < set(settings)
    kept = {name: value for name, value in settings.items() if name not in SITE}
    (study / "jobqueue.yaml").write_text(yaml.safe_dump({"jobqueue": {"slurm": kept}}))
    with OneNodeSlurm(tmp_path / "slurm") as node:
        environment = node.environment | {"DASK_CONFIG": str(study), "PYTHONPATH": os.fspath(ROOT)}
        foreseen = la_outcomes(command("--dry-run")[:-2], study, environment)
        la_outcomes(command("--cluster slurm"), study, environment)
    again = la_outcomes(command("--dry-run")[:-2], study, environment)
    assert "4 to_do" in foreseen
    assert "4 already_done" in again
    la_outcomes(["la-outcomes", "ingest", "results", "--registry", "study.duckdb"], study, environment)
    with open_read_only(study / "study.duckdb") as connection:
        rows = connection.execute("SELECT count(*), count(la_volume_ml) FROM la_measurements").fetchone()
    assert rows == (4, 4)
