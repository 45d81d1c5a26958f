"""``la-outcomes restore``: bring a registry back from a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption


def command(
    folder: Annotated[Path, typer.Argument(help="folder that backup made")],
    registry: RegistryOption,
    replace: Annotated[bool, typer.Option("--replace", help="put the present registry aside")] = False,
) -> None:
    """Bring a registry back from a backup, checked against what the backup says it holds."""
    from la_outcomes.registry.backup import restore

    manifest = restore(folder, registry, replace=replace)
    print(f"{sum(manifest['rows'].values())} rows restored, as of {manifest['made_at']}")
