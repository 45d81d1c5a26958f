"""Backups that say what they hold, and restoring them."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import InputError, UsageError
from la_outcomes.registry.database import check_not_held, open_for_writing, open_read_only
from la_outcomes.registry.export import export
from la_outcomes.registry.files import discard, imports_folder, put_in_place, set_aside, snapshot_path
from la_outcomes.registry.rules import quote
from la_outcomes.registry.withdrawal.copying import delete_copies
from la_outcomes.registry.withdrawal.erase import enforce
from la_outcomes.shards import atomic_path, sha256_file, write_text_atomic

MANIFEST = "backup.json"
DATABASE = "registry.duckdb"


def backup(registry: str | Path, out: str | Path) -> dict[str, Any]:
    """Write a folder with the registry, its imports, all tables as Parquet, and what they are.

    The Parquet files are for whoever has another version of DuckDB. Returns the manifest: time, versions,
    rows by table, SHA-256 of the database. Raises ``UsageError`` where the folder is not empty,
    ``RegistryLockedError`` while somebody writes.
    """
    registry, out = Path(registry), Path(out)
    if not registry.is_file():
        raise InputError("there is no registry", where=registry)
    if out.exists() and any(out.iterdir()):
        raise UsageError("the backup's folder is not empty", where=out, hint="give a new folder")
    with open_for_writing(registry):
        pass
    out.mkdir(parents=True, exist_ok=True)
    _copy(snapshot_path(registry), out / DATABASE)
    if imports_folder(registry).is_dir():
        shutil.copytree(imports_folder(registry), out / "imports")
    export(out / DATABASE, out / "parquet", "parquet")
    manifest = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "duckdb_version": duckdb.__version__,
        "database_sha256": sha256_file(out / DATABASE),
        "rows": _counts(out / DATABASE),
    }
    write_text_atomic(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return manifest


def restore(folder: str | Path, registry: str | Path, *, replace: bool = False) -> dict[str, Any]:
    """Bring a backup back and return its manifest, after checking bytes and rows against it.

    An existing registry is refused without ``replace``, and otherwise stays as
    ``<name>.before-restore.duckdb``. Imports accepted since the backup stay beside the registry and go in
    with the next ingest; patients erased since are left out of all that comes back. Raises ``InputError``
    where the backup is not whole.
    """
    folder, registry = Path(folder), Path(registry)
    manifest = _checked_manifest(folder)
    if registry.exists() and not replace:
        raise UsageError("there is a registry already", where=registry.name, hint="give --replace")
    registry.parent.mkdir(parents=True, exist_ok=True)
    fresh = registry.with_name(f".{registry.stem}.restore.duckdb")
    discard(fresh)
    try:
        _replace(folder / DATABASE, fresh, registry)
    finally:
        discard(fresh)
    if (folder / "imports").is_dir():
        shutil.copytree(folder / "imports", imports_folder(registry), dirs_exist_ok=True)
    enforce(registry)
    return manifest


def _checked_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("no backup, or one that was not finished", where=folder) from error
    if not (folder / DATABASE).is_file() or sha256_file(folder / DATABASE) != manifest["database_sha256"]:
        raise InputError("the backup's database was cut short or altered", where=folder / DATABASE)
    return manifest


def _replace(database: Path, fresh: Path, registry: Path) -> None:
    """Bring a copy of the backup up to date out of sight, then let it take the registry's place."""
    _copy(database, fresh)
    with open_for_writing(fresh):
        pass
    delete_copies(fresh)
    if registry.exists():
        check_not_held(registry)
        set_aside(registry, registry.with_suffix(".before-restore.duckdb"))
    put_in_place(fresh, registry)


def _copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)


def _counts(database: Path) -> dict[str, int]:
    with open_read_only(database) as connection:
        return {
            name: connection.execute(f"SELECT count(*) FROM {quote(name)}").fetchall()[0][0]
            for name in load_dictionary().tables
        }
