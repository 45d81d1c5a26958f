"""Many cases over workers that get killed: is each done once, and what does a case cost beside its work?

python benchmarks/scale.py --out DIR [--cases N] [--slurm] [--segment SCANS.csv --model BUNDLE]

Each case reads a small file and writes a result shard. With two workers, one killed -9 half way: cases done,
done twice, and milliseconds a case beyond a plain loop over the same work in the same run. ``--slurm`` does
the same on a SLURM of one node (root; slurm-wlm and munge of Debian), its slurmd killed and started again.
``--segment`` measures the speed-up of two workers over one on real segmentation (two free cores needed), and
what a million scans would cost.
"""

# ruff: noqa: E402 - this folder is taken off the path before anything is imported.
from __future__ import annotations

import os
import sys

# As a script's folder this one would hide the standard library's ``statistics`` behind statistics.py.
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path = [place for place in sys.path if os.path.realpath(place) != HERE]

import argparse
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from la_outcomes.execution import Cluster, Jobs, map_cases
from la_outcomes.shards import is_done, read_shard, sha256_file, write_shard

MILLION = 1_000_000


@dataclass(frozen=True)
class Case:
    """One small file whose hash is the result."""

    case_id: str
    source: Path
    out: Path


def work(case: Case) -> tuple[str, str | None]:
    """Hash the file, write the shard; every run of a case leaves a mark, so that doubles can be counted."""
    key = case.case_id.ljust(16, "-")
    if is_done(case.out, "scale", key):
        return "already_done", None
    with open(case.out / "runs", "a") as handle:
        handle.write(f"{case.case_id}\n")
    rows = {"scans": [{"scan_id": case.case_id, "sha256": sha256_file(case.source)}]}
    write_shard(case.out, kind="scale", case_id=case.case_id, key=key, status="done", rows=rows)
    return "done", None


def make_cases(folder: Path, count: int) -> list[Case]:
    """``count`` cases under a fresh folder."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "shards").mkdir(parents=True)
    source = folder / "source"
    source.write_bytes(os.urandom(1 << 16))
    return [Case(f"c{number:06d}", source, folder) for number in range(count)]


def measure(name: str, cases: list[Case], jobs: Jobs, plain_ms: float, disturb: Callable[[], None]) -> None:
    """Map the cases while ``disturb`` strikes once half are done, and print what came of it."""
    out = cases[0].out
    halfway = threading.Thread(target=_once_half_done, args=(out, len(cases), disturb))
    halfway.start()
    started = time.monotonic()
    outcomes = map_cases(work, cases, jobs=jobs, label=name)
    seconds = time.monotonic() - started
    halfway.join()
    runs = (out / "runs").read_text().split()
    shards = len(list((out / "shards").glob("*.json")))
    failed = sum(not outcome.succeeded for outcome in outcomes)
    twice, ms = len(runs) - len(set(runs)), 1000 * seconds / len(cases)
    print(f"{name:<28} cases {len(cases)}  shards {shards}  failed {failed}  done twice {twice}", end="  ")
    print(f"{ms:.1f} ms a case, {ms - plain_ms:.1f} beyond the loop")


def _once_half_done(out: Path, count: int, disturb: Callable[[], None]) -> None:
    while len(os.listdir(out / "shards")) < count // 2:
        time.sleep(0.05)
    disturb()


@contextmanager
def local_cluster(workers: int = 2) -> Iterator[tuple[Cluster, Callable[[], None]]]:
    """Workers of one thread on loopback, and a function that kills one of them."""
    import distributed

    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        nanny = next(iter(cluster.workers.values()))
        yield Cluster(cluster.scheduler_address), lambda: os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def slurm_cluster(folder: Path) -> Iterator[tuple[Cluster, Callable[[], None]]]:
    """Two jobs of a one-node SLURM, and a function that kills its slurmd and starts it again."""
    import dask

    sys.path.insert(0, os.path.join(HERE, os.pardir, "tests", "integration"))
    from one_node_slurm import OneNodeSlurm

    shutil.rmtree(folder, ignore_errors=True)
    with OneNodeSlurm(folder) as node:
        os.environ |= node.environment | {"PYTHONPATH": os.pathsep.join((HERE, os.getcwd()))}

        def restart() -> None:
            node.kill_slurmd()
            time.sleep(1)
            node.start_slurmd()

        with dask.config.set(dask.config.collect_env()):
            yield Cluster("slurm", workers=2), restart


def small_cases(out: Path, count: int, *, slurm: bool) -> None:
    """Plain loop, two workers of which one is killed, and SLURM."""
    loop = make_cases(out / "loop", count)
    started = time.monotonic()
    for case in loop:
        work(case)
    plain_ms = 1000 * (time.monotonic() - started) / len(loop)
    print(f"{'plain loop':<28} cases {len(loop)}  {plain_ms:.1f} ms a case")
    with local_cluster() as (cluster, kill):
        measure(
            "2 Dask workers, 1 killed",
            make_cases(out / "dask", count),
            cluster,
            plain_ms,
            kill,
        )
    if slurm:
        with slurm_cluster(out / "slurm-node") as (cluster, restart):
            cases = make_cases(out / "slurm", count)
            measure("SLURM, slurmd killed", cases, cluster, plain_ms, restart)


def segmentation_efficiency(scans: Path, model: str, out: Path) -> None:
    """Seconds of the same segmentation with one and with two workers, and what it would cost."""
    from la_outcomes.segmentation.inference import segment_scans
    from la_outcomes.segmentation.packaged import bundle_path

    os.environ["OMP_NUM_THREADS"] = "1"
    seconds = {}
    for workers in (1, 2):
        folder = out / f"segment-{workers}"
        shutil.rmtree(folder, ignore_errors=True)
        with local_cluster(workers) as (cluster, _):
            started = time.monotonic()
            count = len(segment_scans(scans, bundle_path(model), folder, jobs=cluster))
            seconds[workers] = time.monotonic() - started
        print(f"segmentation, {workers} workers: {count} scans in {seconds[workers]:.1f} s")
    print(f"efficiency of two workers: {seconds[1] / seconds[2] / 2:.2f}")
    print_cost(out / "segment-1", count)


def print_cost(folder: Path, count: int) -> None:
    """What a million scans would take, by what these took."""
    shards = [read_shard(path) for path in (folder / "shards").glob("*.json")]
    rows = [row for shard in shards for row in shard["rows"]["la_measurements"]]
    cpu_s = sum(row["cpu_seconds"] for row in rows) / count
    kept = {
        name: sum(path.stat().st_size for path in (folder / name).iterdir()) / count / 1000
        for name in ("masks", "overlays", "shards")
    }
    print(f"a scan: {cpu_s:.2f} CPU s; kB: " + ", ".join(f"{name} {kb:.1f}" for name, kb in kept.items()))
    days = cpu_s * MILLION / 86_400
    print(f"a million scans: {days:.0f} core days ({days / 64:.1f} days on 64 cores), ", end="")
    print(f"{sum(kept.values()) * MILLION / 1e9:.2f} TB written beside the scans")


def main() -> None:
    """Plain loop, killed worker, SLURM, segmentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--slurm", action="store_true")
    parser.add_argument("--segment", type=Path)
    parser.add_argument("--model", default="la-ct-sim")
    parser.add_argument("--only-segment", action="store_true", help="leave the small cases out")
    options = parser.parse_args()
    if not options.only_segment:
        small_cases(options.out, options.cases, slurm=options.slurm)
    if options.segment is not None:
        segmentation_efficiency(options.segment, options.model, options.out)


if __name__ == "__main__":
    main()
