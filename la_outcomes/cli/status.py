"""``la-outcomes status``: what a registry holds and what is left to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from la_outcomes.cli.registry_options import RegistryOption


def command(
    registry: RegistryOption,
    as_json: Annotated[bool, typer.Option("--json", help="all figures as JSON")] = False,
) -> None:
    """What is in the registry and what is left to run."""
    import json
    from dataclasses import asdict

    from la_outcomes.registry.status import status

    found = status(registry)
    if as_json:
        print(json.dumps(asdict(found), indent=1))
        return
    print(f"schema {found.schema_version}, last ingest {found.last_ingest or 'never'} (UTC)")
    if found.n_erased:
        print(f"{found.n_erased} patients erased")
    filled = [{"table": name, "rows": count} for name, count in found.tables.items() if count]
    for title, rows in (
        ("Tables", filled),
        ("Patients of each cohort, and how many have a CT, an LA volume …", found.cohorts),
        ("LA volume not measured", found.not_measured),
        ("Models", found.models),
        ("Left to do", found.left_to_do),
    ):
        print_rows(title, rows)


def print_rows(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table on the terminal; nothing where there are none."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)
