"""What goes wrong while pairs are labelled: disk full, a worker lost, the whole run killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pair_table import write_pairs
from small_disk import on_small_disk

from la_outcomes.cli.main import run
from la_outcomes.imaging.nifti import read_image
from la_outcomes.shards import read_shard, sha256_file

COMMAND = [sys.executable, "-c", "from la_outcomes.cli.main import main; main()"]
KINDS = ("labels", "carried", "wmh", "transforms", "pictures")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"), ["p1", "p2"])


def finished(out: Path) -> list[Path]:
    """Shards of pairs that have a label; each label is checked against what its shard says of it."""
    shards = [
        path for path in (out / "shards").glob("pseudo_label-*.json") if read_shard(path)["status"] == "done"
    ]
    for path in shards:
        row = read_shard(path)["rows"]["pseudo_labels"][0]
        assert sha256_file(out / row["label_path"]) == row["label_sha256"]
    return shards


def started(table: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    arguments = ["label", str(table), "--out", str(out), "--infarct", "mask", *more]
    return subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def wait_for_the_first(process: subprocess.Popen[bytes], out: Path) -> None:
    """Until one pair is done and others are not."""
    deadline = time.monotonic() + 400
    while not list((out / "shards").glob("pseudo_label-*.json")) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be disturbed"
        time.sleep(0.01)


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Process numbers of its pool, longest-lived first."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    named = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [number for number, line in sorted(named.items()) if b"spawn_main" in line]


def test_a_full_disk_is_told_leaves_nothing_half_written_and_the_rest_is_done_with_more_room(
    table: Path, tmp_path: Path
) -> None:
    """A pair takes 1.2 MB, 0.9 of it the transform: the disk holds one and not the next one's transform."""
    disk, before, after = (tmp_path / name for name in ("disk", "before.txt", "after"))
    label = [*COMMAND, "label", str(table), "--out", str(disk), "--infarct", "mask"]
    script = (
        f'"$@"; echo $? > "{before}"; find "{disk}" -type f >> "{before}"; '
        f'mount -o remount,size=90m "{disk}" && "$@"; code=$?; cp -r "{disk}" "{after}"; exit $code'
    )
    done = on_small_disk(disk, 1_700, ["sh", "-c", script, "label", *label])
    code, *files = before.read_text().splitlines()
    assert code == "4", done.stderr
    assert "no space left on the disk" in done.stderr
    assert not [file for file in files if Path(file).name.startswith(".")]
    assert len([file for file in files if "/shards/" in file]) == 1
    assert done.returncode == 0, done.stderr
    assert len(finished(after)) == 2
    statuses = pd.read_csv(after / "labels.csv").status
    assert set(statuses) <= {"accepted", "review"}


@pytest.mark.slow
def test_a_lost_worker_costs_a_retry_and_no_pair(tmp_path: Path) -> None:
    table = write_pairs(tmp_path, ["p1", "p2", "p3"])
    process = started(table, tmp_path / "out", "--jobs", "2")
    wait_for_the_first(process, tmp_path / "out")
    os.kill(workers_of(process)[0], signal.SIGKILL)
    assert process.wait(timeout=600) == 0
    assert len(finished(tmp_path / "out")) == 3


def test_a_killed_run_leaves_whole_files_and_goes_on_with_the_rest(tmp_path: Path) -> None:
    """The second pair's mask is a pipe that nobody fills, so that the run waits there for its end."""
    table = write_pairs(tmp_path, ["p1", "p2"])
    mask = Path(pd.read_csv(table).wmh_mask_path[1])
    mask.rename(tmp_path / "kept")
    os.mkfifo(mask)
    out = tmp_path / "out"
    process = started(table, out)
    wait_for_the_first(process, out)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "kept").replace(mask)
    first = {path: path.stat().st_mtime_ns for path in finished(out)}
    assert len(first) == 1
    assert not (out / "labels.csv").exists()
    assert run(["label", str(table), "--out", str(out), "--infarct", "mask"]) == 0
    assert len(finished(out)) == 2
    assert {path: path.stat().st_mtime_ns for path in first} == first
    for kind in KINDS:
        assert len(list((out / kind).glob("p*"))) == 2
    assert all(np.any(read_image(path).data) for path in (out / "labels").glob("p*"))
