"""``la-outcomes import-clinical``: validate a clinical table and take it into the registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption

if TYPE_CHECKING:
    import pandas as pd

    from la_outcomes.registry.imports.clinical import ImportPlan
    from la_outcomes.registry.imports.conversion import CellFault

SHOWN = 20


def command(
    table: Annotated[Path, typer.Argument(help="CSV, TSV, Excel, Stata, SAS or SPSS; one row a patient")],
    registry: RegistryOption,
    mapping: Annotated[
        str, typer.Option(help="mapping YAML, or the name of a shipped one (soop, redcap, bids)")
    ],
    accept: Annotated[
        bool, typer.Option("--accept", help="take it in; without it nothing is written")
    ] = False,
    infarct_masks: Annotated[
        Path | None,
        typer.Option(help="folder of <patient_id>_lesion.nii.gz in MNI space; gives infarct_volume_mni_ml"),
    ] = None,
) -> None:
    """Validate a clinical table and take it into the registry.

    Lists every faulty cell with line, column, value and rule, then what would change. Nothing goes in
    without --accept, and nothing at all while a cell is faulty. Running it again changes nothing.
    """
    from la_outcomes.errors import InputError
    from la_outcomes.registry.imports.clinical import accept_import, plan_import
    from la_outcomes.registry.imports.mapping import load_mapping
    from la_outcomes.registry.imports.reading import read_table
    from la_outcomes.registry.imports.sidecar import with_sidecar
    from la_outcomes.shards import sha256_file

    rules, source = with_sidecar(load_mapping(mapping), table), read_table(table)
    if infarct_masks is not None:
        _add_infarct_volumes(source, infarct_masks, rules.id_column)
    plan = plan_import(source, rules, registry)
    _tell(plan)
    if plan.faults:
        print_faults(plan.faults)
        raise InputError(f"{len(plan.faults)} faulty cells; nothing was taken in", where=table.name)
    if not accept:
        print("dry run: nothing was written; add --accept to take it in")
    elif plan.is_empty:
        print("the registry already says all this; nothing to do")
    else:
        from la_outcomes.cli.ingest import tell

        tell(accept_import(plan, registry, {"table_sha256": sha256_file(table)}))


def print_faults(faults: list[CellFault]) -> None:
    """Print every faulty cell: line of the table (the header is line 1), column, value, rule."""
    for fault in faults:
        place = f"line {fault.line}, " if fault.line else ""
        print(f"  {place}{fault.column}: {fault.value!r}: {fault.rule}")


def _tell(plan: ImportPlan) -> None:
    print(f"{plan.n_rows} rows read by mapping {plan.mapping.name}")
    for note in plan.notes:
        print(f"  note: {note}")
    if plan.not_taken:
        print(f"  columns the mapping does not name: {', '.join(plan.not_taken)}")
    if plan.faults:
        return
    print(f"  new patients: {len(plan.new_patients)}")
    print(f"  known patients: {plan.n_filled} values filled in, {len(plan.changes)} changed")
    print(f"  missing here and known in the registry, kept: {plan.n_kept} values")
    for change in plan.changes[:SHOWN]:
        print(f"    {change.patient_id} {change.column}: {change.known} -> {change.new}")
    if len(plan.changes) > SHOWN:
        print(f"    and {len(plan.changes) - SHOWN} more")


def _add_infarct_volumes(source: pd.DataFrame, folder: Path, id_column: str) -> None:
    """Add column ``infarct_volume_mni_ml`` to the table, read from the masks' voxels."""
    from la_outcomes.cli.infarct_masks import mask_volumes_ml

    volumes = mask_volumes_ml(folder)
    source["infarct_volume_mni_ml"] = source[id_column].map(volumes).astype(object)
    found = source["infarct_volume_mni_ml"].notna()
    source.loc[~found, "infarct_volume_mni_ml"] = None
    without = len(volumes) - int(found.sum())
    print(f"{len(volumes)} infarct masks: {int(found.sum())} of patients in the table, {without} of others")
