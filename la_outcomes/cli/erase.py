"""``la-outcomes erase``: take a patient who withdrew out of everything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption

if TYPE_CHECKING:
    from la_outcomes.registry.withdrawal.erase import ErasureReport


def command(
    patient_id: Annotated[str, typer.Argument(help="pseudonym of the patient")],
    registry: RegistryOption,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="folders with shards, masks, pictures and exports"),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="erase; without it nothing is changed and it is told what would")
    ] = False,
) -> None:
    """Take a patient who withdrew out of everything.

    Removes the patient from the registry and its imports, and from shards, masks, pictures and exported
    tables below the folders. A salted hash stays, so that ingest, --rebuild and restore leave the patient
    out; the number of erased patients is all that is told. Exit code 4 where other files, such as reports
    and logs, still name the patient: they are listed.
    """
    from la_outcomes.errors import PartlyDoneError
    from la_outcomes.registry.withdrawal.erase import erase, plan_erasure

    if not accept:
        _tell(plan_erasure(patient_id, registry, folders or []))
        print("dry run: nothing was changed; add --accept to erase")
        return
    report = erase(patient_id, registry, folders or [])
    _tell(report)
    for path in report.left:
        print(f"  still names the patient: {path}")
    for column, n in report.mentions.items():
        print(f"  still names the patient: {n} row(s) of {column}")
    if report.left or report.mentions:
        raise PartlyDoneError(
            "the patient is erased, but named elsewhere",
            hint="make reports anew, delete logs, and run it again",
        )


def _tell(report: ErasureReport) -> None:
    for table, n in report.rows.items():
        print(f"  {table}: {n} row(s) removed")
    files = report.files
    n = len(files.gone) - len(files.rewritten)
    print(f"shards: {n} deleted, {len(files.rewritten)} written anew without the patient")
    print(f"masks and pictures deleted: {len(files.deleted)}; exported tables changed: {len(files.exports)}")
