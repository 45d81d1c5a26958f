"""``la-outcomes audit``: check the registry's data quality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from la_outcomes.cli.registry_options import RegistryOption


def command(
    registry: RegistryOption,
    out: Annotated[Path | None, typer.Option(help="CSV file for all questions, counts and queries")] = None,
    show_queries: Annotated[
        bool, typer.Option("--queries", help="print the query that lists the rows")
    ] = False,
) -> None:
    """Check the registry's data quality.

    Conformance and plausibility by the data dictionary, completeness, and rules that join tables. Exit
    code 5 where an error was found; warnings and notes are for a look.
    """
    from la_outcomes.cli.status import print_rows
    from la_outcomes.errors import AuditError
    from la_outcomes.registry.data_quality import audit

    findings = audit(registry)
    rows = [
        {
            "severity": finding.question.severity,
            "kind": finding.question.kind,
            "question": finding.question.name,
            "rows": finding.count,
            "what": finding.question.description,
            "query": finding.question.sql,
        }
        for finding in findings
    ]
    if out is not None:
        _write(rows, out)
    shown = [{k: v for k, v in row.items() if show_queries or k != "query"} for row in rows if row["rows"]]
    print_rows("What the audit found", shown)
    errors = [f for f in findings if f.count and f.question.severity == "error"]
    print(f"{len(findings)} questions, {len(shown)} with rows, {len(errors)} of these errors")
    if errors:
        names = ", ".join(finding.question.name for finding in errors)
        raise AuditError(f"the audit found errors: {names}", hint="--queries prints how to list the rows")


def _write(rows: list[dict[str, object]], out: Path) -> None:
    import pandas as pd

    from la_outcomes.shards import write_text_atomic

    write_text_atomic(out, pd.DataFrame(rows).to_csv(index=False))
