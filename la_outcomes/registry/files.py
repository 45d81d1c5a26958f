"""Files that belong to a registry: its snapshot, its imports, copies made while it is open."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from la_outcomes.errors import ResourceError
from la_outcomes.shards import atomic_path


def snapshot_path(registry: Path) -> Path:
    """The read-only copy that readers open while a writer holds the registry."""
    return registry.with_suffix(".snapshot.duckdb")


def wal_path(registry: Path) -> Path:
    """DuckDB's write-ahead log of the registry; there only while it is written or after a crash."""
    return registry.with_name(registry.name + ".wal")


def imports_folder(registry: Path) -> Path:
    """Folder of the shards that imports and reviews wrote; part of every rebuild."""
    return registry.with_name(f"{registry.stem}_imports")


def set_aside(registry: Path, copy: Path) -> None:
    """Give the registry a second name, so that readers find one at every moment of its replacement."""
    copy.unlink(missing_ok=True)
    try:
        os.link(registry, copy)
    except OSError:  # a file system without hard links
        os.replace(registry, copy)


def discard(registry: Path) -> None:
    """Delete a registry with its log and snapshot, where they are."""
    for path in (registry, wal_path(registry), snapshot_path(registry)):
        path.unlink(missing_ok=True)


def put_in_place(fresh: Path, registry: Path) -> None:
    """Let a whole registry with its snapshot take the place of another, or of none.

    The snapshot goes first: a reader who comes between the two opens the old file, so that no reader holds
    the new one when its next writer comes.
    """
    wal_path(registry).unlink(missing_ok=True)
    os.replace(snapshot_path(fresh), snapshot_path(registry))
    os.replace(fresh, registry)


def copy_while_open(source: Path, target: Path) -> None:
    """Copy a checkpointed database file that this process holds open, whole or not at all.

    Another process (``cp``) copies: closing any handle on a file drops all POSIX locks this process has on
    it, and DuckDB's would be among them. Raises ``ResourceError`` where the copy fails.
    """
    with atomic_path(target) as temporary:
        done = subprocess.run(["cp", "--", source, temporary], capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ResourceError(
                f"the registry could not be copied: {reason}", where=target.name, hint="look for free space"
            )
        stamp = source.stat()
    os.utime(target, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def same_state(registry: Path, snapshot: Path) -> bool:
    """True where the snapshot was copied from the registry as it is now."""
    if not snapshot.exists():
        return False
    one, other, wal = registry.stat(), snapshot.stat(), wal_path(registry)
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns) and not (
        wal.exists() and wal.stat().st_size
    )
