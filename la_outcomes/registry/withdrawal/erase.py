"""Erase a patient who withdrew; it holds through later ingests, rebuilds and restores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from la_outcomes.errors import InputError
from la_outcomes.registry.database import open_for_writing, open_read_only
from la_outcomes.registry.files import imports_folder
from la_outcomes.registry.ingest import know_shards, take_in_files
from la_outcomes.registry.shard_files import find_shards
from la_outcomes.registry.withdrawal.copying import copy_without, delete_copies
from la_outcomes.registry.withdrawal.leftovers import leftovers, mentions_in_registry
from la_outcomes.registry.withdrawal.scrub import Scrubbed, scans_in_shards, scrub_exports, scrub_shards
from la_outcomes.registry.withdrawal.tombstones import (
    erased_in,
    known_tombstones,
    tombstones_beside,
    write_tombstones,
)


@dataclass
class ErasureReport:
    """What an erasure removed, or would remove.

    ``rows`` removed by registry table; ``files`` what happened to shards, pictures and exports; ``left``
    files that still name the patient and are not this package's to change; ``mentions`` rows of the registry
    whose text does.
    """

    rows: dict[str, int] = field(default_factory=dict)
    files: Scrubbed = field(default_factory=Scrubbed)
    left: list[Path] = field(default_factory=list)
    mentions: dict[str, int] = field(default_factory=dict)


def plan_erasure(patient_id: str, registry: str | Path, folders: Sequence[Path]) -> ErasureReport:
    """What `erase` would remove; nothing is written. Raises as `erase`."""
    registry, folders = Path(registry), [Path(folder) for folder in folders]
    ids = _identifiers(patient_id, registry, folders)
    report = ErasureReport(files=scrub_shards([*folders, imports_folder(registry)], ids, dry_run=True))
    report.files.exports = scrub_exports(folders, ids, dry_run=True)
    return report


def erase(patient_id: str, registry: str | Path, folders: Sequence[Path]) -> ErasureReport:
    """Remove a patient from the registry, and from imports, shards, pictures and exports in the folders.

    A salted hash stays, by which later ingests, rebuilds and restores leave the patient out, so that the
    number of erased patients is all that is told. Killed half way, it is run again.

    Raises
    ------
    InputError
        The registry and the folders know no such patient, or a shard is damaged.
    RegistryLockedError
        Another process holds the registry.
    """
    registry, folders = Path(registry), [Path(folder) for folder in folders]
    ids = _identifiers(patient_id, registry, folders)
    report, places = ErasureReport(), [*folders, imports_folder(registry)]
    with open_for_writing(registry) as connection:
        planned = scrub_shards(places, ids, dry_run=True)
        names = ids.union(planned.gone)
        if new := names - known_tombstones(connection).among(names):
            write_tombstones(registry, patient_id, new)
        report.rows = copy_without(connection, registry, ids, planned.gone)
        delete_copies(registry)
        report.files = scrub_shards(places, ids)
    with open_for_writing(registry) as connection:
        take_in_files(connection, find_shards([imports_folder(registry)]), only_kind="erasure")
        know_shards(connection, report.files.rewritten)
    report.files.exports = scrub_exports(folders, ids)
    report.left = leftovers(folders, ids)
    report.mentions = mentions_in_registry(registry, ids)
    return report


def enforce(registry: str | Path) -> set[str]:
    """Take erased patients out of a registry and its imports that came back from a backup; returns them."""
    registry = Path(registry)
    tombstones = tombstones_beside(registry)
    if not tombstones:
        return set()
    with open_for_writing(registry) as connection:
        take_in_files(connection, find_shards([imports_folder(registry)]), only_kind="erasure")
        ids = frozenset(erased_in(connection))
        if ids:
            planned = scrub_shards([imports_folder(registry)], ids, dry_run=True)
            copy_without(connection, registry, ids, planned.gone)
            done = scrub_shards([imports_folder(registry)], ids)
    if ids:
        with open_for_writing(registry) as connection:
            know_shards(connection, done.rewritten)
    return set(ids)


def _identifiers(patient_id: str, registry: Path, folders: Sequence[Path]) -> frozenset[str]:
    """The patient's pseudonym and its scans', as registry and shards know them."""
    for folder in folders:
        if not folder.is_dir():
            raise InputError("there is no such folder", where=folder)
    with open_read_only(registry) as connection:
        known = connection.execute("SELECT 1 FROM patients WHERE patient_id = ?", [patient_id]).fetchall()
        rows = connection.execute("SELECT scan_id FROM scans WHERE patient_id = ?", [patient_id]).fetchall()
        erased = known_tombstones(connection).among([patient_id])
    scans = {row[0] for row in rows} | scans_in_shards([*folders, imports_folder(registry)], patient_id)
    if not (known or scans or erased):
        raise InputError("neither the registry nor these folders know this patient", where=patient_id)
    return frozenset({patient_id, *scans})
