"""``la-outcomes backup``: copy a registry to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption


def command(
    registry: RegistryOption,
    out: Annotated[Path, typer.Option(help="new folder for the backup")],
) -> None:
    """Copy a registry, its imports and all tables as Parquet to a folder.

    backup.json says when, with which versions, how many rows, and the SHA-256 of the database.
    """
    from la_outcomes.registry.backup import backup

    manifest = backup(registry, out)
    print(f"{sum(manifest['rows'].values())} rows of {len(manifest['rows'])} tables copied to {out}")
