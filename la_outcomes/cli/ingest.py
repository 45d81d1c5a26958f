"""``la-outcomes ingest``: take result shards into the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption

if TYPE_CHECKING:
    from la_outcomes.registry.ingest import IngestReport


def command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="--out folders of other verbs")],
    registry: RegistryOption,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="make the registry anew from all shards, then replace it")
    ] = False,
) -> None:
    """Take result shards into the registry.

    Each shard goes in once, whole or not at all; running it again takes only what is new. A faulty shard
    is named and left out, the others go in (exit code 4).
    """
    from la_outcomes.registry import ingest

    report = (ingest.rebuild if rebuild else ingest.ingest)(folders, registry)
    tell(report)


def tell(report: IngestReport) -> None:
    """Print what an ingest did; raises ``PartlyDoneError`` where shards were left out."""
    from la_outcomes.errors import PartlyDoneError

    print(f"{report.n_taken} shards taken in, {report.n_known} known before")
    for table, count in report.rows.items():
        print(f"  {table}: {count} rows")
    if report.n_transient:
        print(f"{report.n_transient} of them are failures that may pass: run their command again")
    if report.n_withheld:
        print(f"{report.n_withheld} of them held rows of erased patients, which were left out")
        print("  to take these out of the shards too: la-outcomes erase PATIENT_ID DIR --accept")
    for fault in report.faults:
        print(f"  left out: {fault.file}: {fault.reason}")
    if report.faults:
        raise PartlyDoneError(
            f"{len(report.faults)} shards were left out", hint="each is named above with its reason"
        )
