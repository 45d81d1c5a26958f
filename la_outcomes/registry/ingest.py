"""Take result shards into the registry: each once, all of it or nothing, the ledger with the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from la_outcomes.errors import InputError
from la_outcomes.registry.checking import refuse_faulty
from la_outcomes.registry.database import check_not_held, open_for_writing, open_read_only
from la_outcomes.registry.files import discard, imports_folder, put_in_place, set_aside
from la_outcomes.registry.merge import START_TABLE, merge
from la_outcomes.registry.shard_files import SHARD_COLUMN, Fault, Shard, ShardFile, find_shards, read_any
from la_outcomes.registry.staging import stage_shards
from la_outcomes.registry.withdrawal.tombstones import known_tombstones, withhold
from la_outcomes.shards import TRANSIENT_STATUS


@dataclass
class IngestReport:
    """What an ingest did.

    ``n_taken`` shards went in with ``rows`` by table, ``n_known`` had gone in before, ``faults`` were left
    out; ``n_transient`` of those taken are failures that a rerun of their command may turn into results, and
    ``n_withheld`` held rows about erased patients, which were dropped.
    """

    n_known: int = 0
    n_taken: int = 0
    n_transient: int = 0
    n_withheld: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def ingest(folders: Sequence[str | Path], registry: str | Path) -> IngestReport:
    """Take in all shards at or below the folders, and what was imported into this registry before.

    Shards that went in before are told by name, size and time, and not read. A faulty shard is reported and
    does not stop the others. Running it again, or after it was killed, gives the same registry.

    Raises
    ------
    InputError
        A folder does not exist, or there is no shard at all.
    RegistryLockedError
        Another process holds the registry.
    """
    registry = Path(registry)
    files = _shard_files(folders, registry)
    with open_for_writing(registry) as connection:
        return take_in_files(connection, files)


def rebuild(folders: Sequence[str | Path], registry: str | Path) -> IngestReport:
    """Make the registry anew from the shards; the old file stays as ``<name>.before-rebuild.duckdb``.

    Nothing is replaced unless the new registry is complete. Raises as `ingest`, and ``InputError`` where
    shards that the present registry knows are in none of the folders.
    """
    registry = Path(registry)
    files = _shard_files(folders, registry)
    if registry.exists():
        check_not_held(registry)
        _check_nothing_is_left_out(registry, files)
    fresh = registry.with_name(f".{registry.stem}.rebuild.duckdb")
    discard(fresh)
    with open_for_writing(fresh) as connection:
        report = take_in_files(connection, files)
    if registry.exists():
        set_aside(registry, registry.with_suffix(".before-rebuild.duckdb"))
    put_in_place(fresh, registry)
    return report


def _shard_files(folders: Sequence[str | Path], registry: Path) -> list[ShardFile]:
    paths = [Path(folder) for folder in folders]
    for path in paths:
        if not path.is_dir():
            raise InputError("there is no such folder", where=path)
    files = find_shards([*paths, imports_folder(registry)])
    if not files:
        raise InputError(
            "no result shards found", where=", ".join(map(str, paths)), hint="give the --out of a command"
        )
    return files


def _check_nothing_is_left_out(registry: Path, files: list[ShardFile]) -> None:
    try:
        with open_read_only(registry) as connection:
            known = connection.execute("SELECT file_name FROM ingested ORDER BY file_name").fetchall()
            erased = known_tombstones(connection)
    except (InputError, duckdb.Error):  # damaged: a reason to rebuild
        return
    found = {file.path.name for file in files}
    absent = [name for (name,) in known if name not in found]
    if absent := [name for name in absent if not erased.among([name])]:
        raise InputError(
            f"{len(absent)} shards of the present registry are not in these folders, as {absent[0]}",
            where=registry.name,
            hint="give all folders that were ingested, or move the registry away to start anew",
        )


def take_in_files(
    connection: duckdb.DuckDBPyConnection, files: list[ShardFile], only_kind: str | None = None
) -> IngestReport:
    """Take these files into the registry that the connection holds, those of one kind where it is given."""
    report = IngestReport()
    rows = connection.execute(
        "SELECT file_name, size_bytes, modified_ns, shard_sha256 FROM ingested"
    ).fetchall()
    identities, digests = {row[:3] for row in rows}, {row[3] for row in rows}
    new = [file for file in files if file.identity not in identities]
    shards = _in_order(_read_all(new, report))
    if only_kind:
        shards = [shard for shard in shards if shard.kind == only_kind]
    fresh = [shard for shard in shards if shard.sha256 not in digests]
    report.n_known = len(files) - len(new) + len(shards) - len(fresh)
    connection.begin()
    try:
        taken = _take_in(connection, fresh, report) if fresh else []
        _write_ledger(connection, [*taken, *(s for s in shards if s.sha256 in digests)])
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return report


def know_shards(connection: duckdb.DuckDBPyConnection, paths: Iterable[Path]) -> None:
    """Write shards into the ledger whose rows the registry has already."""
    files = [(path, path.stat()) for path in paths]
    _write_ledger(connection, [read_any(ShardFile(p, s.st_size, s.st_mtime_ns)) for p, s in files])


def _read_all(files: Iterable[ShardFile], report: IngestReport) -> list[Shard]:
    shards: dict[str, Shard] = {}
    for file in files:
        try:
            shard = read_any(file)
        except InputError as error:
            report.faults.append(Fault(file.path.name, str(error)))
        else:
            shards[shard.sha256] = shard
    return list(shards.values())


def _in_order(shards: list[Shard]) -> list[Shard]:
    return sorted(shards, key=lambda shard: (shard.started_at, shard.sha256))


def _take_in(connection: duckdb.DuckDBPyConnection, shards: list[Shard], report: IngestReport) -> list[Shard]:
    starts = pa.table({SHARD_COLUMN: range(len(shards)), "started_at": [s.started_at for s in shards]})
    connection.register("starts", starts)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {START_TABLE} AS FROM starts")
    connection.unregister("starts")
    stage = stage_shards(connection, shards)
    report.n_withheld = withhold(stage)
    refuse_faulty(stage)
    report.rows = merge(stage)
    report.faults += [
        Fault(shards[place].file.path.name, why) for place, why in sorted(stage.refused.items())
    ]
    taken = [shard for place, shard in enumerate(shards) if place not in stage.refused]
    report.n_taken = len(taken)
    report.n_transient = sum(shard.status == TRANSIENT_STATUS for shard in taken)
    return taken


def _write_ledger(connection: duckdb.DuckDBPyConnection, shards: list[Shard]) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = [
        {
            "shard_sha256": shard.sha256,
            "file_name": shard.file.path.name,
            "size_bytes": shard.file.size_bytes,
            "modified_ns": shard.file.modified_ns,
            "kind": shard.kind,
            "n_rows": shard.n_rows,
            "ingested_at": now,
        }
        for shard in shards
    ]
    if not rows:
        return
    connection.register("taken", pa.Table.from_pylist(rows))
    connection.execute(
        "INSERT INTO ingested BY NAME FROM taken ON CONFLICT (shard_sha256) DO UPDATE SET"
        " file_name = excluded.file_name, size_bytes = excluded.size_bytes,"
        " modified_ns = excluded.modified_ns"
    )
    connection.unregister("taken")
