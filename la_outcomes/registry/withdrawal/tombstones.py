"""What keeps an erased patient out: salted hashes of pseudonyms, in a shard beside the registry.

The shard is one of the registry's imports, so that a rebuild and a backup take it along.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from la_outcomes.dictionary import Table, load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.rules import quote
from la_outcomes.registry.shard_files import SHARD_COLUMN, find_shards
from la_outcomes.registry.staging import Stage
from la_outcomes.shards import read_shard, sha256_json, write_shard

KIND = "erasure"
TABLE = "erasures"


@dataclass
class Tombstones:
    """Hashes of erased pseudonyms by the salt they were made with."""

    by_salt: dict[str, set[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_salt)

    def add(self, salt: str, digest: str) -> None:
        """Remember one hash."""
        self.by_salt.setdefault(salt, set()).add(digest)

    def among(self, identifiers: Iterable[str]) -> set[str]:
        """Those of the pseudonyms that were erased."""
        return {
            name
            for name in identifiers
            if any(digest_of(salt, name) in known for salt, known in self.by_salt.items())
        }


def digest_of(salt: str, identifier: str) -> str:
    """Hexadecimal SHA-256 of salt and pseudonym."""
    return hashlib.sha256((salt + identifier).encode()).hexdigest()


def pseudonym_columns(table: Table) -> list[str]:
    """Columns that hold pseudonyms; one value may join several by ``|``."""
    return [column.name for column in table.columns.values() if column.identifies == "pseudonym"]


def about(table: Table) -> str:
    """SQL that is true for a row about one of the pseudonyms in the list ``?``, given once a column."""
    tests = [f"list_has_any(string_split({quote(name)}, '|'), ?)" for name in pseudonym_columns(table)]
    return f"coalesce({' OR '.join(f'coalesce({test}, FALSE)' for test in tests) or 'FALSE'}, FALSE)"


def tombstones_beside(registry: Path) -> Tombstones:
    """The tombstones in the shards beside a registry; shards that cannot be read are ingest's business."""
    found = Tombstones()
    for file in find_shards([imports_folder(registry)]):
        if file.path.name.startswith(f"{KIND}-"):
            try:
                rows = read_shard(file.path)["rows"].get(TABLE, [])
            except InputError:
                continue
            for row in rows:
                found.add(row["salt"], row["identifier_sha256"])
    return found


def write_tombstones(registry: Path, patient_id: str, names: Iterable[str]) -> Path:
    """Write the shard that keeps names out: of the patient, its scans and the shards that go; its path."""
    salt = secrets.token_hex(16)
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    rows = [
        {
            "identifier_sha256": digest_of(salt, name),
            "salt": salt,
            "is_patient": name == patient_id,
            "erased_at": now,
        }
        for name in sorted(names)
    ]
    key = sha256_json(rows)
    return write_shard(
        imports_folder(registry), kind=KIND, case_id=KIND, key=key, status="done", rows={TABLE: rows}
    )


def known_tombstones(connection: duckdb.DuckDBPyConnection, stage: Stage | None = None) -> Tombstones:
    """The tombstones a registry has, and those about to go in."""
    sources = [TABLE, *([stage.tables[TABLE].name] if stage and TABLE in stage.tables else [])]
    found = Tombstones()
    for source in sources:
        for salt, digest in connection.execute(f"SELECT salt, identifier_sha256 FROM {source}").fetchall():
            found.add(salt, digest)
    return found


def withhold(stage: Stage) -> int:
    """Drop arriving rows about erased patients and return the number of shards that had any."""
    tombstones = known_tombstones(stage.connection, stage)
    if not tombstones:
        return 0
    erased = list(_erased(stage.connection, [(s.table, s.name) for s in stage.tables.values()], tombstones))
    shards: set[int] = set()
    for staged in stage.tables.values() if erased else ():
        columns = [name for name in pseudonym_columns(staged.table) if name in staged.columns]
        for name in columns:
            shards |= {
                place
                for (place,) in stage.connection.execute(
                    f"DELETE FROM {staged.name} WHERE list_has_any(string_split({quote(name)}, '|'), ?)"
                    f" RETURNING {SHARD_COLUMN}",
                    [erased],
                ).fetchall()
            }
    return len(shards)


def erased_in(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Pseudonyms in the registry's tables that its tombstones name."""
    tables = [(table, quote(table.name)) for table in load_dictionary().tables.values()]
    return _erased(connection, tables, known_tombstones(connection))


def _erased(
    connection: duckdb.DuckDBPyConnection, sources: list[tuple[Table, str]], tombstones: Tombstones
) -> set[str]:
    """Erased pseudonyms in these relations, and the scans there of erased patients."""
    erased: set[str] = set()
    for table, source in sources:
        there = {row[0] for row in connection.execute(f"DESCRIBE {source}").fetchall()}
        for name in (name for name in pseudonym_columns(table) if name in there):
            found = connection.execute(
                f"SELECT DISTINCT unnest(string_split({quote(name)}, '|')) FROM {source}"
            )
            erased |= tombstones.among(value for (value,) in found.fetchall())
    for table, source in sources:
        if table.name == "scans" and erased:
            scans = connection.execute(
                f"SELECT scan_id FROM {source} WHERE list_contains(?, patient_id)", [list(erased)]
            )
            erased |= {value for (value,) in scans.fetchall()}
    return erased
