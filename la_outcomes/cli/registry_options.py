"""The option every registry verb shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RegistryOption = Annotated[Path, typer.Option("--registry", help="registry file (DuckDB)")]
