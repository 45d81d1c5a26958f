"""``la-outcomes export``: the registry's tables and views for other software."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption


def command(
    registry: RegistryOption,
    out: Annotated[Path, typer.Option(help="folder for the files")],
    form: Annotated[str, typer.Option("--format", help="parquet, csv or stata")] = "parquet",
) -> None:
    """Write the registry's tables for other software.

    One file a view and table that has rows, and codebook.csv with units, codes and ranges. Stata files
    carry variable and value labels.
    """
    from la_outcomes.registry.export import export

    for path in export(registry, out, form):
        print(path)
