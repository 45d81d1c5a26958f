"""Kill workers and the ingester at random moments, with readers reading; count after each kill.

    python benchmarks/registry_kills.py [--kills 200] [--seed 1] [--folder DIR]

Each round a worker writes result shards or the ingester takes them in, and is killed (SIGKILL) at a random
moment; then the registry is opened and counted. Two readers open the published snapshot all the time. After
each kill there must be as many patients, scans, measurements and ledger lines, each patient once, each from a
whole shard, never fewer than before; no reader may fail. At the end everything is taken in, and a rebuild
from the shards gives the same registry. Exit code 1 where anything does not hold.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from la_outcomes.errors import InputError
from la_outcomes.provenance import Run
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.ingest import ingest, rebuild
from la_outcomes.shards import is_done, read_shard, sha256_json, write_shard

BATCH, KIND = 40, "la_measurement"
COUNTS = """
SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM scans), (SELECT count(*) FROM la_measurements),
       (SELECT count(*) FROM ingested WHERE kind = 'la_measurement'),
       (SELECT count(DISTINCT patient_id) FROM analysis_cohort WHERE la_volume_ml IS NOT NULL)
"""
EVERYTHING = "FROM analysis_cohort ORDER BY patient_id"


@dataclass
class Outcome:
    """What happened: kills that met a living process, by victim, and whatever did not hold."""

    kills: dict[str, int] = field(default_factory=lambda: {"worker": 0, "ingester": 0})
    too_late: int = 0
    patients: int = 0
    reads: int = 0
    stale: int = 0
    faults: list[str] = field(default_factory=list)


def work(folder: str, start: int, count: int) -> None:
    """Write the shards of some patients that are not there yet, as a resumed worker does."""
    run = Run("segment", {"model": "m"})
    model = sha256_json("m")
    for i in range(start, start + count):
        key = sha256_json(i)
        if is_done(folder, KIND, key):
            continue
        measured = {"scan_id": f"p{i}-ct", "model_sha256": model, "parameters_sha256": run.parameters_sha256}
        rows = {
            "runs": [run.row()],
            "patients": [{"patient_id": f"p{i}"}],
            "scans": [{"scan_id": f"p{i}-ct", "patient_id": f"p{i}", "modality": "CT"}],
            "models": [{"model_sha256": model, "name": "m", "kind": "segmentation"}],
            "la_measurements": [measured | {"la_volume_ml": float(i % 50)}],
        }
        write_shard(folder, kind=KIND, case_id=str(i), key=key, status="done", rows=rows)


def take_in(folder: str, registry: str) -> None:
    """Run the ingester once."""
    ingest([folder], registry)


def read_always(registry: str, stop: str, told: str) -> None:
    """Count in the published registry until the file ``stop`` exists; write what failed."""
    last, reads, stale, failures = 0, 0, 0, []
    while not Path(stop).exists():
        try:
            with open_read_only(registry) as connection:
                counts = connection.execute(COUNTS).fetchall()[0]
            reads += 1
            if len(set(counts)) != 1:
                failures.append(f"a reader saw {counts}")
            stale += counts[0] < last
            last = counts[0]
        except Exception as error:  # whatever it is, no reader may fail
            failures.append(f"a reader failed: {error!r}")
        time.sleep(0.2)
    Path(told).write_text("\n".join([f"{reads} {stale}", *failures]))


def check(registry: Path, folder: Path, last: int, outcome: Outcome) -> int:
    """Count after a kill and return the number of patients."""
    with open_read_only(registry) as connection:
        counts = connection.execute(COUNTS).fetchall()[0]
        names = [row[0] for row in connection.execute("SELECT file_name FROM ingested").fetchall()]
    if len(set(counts)) != 1 or counts[0] < last:
        outcome.faults.append(f"counts {counts} after {last} patients")
    for name in names[-BATCH:]:
        try:
            read_shard(folder / "shards" / name)
        except InputError as error:
            outcome.faults.append(f"half a shard was taken in: {error}")
    return int(counts[0])


def strike(process: ForkServerProcess, delay: float, victim: str, outcome: Outcome) -> float:
    """Start a process, kill it after a delay, and return how long it lived."""
    process.start()
    began = time.perf_counter()
    process.join(delay)
    if process.is_alive():
        process.kill()
        outcome.kills[victim] += 1
    else:
        outcome.too_late += 1
        if process.exitcode:
            outcome.faults.append(f"the {victim} failed by itself with {process.exitcode}")
    process.join()
    return time.perf_counter() - began


def timed(context: ForkServerContext, target: Callable[..., None], arguments: tuple[object, ...]) -> float:
    """How long an undisturbed process takes."""
    process = context.Process(target=target, args=arguments)
    began = time.perf_counter()
    process.start()
    process.join()
    return time.perf_counter() - began


def all_rounds(folder: Path, registry: Path, kills: int, dice: random.Random) -> Outcome:
    """Rounds until that many living processes were killed; the last batch stays for the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["la_outcomes.registry.ingest", "la_outcomes.shards", "pyarrow.parquet"])
    outcome, start, last = Outcome(), 0, 0
    longest = {"worker": timed(context, work, (str(folder), 0, BATCH))}
    longest["ingester"] = timed(context, take_in, (str(folder), str(registry)))
    arguments: dict[str, tuple[Callable[..., None], tuple[object, ...]]]
    while sum(outcome.kills.values()) < kills:
        victim = dice.choice(["worker", "ingester", "ingester"])
        if victim == "ingester" or start == 0:
            start += BATCH
        arguments = {
            "worker": (work, (str(folder), start, BATCH)),
            "ingester": (take_in, (str(folder), str(registry))),
        }
        if victim == "ingester":
            work(str(folder), start - BATCH, BATCH)
        target, given = arguments[victim]
        process = context.Process(target=target, args=given)
        lived = strike(process, dice.uniform(0, 0.9) * longest[victim], victim, outcome)
        longest[victim] = max(0.7 * longest[victim], min(lived * 1.3, 2 * longest[victim]))
        last = check(registry, folder, last, outcome)
    outcome.patients = start + BATCH
    work(str(folder), 0, outcome.patients)
    return outcome


def rows_of(registry: Path) -> list[tuple[object, ...]]:
    """The whole cohort."""
    with open_read_only(registry) as connection:
        return connection.execute(EVERYTHING).fetchall()


def finish(folder: Path, registry: Path, outcome: Outcome) -> None:
    """Take in what is left, count, and compare with a registry made anew from the shards."""
    report = ingest([folder], registry)
    outcome.faults += [f"left out: {fault}" for fault in report.faults]
    before = rows_of(registry)
    if len(before) != outcome.patients:
        outcome.faults.append(f"{len(before)} patients at the end, {outcome.patients} were written")
    rebuild([folder], registry)
    if rows_of(registry) != before:
        outcome.faults.append("a rebuild gives another registry")


def with_readers(folder: Path, registry: Path, kills: int, seed: int) -> Outcome:
    """The rounds, with two readers of their own processes."""
    work(str(folder), 0, 1)
    ingest([folder], registry)
    stop, context = folder / "stop", multiprocessing.get_context("spawn")
    told = [folder / f"reader{i}.txt" for i in range(2)]
    readers = [context.Process(target=read_always, args=(str(registry), str(stop), str(t))) for t in told]
    for reader in readers:
        reader.start()
    try:
        outcome = all_rounds(folder, registry, kills, random.Random(seed))
        finish(folder, registry, outcome)
    finally:
        stop.touch()
        for reader in readers:
            reader.join()
    for path in told:
        head, *failures = path.read_text().splitlines()
        outcome.reads += int(head.split()[0])
        outcome.stale += int(head.split()[1])
        outcome.faults += failures
    return outcome


def main() -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        outcome = with_readers(Path(name), Path(name) / "registry.duckdb", asked.kills, asked.seed)
    workers, ingesters = outcome.kills["worker"], outcome.kills["ingester"]
    print(f"{workers + ingesters} kills: {workers} of workers, {ingesters} of the ingester")
    print(f"{outcome.too_late} more came after the process had ended")
    print(f"{outcome.patients} patients, {outcome.reads} reads, {time.perf_counter() - began:.0f} s wall")
    print(f"{outcome.stale} reads saw the last published state while a writer worked after a crash")
    print(f"lost, doubled, half or failed: {len(outcome.faults)}")
    for fault in outcome.faults[:20]:
        print(f"  {fault}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
