"""``la-outcomes trace``: follow a published number back to its masks."""

from __future__ import annotations

from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption

SHOWN = 10


def command(
    result_id: Annotated[str, typer.Argument(help="identifier printed beside the number")],
    registry: RegistryOption,
    as_json: Annotated[bool, typer.Option("--json", help="everything, all measurements among it")] = False,
) -> None:
    """Follow a published number back to its masks.

    Result, run with parameters and versions, cohort, models, and each patient's measurement with the
    SHA-256 of scan, model and mask.
    """
    import json
    from dataclasses import asdict

    from la_outcomes.cli.status import print_rows
    from la_outcomes.registry.trace import trace

    found = trace(registry, result_id)
    if as_json:
        print(json.dumps(asdict(found), indent=1, default=str))
        return
    for title, row in (("Result", found.result), ("Run", found.run)):
        print_rows(
            title, [{"what": name, "value": value} for name, value in row.items() if value is not None]
        )
    print(f"Population: {found.population}")
    print_rows("Cohort", found.cohort)
    print_rows("Models", found.models)
    print_rows(f"Measurements ({len(found.measurements)}; --json lists all)", found.measurements[:SHOWN])
    print_rows("Taken in after the run began: a rerun may give another number", found.changed_since)
