"""Result shards with many rows of one table: a Parquet file whose name vouches for its bytes.

A bulk shard carries the header of a JSON shard in the Parquet key-value metadata, with the run that made
it. Its name ends in the first 16 digits of the SHA-256 of its bytes, so that a file cut short or altered
is told from a whole one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from la_outcomes.dictionary import Column, load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.provenance import Run
from la_outcomes.shards import SHARD_VERSION, atomic_path, canonical_json, sha256_file

_HEADER_KEY = b"la_outcomes.shard"
_ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
}


@dataclass(frozen=True)
class BulkShard:
    """A bulk shard's header, the row of ``runs`` it came from, and where its rows are."""

    path: Path
    kind: str
    table: str
    run: dict[str, Any]
    sha256: str
    columns: tuple[str, ...]
    n_rows: int

    @property
    def rows(self) -> pa.Table:
        """The rows as Arrow, read anew each time."""
        return pq.read_table(self.path)


def write_bulk(out_dir: str | Path, *, kind: str, table: str, frame: pd.DataFrame, run: Run) -> Path:
    """Write rows of one registry table to ``out_dir/shards/bulk-<table>-<sha16>.parquet``.

    ``frame`` holds columns of the dictionary (others are refused); NaN and None become NULL. Returns the
    path. Raises ``InputError`` naming the column where a value does not fit the column's type.
    """
    header = {"shard_version": SHARD_VERSION, "kind": kind, "table": table, "run": run.row()}
    rows = to_arrow(table, frame).replace_schema_metadata({_HEADER_KEY: canonical_json(header)})
    return _write(Path(out_dir) / "shards", f"bulk-{table}", rows)


def rewrite_bulk(path: Path, rows: pa.Table) -> Path:
    """Write some of a bulk shard's rows, its header with them, as a new shard beside it; returns its path."""
    return _write(path.parent, path.stem.rpartition("-")[0], rows)


def _write(folder: Path, stem: str, rows: pa.Table) -> Path:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    content = sink.getvalue()
    path = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def read_bulk(path: str | Path) -> BulkShard:
    """Read a bulk shard's header and check its bytes against its name and its columns' types.

    Raises ``InputError`` where the file is cut short, altered, renamed or no bulk shard.
    """
    path, digest = Path(path), sha256_file(path)
    if path.stem.rpartition("-")[2] != digest[:16]:
        raise InputError(
            "a bulk shard is cut short, altered or renamed",
            where=path.name,
            hint="delete it and run its command again",
        )
    try:
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
        header = json.loads(schema.metadata[_HEADER_KEY])
        kind, table, run = header["kind"], header["table"], header["run"]
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InputError("not a bulk shard of this program", where=path.name) from error
    _check_types(table, schema, path)
    return BulkShard(path, kind, table, run, digest, tuple(schema.names), metadata.num_rows)


def _check_types(table: str, schema: pa.Schema, path: Path) -> None:
    for field in schema:
        column = load_dictionary().column(table, field.name)
        if field.type != _ARROW_TYPES[column.type]:
            raise InputError(f"{table}.{field.name} is {field.type}, no {column.type}", where=path.name)


def arrow_schema(table: str) -> pa.Schema:
    """The dictionary's columns of a registry table as an Arrow schema."""
    columns = load_dictionary().table(table).columns.values()
    return pa.schema([(column.name, _ARROW_TYPES[column.type]) for column in columns])


def to_arrow(table: str, frame: pd.DataFrame) -> pa.Table:
    """The frame with the dictionary's types; raises ``InputError`` naming the column that does not fit."""
    dictionary = load_dictionary()
    columns = {str(name): dictionary.column(table, str(name)) for name in frame.columns}
    return pa.table({name: _to_array(column, frame[name], table) for name, column in columns.items()})


def _to_array(column: Column, values: pd.Series[Any], table: str) -> pa.Array:
    try:
        return pa.Array.from_pandas(values, type=_ARROW_TYPES[column.type])
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(f"a value is no {column.type}: {error}", where=f"{table}.{column.name}") from error
