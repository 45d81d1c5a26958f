"""``la-outcomes export``: the registry's tables and results for other software."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption
from la_outcomes.errors import UsageError

FoldersOption = Annotated[
    list[Path] | None,
    typer.Option("--folder", help="for bids and dicom: folder of convert, segment or label; repeatable"),
]


def command(
    registry: RegistryOption,
    out: Annotated[Path, typer.Option(help="folder for the files")],
    form: Annotated[str, typer.Option("--format", help="parquet, csv, stata, bids or dicom")] = "parquet",
    folder: FoldersOption = None,
    dicom: Annotated[Path | None, typer.Option(help="for dicom: the archive the scans came from")] = None,
    key: Annotated[Path | None, typer.Option(help="for dicom: file with the key for pseudonyms")] = None,
) -> None:
    """Write the registry's tables for other software, or its scans and results as BIDS or DICOM.

    Tables: one file a view and table that has rows, and codebook.csv with units, codes and ranges; Stata
    files carry variable and value labels. bids: CT, FLAIR and, as derivatives, masks with sidecars. dicom:
    SEG and SR of each measured CT, with the identifiers of the archive they go back to.
    """
    if form == "bids":
        _bids(registry, out, folder or [])
    elif form == "dicom":
        if dicom is None:
            raise UsageError("DICOM results need the CTs' headers", hint="give --dicom ARCHIVE")
        _dicom(registry, dicom, (folder or [], out), key)
    else:
        from la_outcomes.registry.export import export

        for path in export(registry, out, form):
            print(path)


def _bids(registry: Path, out: Path, folders: list[Path]) -> None:
    from la_outcomes.exchange.bids_out import export_bids

    written = export_bids(registry, folders, out)
    print(f"{written.n_scans} scans and {written.n_derivatives} masks of {written.n_patients} patients")
    for name, why in written.left_out:
        print(f"  left out: {name}: {why}")


def _dicom(registry: Path, archive: Path, places: tuple[list[Path], Path], key: Path | None) -> None:
    from la_outcomes.exchange.dicom_export import export_dicom
    from la_outcomes.execution import raise_if_any_failed
    from la_outcomes.imaging.pseudonyms import pseudonyms_by_key

    folders, out = places
    outcomes = export_dicom(registry, archive, folders, out, pseudonyms_by_key(key, outside=out))
    done = sum(outcome.succeeded for outcome in outcomes)
    print(f"{done} of {len(outcomes)} scans; the files name the patients: they are for the archive alone")
    raise_if_any_failed(outcomes, what="scans")
