"""Speed of the registry beside plain DuckDB in the same run, one thread; prints one line a claim.

    python benchmarks/registry.py [--patients 1000000] [--shards 10000] [--folder DIR]

A million simulated patients come as bulk Parquet: patients, 1.2 scans and LA measurements each, clinical and
outcome rows. `ingest` is set against plain DuckDB on the same files without key, foreign key or check, twice:
*same work* verifies the files, keeps one row a key, replaces known rows, keeps a ledger, commits, checkpoints
and publishes a copy for readers; *bare load* only copies Parquet into tables. *Load with constraints* is the
bare load into tables with the dictionary's keys, foreign keys and checks: what DuckDB itself takes for them.
Each case is a process of its own on one core; times are CPU seconds. Small shards are JSON files of one
patient each.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from registry_cohort import write_cohort, write_small

from la_outcomes.dictionary import load_dictionary
from la_outcomes.registry import schema
from la_outcomes.registry.database import open_for_writing, open_read_only
from la_outcomes.registry.ingest import ingest
from la_outcomes.shards import sha256_file

TABLES = ("patients", "scans", "models", "clinical", "outcomes", "la_measurements")
COHORT = "FROM analysis_cohort"
GB = 1e6


def columns_of(path: Path) -> str:
    """The file's columns as SQL."""
    return ", ".join(pq.read_schema(path).names)


def plain_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """The dictionary's tables with types alone, their lookups filled and the views on them."""
    dictionary = load_dictionary()
    for lookup in dictionary.lookups.values():
        connection.execute(f"CREATE TABLE {lookup.table} (code VARCHAR, label VARCHAR, position INTEGER)")
        rows = [(code, label, i) for i, (code, label) in enumerate(lookup.values.items())]
        connection.executemany(f"INSERT INTO {lookup.table} VALUES (?, ?, ?)", rows)
    for table in dictionary.tables.values():
        columns = ", ".join(f"{c.name} {schema.SQL_TYPES[c.type]}" for c in table.columns.values())
        connection.execute(f"CREATE TABLE {table.name} ({columns})")
    views = Path(schema.__file__).with_name("views.sql").read_text(encoding="utf-8")
    connection.execute(views)


def shard_of(folder: Path, table: str) -> Path:
    """The bulk shard of a table."""
    (path,) = (folder / "shards").glob(f"bulk-{table}-*.parquet")
    return path


def bare_load(folder: Path, database: Path) -> None:
    """Copy the files into tables and checkpoint; nothing else."""
    with duckdb.connect(str(database)) as connection:
        plain_tables(connection)
        copy_files(connection, folder)


def load_with_constraints(folder: Path, database: Path) -> None:
    """The bare load into the registry's own tables."""
    with open_for_writing(database):
        pass
    with duckdb.connect(str(database)) as connection:
        connection.execute("INSERT INTO runs (run_id, command, started_at) VALUES ('run', 'c', '2026-01-01')")
        copy_files(connection, folder)


def copy_files(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Insert each file's rows in one transaction and checkpoint."""
    connection.begin()
    for table in TABLES:
        path = shard_of(folder, table)
        run_id = ", 'run' AS run_id" if "run_id" in load_dictionary().table(table).columns else ""
        connection.execute(
            f"INSERT INTO {table} BY NAME SELECT {columns_of(path)}{run_id} FROM read_parquet('{path}')"
        )
    connection.commit()
    connection.execute("CHECKPOINT")


def same_work(folder: Path, database: Path) -> None:
    """What ingest does, by plain SQL on tables without constraints."""
    with duckdb.connect(str(database)) as connection:
        plain_tables(connection)
        connection.begin()
        for table in TABLES:
            path = shard_of(folder, table)
            digest = sha256_file(path)
            assert path.stem.endswith(digest[:16])
            run_id = ", 'run' AS run_id" if "run_id" in load_dictionary().table(table).columns else ""
            connection.execute(
                f"CREATE TEMP TABLE stage AS SELECT {columns_of(path)}{run_id} FROM read_parquet('{path}')"
            )
            upsert(connection, table)
            connection.execute("DROP TABLE stage")
            connection.execute(
                "INSERT INTO ingested (shard_sha256, file_name, ingested_at) VALUES (?, ?, now()::TIMESTAMP)",
                [digest, path.name],
            )
        connection.execute("UPDATE models SET is_active = TRUE")
        connection.commit()
        connection.execute("CHECKPOINT")
        subprocess.run(["cp", database, database.with_suffix(".copy")], check=True)


def upsert(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """One row a key of the staged rows in place of what the table has of these keys."""
    key = ", ".join(load_dictionary().table(table).primary_key)
    connection.execute(f"DELETE FROM {table} WHERE ({key}) IN (SELECT ({key}) FROM stage)")
    connection.execute(
        f"INSERT INTO {table} BY NAME FROM stage QUALIFY row_number() OVER (PARTITION BY {key}) = 1"
    )


def read_cohort(database: Path) -> int:
    """The cohort's view to Arrow from the registry; rows."""
    with open_read_only(database) as connection:
        return connection.execute(COHORT).to_arrow_table().num_rows


def read_plain_cohort(database: Path) -> int:
    """The same view on tables without constraints; rows."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(COHORT).to_arrow_table().num_rows


CASES: dict[str, Callable[[Path, Path], Any]] = {
    "ingest": lambda folder, database: ingest([folder], database),
    "same work": same_work,
    "bare load": bare_load,
    "load with constraints": load_with_constraints,
    "cohort": lambda _, database: read_cohort(database),
    "plain cohort": lambda _, database: read_plain_cohort(database),
}


def run_case(name: str, folder: Path, database: Path) -> None:
    """Run one case in this process on one core and print what it took as JSON."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    load_dictionary()
    wall, cpu = time.perf_counter(), cpu_seconds()
    CASES[name](folder, database)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GB
    print(json.dumps({"cpu": cpu_seconds() - cpu, "wall": time.perf_counter() - wall, "gb": peak}))


def cpu_seconds() -> float:
    """CPU seconds of this process and its children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measured(name: str, folder: Path, database: Path) -> dict[str, float]:
    """Run one case in a process of its own."""
    command = [sys.executable, __file__, "--case", name, "--folder", folder, "--database", database]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{name:22s} {found['cpu']:7.2f} CPU s {found['wall']:8.1f} s wall {found['gb']:6.2f} GB", flush=True
    )
    return found


def verdict(claim: str, value: float, limit: float, unit: str = "") -> None:
    """Print a claim, what was measured and whether it holds."""
    print(f"{claim}: {value:.2f}{unit} (at most {limit:g}{unit}): {'holds' if value <= limit else 'MISSED'}")


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--database", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case:
        run_case(asked.case, asked.folder, asked.database)
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        bulk(Path(name), asked.patients)
        small(Path(name), asked.shards)


def bulk(folder: Path, n: int) -> None:
    """Bulk rows: ingest and cohort beside plain DuckDB."""
    print(f"{n} patients, {n + n // 5} scans and measurements, DuckDB {duckdb.__version__}", flush=True)
    write_cohort(folder / "bulk", n)
    registry, plain, bare = (folder / f"{name}.duckdb" for name in ("registry", "plain", "bare"))
    ours = measured("ingest", folder / "bulk", registry)
    same = measured("same work", folder / "bulk", plain)
    load = measured("bare load", folder / "bulk", bare)
    native = measured("load with constraints", folder / "bulk", folder / "native.duckdb")
    cohort = measured("cohort", folder / "bulk", registry)
    plain_cohort = measured("plain cohort", folder / "bulk", plain)
    verdict("ingest / plain DuckDB, same work", ours["cpu"] / same["cpu"], 2)
    verdict("ingest / bare load of Parquet", ours["cpu"] / load["cpu"], 2)
    print(f"ingest / bare load with the same constraints: {ours['cpu'] / native['cpu']:.2f}")
    verdict("analysis_cohort to Arrow / plain", cohort["cpu"] / plain_cohort["cpu"], 1.5)
    verdict("peak memory", max(ours["gb"], cohort["gb"]), 3, " GB")


def small(folder: Path, n: int) -> None:
    """Many small shards, and the same again."""
    write_small(folder / "small", n)
    registry = folder / "small.duckdb"
    first = measured("ingest", folder / "small", registry)
    again = measured("ingest", folder / "small", registry)
    verdict(f"{n} small shards", first["cpu"], 10, " CPU s")
    verdict("the same again", again["cpu"], 1, " CPU s")


if __name__ == "__main__":
    main()
