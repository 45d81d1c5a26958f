"""Options of the verbs that work on many cases: where they run, and whether they only say what they would."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from la_outcomes.execution import DryRunEnd, Jobs

JobsOption = Annotated[int, typer.Option(min=1, help="processes here, or SLURM jobs")]
ClusterOption = Annotated[
    str | None, typer.Option(help="slurm, tcp://127.0.0.1:PORT or tls://HOST:PORT of a Dask scheduler")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="say what would be done, and how long it may take; write nothing")
]
RecordsOption = Annotated[
    Path | None, typer.Option("--registry", help="for --dry-run: the registry whose times are looked up")
]
TimedTable = Literal["la_measurements", "pseudo_labels"]
SHARDS_LOOKED_AT = 200


def where_to_run(jobs: int, cluster: str | None) -> Jobs:
    """Processes here, or the cluster that was named. Raises ``UsageError`` for an unsafe address."""
    from la_outcomes.execution import Cluster

    return jobs if cluster is None else Cluster(cluster, workers=jobs)


@contextmanager
def dry_run(
    on: bool, jobs: int, out: Path, *, table: TimedTable | None = None, registry: Path | None = None
) -> Iterator[None]:
    """Inside it, where ``on``, cases are only looked at; what would be done is printed and the verb ends.

    The time is the median ``cpu_seconds`` of ``table`` in the registry, else in the shards under ``out``.
    """
    from la_outcomes.execution import DryRunEnd
    from la_outcomes.execution.dry_run import only_say

    only_say(on)
    try:
        yield
    except DryRunEnd as end:
        print("\n".join(_report(end, jobs, _seconds_a_case(table, out, registry))))
        raise typer.Exit(0) from None
    finally:
        only_say(False)


def _report(end: DryRunEnd, jobs: int, seconds: float | None) -> Iterator[str]:
    yield end.what
    for outcome in end.outcomes:
        if outcome.reason is not None:
            yield f"  {outcome.case_id}: {outcome.status}: {outcome.reason}"
    if end.to_do and seconds is None:
        yield "no record of how long a case takes"
    elif end.to_do and seconds is not None:
        whole, shared = (_clock(seconds * end.to_do / cores) for cores in (1, jobs))
        yield f"about {seconds:.1f} CPU s a case: {whole} on one core, {shared} on {jobs}"


def _clock(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _seconds_a_case(table: TimedTable | None, out: Path, registry: Path | None) -> float | None:
    if table is None:
        return None
    if registry is not None:
        return _registry_seconds(table, registry)
    from la_outcomes.errors import InputError
    from la_outcomes.shards import read_shard

    seconds = []
    for path in sorted((out / "shards").glob("*.json"))[:SHARDS_LOOKED_AT]:
        try:
            rows = read_shard(path)["rows"].get(table, [])
        except InputError:
            continue
        seconds += [row["cpu_seconds"] for row in rows if row.get("cpu_seconds") is not None]
    return statistics.median(seconds) if seconds else None


def _registry_seconds(table: TimedTable, registry: Path) -> float | None:
    from la_outcomes.registry.database import open_read_only

    with closing(open_read_only(registry)) as connection:
        found = connection.execute(f"SELECT median(cpu_seconds) FROM {table}").fetchone()
    return None if found is None or found[0] is None else float(found[0])
