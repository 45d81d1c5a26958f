"""``la-outcomes import-volumes``: take in volumes that another tool measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption


def command(
    table: Annotated[Path, typer.Argument(help="CSV, TSV, Excel, Stata, SAS or SPSS; one row a scan")],
    registry: RegistryOption,
    mapping: Annotated[str, typer.Option(help="mapping YAML with tool name and version; or volumes_la")],
    accept: Annotated[
        bool, typer.Option("--accept", help="take it in; without it nothing is written")
    ] = False,
) -> None:
    """Take in volumes that another tool measured.

    LA volumes on CT become measurements of an imported model, WMH volumes on FLAIR of a named source. A row
    without a volume stays, with its reason. Nothing goes in without --accept.
    """
    from la_outcomes.cli.import_clinical import print_faults
    from la_outcomes.cli.ingest import tell
    from la_outcomes.errors import InputError
    from la_outcomes.registry.imports.mapping import load_mapping
    from la_outcomes.registry.imports.reading import read_table
    from la_outcomes.registry.imports.volumes import accept_volumes, is_known, plan_volumes
    from la_outcomes.shards import sha256_file

    plan = plan_volumes(read_table(table), load_mapping(mapping), {"table_sha256": sha256_file(table)})
    print(f"{plan.n_measured} scans with a volume, {plan.n_without} without")
    for note in plan.notes:
        print(f"  note: {note}")
    if plan.faults:
        print_faults(plan.faults)
        raise InputError(f"{len(plan.faults)} faulty cells; nothing was taken in", where=table.name)
    if is_known(plan, registry):
        print("this table was taken in before with this mapping; nothing to do")
    elif not accept:
        print("dry run: nothing was written; add --accept to take it in")
    else:
        tell(accept_volumes(plan, registry))
