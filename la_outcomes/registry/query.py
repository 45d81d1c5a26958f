"""Read-only questions to the registry: any SQL, no files, no networks, nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from la_outcomes.errors import UsageError
from la_outcomes.registry.database import damage_told_by, open_read_only


@contextmanager
def ask(registry: str | Path, sql: str) -> Iterator[duckdb.DuckDBPyRelation]:
    """The answer to one SELECT as a DuckDB relation, valid within the block.

    Raises
    ------
    UsageError
        The SQL has an error, is no SELECT, or wants to write or to reach a file.
    """
    connection = open_read_only(registry)
    try:
        answer = connection.sql(sql)
        if answer is None:
            raise UsageError("this statement gives no table", hint="query takes one SELECT")
        yield answer
    except duckdb.Error as error:
        if damage := damage_told_by(error):
            raise damage from error
        raise UsageError(
            f"the query cannot be answered: {error}", hint="tables: la-outcomes status"
        ) from error
    finally:
        connection.close()


def check_condition(connection: duckdb.DuckDBPyConnection, population: str) -> None:
    """Refuse what is no single condition on ``analysis_cohort``.

    It must bind, and must leave the SELECT around it as it was. Raises ``UsageError``.
    """
    chosen = f"SELECT * FROM analysis_cohort WHERE ({population}\n)"
    try:
        statements = duckdb.extract_statements(chosen)
        whole = len(statements) == 1 and ";" not in population
        connection.execute(f"SELECT count(*) FROM analysis_cohort WHERE NOT ({population}\n)")
        connection.execute(f"SELECT count(*) FROM ({chosen})")
    except duckdb.Error as error:
        whole, reason = False, str(error).splitlines()[0]
    else:
        reason = "more than one statement"
    if not whole:
        raise UsageError(
            f"the population is no condition on analysis_cohort: {reason}",
            where=f"--population {population!r}",
            hint="for example: cohort = 'clinical' AND age_years >= 50",
        )
