"""Take a patient out of result shards, the files they name, and exported tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyreadstat
from pyarrow import csv

from la_outcomes.bulk import read_bulk, rewrite_bulk
from la_outcomes.dictionary import Table, load_dictionary
from la_outcomes.registry.shard_files import find_shards
from la_outcomes.registry.withdrawal.tombstones import pseudonym_columns
from la_outcomes.shards import atomic_path, read_shard, write_shard

Ids = frozenset[str]
_SHARED = ("runs", "models")


@dataclass
class Scrubbed:
    """What was taken out.

    ``gone`` shards were deleted, of which those in ``rewritten`` were written anew without the patient;
    ``deleted`` are masks and pictures, ``exports`` tables without the patient's rows.
    """

    gone: list[str] = field(default_factory=list)
    rewritten: list[Path] = field(default_factory=list)
    deleted: list[Path] = field(default_factory=list)
    exports: list[Path] = field(default_factory=list)


def scans_in_shards(folders: Iterable[Path], patient_id: str) -> set[str]:
    """Scans of a patient that shards below these folders name."""
    found: set[str] = set()
    for file in find_shards(folders):
        for row in _scan_rows(file.path):
            if row.get("patient_id") == patient_id:
                found.add(row["scan_id"])
    return found


def _scan_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".json":
        rows: list[dict[str, Any]] = read_shard(path)["rows"].get("scans", [])
        return rows
    bulk = read_bulk(path)
    return pq.read_table(path, columns=["scan_id", "patient_id"]).to_pylist() if bulk.table == "scans" else []


def scrub_shards(folders: Iterable[Path], ids: Ids, *, dry_run: bool = False) -> Scrubbed:
    """Take all rows about these pseudonyms out of the shards below the folders, and delete their files.

    A shard in which nothing but runs and models is left is deleted, another is written anew with a new hash.
    Masks and pictures that the rows name go where they lie below the shard's output folder. Raises
    ``InputError`` where a shard is damaged, as nobody knows whom it is about.
    """
    done = Scrubbed()
    for file in find_shards(folders):
        clean = _scrub_bulk if file.path.suffix == ".parquet" else _scrub_json
        clean(file.path, ids, done, dry_run)
    return done


def _scrub_json(path: Path, ids: Ids, done: Scrubbed, dry_run: bool) -> None:
    body = read_shard(path)
    kept: dict[str, list[dict[str, Any]]] = {}
    removed: list[tuple[Table, dict[str, Any]]] = []
    for name, rows in body["rows"].items():
        table = load_dictionary().table(name)
        for row in rows:
            if _is_about(table, row, ids):
                removed.append((table, row))
            else:
                kept.setdefault(name, []).append(row)
    if not removed:
        return
    for table, row in removed:
        _delete_files(path.parent.parent, table, row, done, dry_run)
    done.gone.append(path.name)
    if set(kept) <= set(_SHARED):
        _delete(path, dry_run)
        return
    done.rewritten.append(path)
    if not dry_run:
        case_id = "erased" if set(body["case_id"].split("|")) & ids else body["case_id"]
        key, status = body["case_key"], body["status"]
        write_shard(path.parent.parent, kind=body["kind"], case_id=case_id, key=key, status=status, rows=kept)


def _is_about(table: Table, row: dict[str, Any], ids: Ids) -> bool:
    values = (row.get(name) for name in pseudonym_columns(table))
    return any(not ids.isdisjoint(str(value).split("|")) for value in values if value is not None)


def _delete_files(folder: Path, table: Table, row: dict[str, Any], done: Scrubbed, dry_run: bool) -> None:
    """Delete the files a row names relative to its folder; a scan's own path, the user's image, stays."""
    names = [name for name in table.columns if name.endswith("_path")]
    for value in (row.get(name) for name in names):
        path = (folder / str(value)).resolve()
        if value and path.is_file() and path.is_relative_to(folder.resolve()):
            done.deleted.append(path)
            _delete(path, dry_run)


def _delete(path: Path, dry_run: bool) -> None:
    if not dry_run:
        path.unlink(missing_ok=True)


def _scrub_bulk(path: Path, ids: Ids, done: Scrubbed, dry_run: bool) -> None:
    bulk = read_bulk(path)
    table = load_dictionary().table(bulk.table)
    columns = [name for name in pseudonym_columns(table) if name in bulk.columns]
    removed = _mask(pq.read_table(path, columns=columns), ids) if columns else None
    if removed is None or not pc.any(removed).as_py():
        return
    rows = bulk.rows
    for row in rows.filter(removed).to_pylist():
        _delete_files(path.parent.parent, table, row, done, dry_run)
    done.gone.append(path.name)
    kept = rows.filter(pc.invert(removed))
    if kept.num_rows:
        done.rewritten.append(path if dry_run else rewrite_bulk(path, kept))
    _delete(path, dry_run)


def _mask(rows: pa.Table, ids: Ids) -> pa.Array:
    """True for rows with one of the pseudonyms in any column."""
    found = pa.array([False] * rows.num_rows) if not rows.num_columns else None
    for column in rows.columns:
        texts = column.cast(pa.string()).combine_chunks()
        hit = pc.fill_null(pc.is_in(texts, value_set=pa.array(sorted(ids))), False)
        found = hit if found is None else pc.or_(found, hit)
    return found


def scrub_exports(folders: Iterable[Path], ids: Ids, *, dry_run: bool = False) -> list[Path]:
    """Take the rows out of exported tables: files named as a table or view, as CSV, Parquet or Stata."""
    changed = []
    for path in _exported(folders):
        read, write = _FORMATS[path.suffix]
        rows, rest = read(path)
        removed = _mask(rows.select([name for name in rows.column_names if _holds_ids(path, name)]), ids)
        if pc.any(removed).as_py():
            changed.append(path)
            if not dry_run:
                write(path, rows.filter(pc.invert(removed)), rest)
    return changed


def _exported(folders: Iterable[Path]) -> Iterator[Path]:
    relations = {*load_dictionary().tables, *load_dictionary().views}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in _FORMATS and path.stem in relations and path.is_file():
                yield path


def _holds_ids(path: Path, name: str) -> bool:
    column = load_dictionary().describe(path.stem, name)
    return column is not None and column.identifies == "pseudonym"


def _read_csv(path: Path) -> tuple[pa.Table, Any]:
    """All cells as they are written."""
    names = csv.open_csv(path).schema.names
    options = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return csv.read_csv(path, convert_options=options), None


def _write_csv(path: Path, rows: pa.Table, _: Any) -> None:
    with atomic_path(path) as temporary:
        frame = rows.to_pandas()
        frame.to_csv(temporary, index=False)


def _read_parquet(path: Path) -> tuple[pa.Table, Any]:
    return pq.read_table(path), None


def _write_parquet(path: Path, rows: pa.Table, _: Any) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd")


def _read_stata(path: Path) -> tuple[pa.Table, Any]:
    frame, meta = pyreadstat.read_dta(str(path))
    return pa.Table.from_pandas(frame, preserve_index=False), meta


def _write_stata(path: Path, rows: pa.Table, meta: Any) -> None:
    frame: pd.DataFrame = rows.to_pandas()
    with atomic_path(path) as temporary:
        pyreadstat.write_dta(
            frame,
            str(temporary),
            column_labels=meta.column_labels,
            variable_value_labels=meta.variable_value_labels,
        )


_FORMATS: dict[str, tuple[Callable[[Path], tuple[pa.Table, Any]], Callable[[Path, pa.Table, Any], None]]] = {
    ".csv": (_read_csv, _write_csv),
    ".parquet": (_read_parquet, _write_parquet),
    ".dta": (_read_stata, _write_stata),
}
