"""Read-only questions to the registry: any SQL, no files, no networks, nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from la_outcomes.errors import UsageError
from la_outcomes.registry.database import open_read_only


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
        raise UsageError(
            f"the query cannot be answered: {error}", hint="tables: la-outcomes status"
        ) from error
    finally:
        connection.close()
