"""Write the registry's tables and the analysis views for other software, with a codebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from la_outcomes.dictionary import Column, load_dictionary
from la_outcomes.errors import UsageError
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.rules import quote
from la_outcomes.registry.schema import column_comment
from la_outcomes.shards import atomic_path, write_text_atomic

_STATA_NAME, _STATA_LABEL = 32, 80


def export(registry: str | Path, out: str | Path, form: str) -> list[Path]:
    """Write one file a view and table, and ``codebook.csv``; tables without rows are left out.

    Rows are in order of their columns, so that one registry gives the same files again. Parquet keeps all
    types; CSV has ISO times and empty cells for NULL; Stata has variable and value labels.
    Raises ``UsageError`` for another format and ``InputError`` where there is no registry.
    """
    if form not in _WRITERS:
        raise UsageError(f"format {form!r} is not known", hint=f"one of {', '.join(_WRITERS)}")
    out = Path(out)
    written: list[Path] = []
    columns: dict[str, list[str]] = {}
    with open_read_only(registry) as connection:
        for name in [*load_dictionary().views, *load_dictionary().tables]:
            rows = connection.sql(f"FROM {quote(name)} ORDER BY ALL").to_arrow_table()
            if rows.num_rows:
                columns[name] = rows.column_names
                written.append(_WRITERS[form](rows, out / name))
    return [*written, write_codebook(out / "codebook.csv", columns)]


def write_codebook(path: Path, columns: Mapping[str, Sequence[str]]) -> Path:
    """Write what the columns of these tables and views mean: one row a column, with unit and codes."""
    rows = [
        _codebook_row(name, column)
        for name, names in columns.items()
        for column in (load_dictionary().describe(name, entry) for entry in names)
        if column is not None
    ]
    return write_text_atomic(path, pd.DataFrame(rows).to_csv(index=False))


def _codebook_row(relation: str, column: Column) -> dict[str, object]:
    return {
        "table": relation,
        "column": column.name,
        "type": column.type,
        "unit": column.unit,
        "description": column.description,
        "codes": "; ".join(f"{code} = {label}" for code, label in column.labels.items()),
        "possible": _range(column.possible),
        "plausible": _range(column.plausible),
        "points_to_a_person": column.identifies,
        "source": column.source,
    }


def _range(limits: tuple[float, float] | None) -> str:
    return "" if limits is None else f"{limits[0]:g} to {limits[1]:g}"


def _write_parquet(rows: pa.Table, stem: Path) -> Path:
    path = stem.with_suffix(".parquet")
    with atomic_path(path) as temporary:
        parquet.write_table(rows, temporary, compression="zstd")
    return path


def _write_csv(rows: pa.Table, stem: Path) -> Path:
    path = stem.with_suffix(".csv")
    with atomic_path(path) as temporary:
        csv.write_csv(rows, temporary)
    return path


def _write_stata(rows: pa.Table, stem: Path) -> Path:
    described = {name: load_dictionary().describe(stem.name, name) for name in rows.column_names}
    known = {name: column for name, column in described.items() if column is not None}
    frame = pd.DataFrame({_stata_name(name): _for_stata(rows[name]) for name in rows.column_names})
    path = stem.with_suffix(".dta")
    with atomic_path(path) as temporary:
        frame.to_stata(
            temporary,
            write_index=False,
            version=118,
            variable_labels={_stata_name(n): column_comment(c)[:_STATA_LABEL] for n, c in known.items()},
            value_labels={_stata_name(n): labels for n, c in known.items() if (labels := _stata_codes(c))},
        )
    return path


def _stata_codes(column: Column) -> dict[float, str]:
    """Labels of whole numbers; Stata has none for text."""
    if column.type == "boolean":
        return {0: "no", 1: "yes"}
    return {code: label for code, label in column.labels.items() if isinstance(code, int)}


def _stata_name(name: object) -> str:
    return str(name)[:_STATA_NAME]


def _for_stata(values: pa.ChunkedArray) -> pd.Series[Any]:
    """Text without NULL, whole numbers and yes/no as numbers with Stata's missing value."""
    if pa.types.is_timestamp(values.type):
        return values.to_pandas()
    if pa.types.is_string(values.type):
        return values.to_pandas().fillna("").astype(str)
    return values.to_pandas(integer_object_nulls=True).astype(float)


_WRITERS: dict[str, Callable[[pa.Table, Path], Path]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "stata": _write_stata,
}
