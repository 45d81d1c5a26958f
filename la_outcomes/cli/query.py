"""``la-outcomes query``: a read-only SQL question to the registry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption

if TYPE_CHECKING:
    import pyarrow as pa


def command(
    sql: Annotated[str, typer.Argument(help="one SELECT, or a file name ending in .sql")],
    registry: RegistryOption,
    as_csv: Annotated[bool, typer.Option("--csv", help="comma-separated values")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a row")] = False,
) -> None:
    """Run a read-only SQL query.

    Nothing can be written, and SQL reaches no other file and no network.
    """
    from pathlib import Path

    from la_outcomes.errors import UsageError
    from la_outcomes.registry.query import ask

    if as_csv and as_json:
        raise UsageError("--csv and --json do not go together", hint="give one of them")
    text = Path(sql).read_text(encoding="utf-8") if sql.endswith(".sql") else sql
    with ask(registry, text) as answer:
        if as_csv:
            _write_csv(answer.to_arrow_table())
        elif as_json:
            _write_json(answer.to_arrow_table())
        else:
            answer.show(max_rows=200, max_width=_terminal_width())


def _write_json(table: pa.Table) -> None:
    import json

    for row in table.to_pylist():
        print(json.dumps(row, ensure_ascii=False, default=str))


def _write_csv(table: pa.Table) -> None:
    from pyarrow import csv

    csv.write_csv(table, sys.stdout.buffer)


def _terminal_width() -> int:
    import shutil

    return shutil.get_terminal_size((200, 50)).columns
