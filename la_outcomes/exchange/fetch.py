"""Studies from a PACS by a list of their ids: C-FIND says what there is, C-GET brings it (PS3.4 C).

Files are named by keyed hashes and lie in one folder a study; their headers still name patients. A ledger
beside them says which studies are complete, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.exchange.pacs import PENDING, SUCCESS, Peer, associated, require_pynetdicom, status_of
from la_outcomes.execution import Outcome, map_cases, start_work
from la_outcomes.imaging.pseudonyms import Pseudonyms
from la_outcomes.shards import atomic_path, write_text_atomic

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_ID_COLUMNS = ("StudyInstanceUID", "AccessionNumber")
NAME_LENGTH = 24
_AGAIN = "run the same command again"


@dataclass(frozen=True)
class Asked:
    """A study to fetch: by its UID or its accession number, under a pseudonym."""

    case_id: str
    attribute: str = field(repr=False)
    value: str = field(repr=False)


@dataclass(frozen=True)
class Limits:
    """What is fetched and how gently: modalities, pause between studies (s), megabytes a second (0: any)."""

    modalities: tuple[str, ...] = ("CT", "MR")
    pause_s: float = 1.0
    mb_per_s: float = 0.0


def read_list(path: Path, pseudonyms: Pseudonyms) -> list[Asked]:
    """Studies of a CSV with a column StudyInstanceUID or AccessionNumber (the first wins), each once.

    Raises ``InputError`` for another table, empty cells, UIDs that are none, and values with wildcards,
    which would ask for other people's studies. No error repeats a value.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            table = csv.DictReader(handle)
            column = next((name for name in _ID_COLUMNS if name in (table.fieldnames or [])), None)
            values = [] if column is None else [(row[column] or "").strip() for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("the list of studies cannot be read as CSV", where=path) from error
    if column is None or not values:
        raise InputError(f"the list needs rows and a column {' or '.join(_ID_COLUMNS)}", where=path)
    for number, value in enumerate(values, start=2):
        wrong = not value or len(value) > 64 or any(sign in value for sign in "*?\\")
        if wrong or (column == _ID_COLUMNS[0] and not _UID.fullmatch(value)):
            raise InputError(f"line {number} of the list holds no {column}", where=path)
    return [Asked("study_" + pseudonyms.of("study", value), column, value) for value in dict.fromkeys(values)]


def fetch(
    asked: Iterable[Asked], peer: Peer, out: Path, pseudonyms: Pseudonyms, limits: Limits
) -> list[Outcome]:
    """Bring the studies, one after the other; those that the ledger calls complete are not asked for.

    A study the PACS does not know is a failed outcome and does not stop the others; a PACS that cannot be
    reached is asked again by the next run. Raises ``UsageError`` where pynetdicom is not installed.
    """
    require_pynetdicom()
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    worker = _Worker(peer, out, pseudonyms, limits)
    return map_cases(worker.fetch_one, list(asked), label="studies from the PACS")


@dataclass
class _Worker:
    peer: Peer
    out: Path
    pseudonyms: Pseudonyms
    limits: Limits
    n_fetched: int = 0

    def fetch_one(self, study: Asked) -> tuple[str, str | None]:
        """Find and get one study; the mark that it is complete comes last."""
        folder = self.out / study.case_id
        mark = folder / "complete.json"
        if mark.is_file():
            return "already_done", None
        start_work()
        if self.n_fetched:
            time.sleep(self.limits.pause_s)
        self.n_fetched += 1
        found = self._find(study)
        wanted = [one for one in found if str(one.get("Modality", "")) in self.limits.modalities]
        if not wanted:
            kinds = " or ".join(self.limits.modalities)
            raise InputError(
                f"the PACS has no {kinds} series of this study" if found else "the PACS has no such study"
            )
        received = self._get(wanted, folder)
        write_text_atomic(mark, json.dumps({"series": len(wanted), "images": received}) + "\n")
        return "done", None

    def _find(self, study: Asked) -> list[Dataset]:
        """The study's series; an accession number may stand for several studies."""
        from pynetdicom import AE
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Model

        entity = AE(ae_title=self.peer.calling)
        entity.add_requested_context(Model)
        with associated(self.peer, entity) as association:
            top = _query("STUDY", **{"StudyInstanceUID": "", study.attribute: study.value})
            uids = [
                str(one.StudyInstanceUID) for one in _answers(association.send_c_find(top, Model), self.peer)
            ]
            series = []
            for uid in uids:
                below = _query("SERIES", StudyInstanceUID=uid, SeriesInstanceUID="", Modality="")
                below.NumberOfSeriesRelatedInstances = ""
                series += _answers(association.send_c_find(below, Model), self.peer)
        return series

    def _get(self, series: list[Dataset], folder: Path) -> int:
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Model

        entity = AE(ae_title=self.peer.calling)
        entity.add_requested_context(Model)
        roles = _storage_roles(entity)
        store = _Store(folder, self.pseudonyms, self.limits.mb_per_s)
        handlers = [(evt.EVT_C_STORE, store.handle)]
        with associated(self.peer, entity, ext_neg=roles, evt_handlers=handlers) as association:
            for one in series:
                before = len(store.names)
                query = _query(
                    "SERIES", StudyInstanceUID=one.StudyInstanceUID, SeriesInstanceUID=one.SeriesInstanceUID
                )
                for status, _ in association.send_c_get(query, Model):
                    _check(status, self.peer)
                _check_count(one, len(store.names) - before)
        return len(store.names)


def _query(level: str, **attributes: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for name, value in attributes.items():
        setattr(query, name, value)
    return query


def _answers(responses: Any, peer: Peer) -> list[Dataset]:
    found = []
    for status, identifier in responses:
        _check(status, peer)
        if identifier is not None:
            found.append(identifier)
    return found


def _check(status: Any, peer: Peer) -> None:
    code = status_of(status)
    if code is None:
        raise ResourceError(
            "the PACS broke the connection off", where=peer.where, hint="run the same command again"
        )
    if code != SUCCESS and code not in PENDING:
        raise ResourceError(f"the PACS answered with status 0x{code:04X}", where=peer.where)


def _check_count(series: Dataset, received: int) -> None:
    """The PACS's own count, where it gives one, decides whether a series is complete."""
    promised = str(series.get("NumberOfSeriesRelatedInstances") or "")
    if promised.isdigit() and received < int(promised):
        raise ResourceError(
            f"the PACS sent {received} of {promised} images", hint="run the same command again"
        )


def _storage_roles(entity: Any) -> list[Any]:
    """Ask to be the one who stores: CT, MR, their enhanced kinds, SEG and SR, as they are stored there."""
    from pynetdicom import build_role
    from pynetdicom.sop_class import (
        Comprehensive3DSRStorage,
        CTImageStorage,
        EnhancedCTImageStorage,
        EnhancedMRImageStorage,
        LegacyConvertedEnhancedCTImageStorage,
        MRImageStorage,
        SecondaryCaptureImageStorage,
        SegmentationStorage,
    )

    kinds = (
        CTImageStorage, MRImageStorage, EnhancedCTImageStorage, EnhancedMRImageStorage, SegmentationStorage,
        Comprehensive3DSRStorage, LegacyConvertedEnhancedCTImageStorage, SecondaryCaptureImageStorage,
    )  # fmt: skip
    for kind in kinds:
        for syntax in SYNTAXES:
            entity.add_requested_context(kind, syntax)
    return [build_role(kind, scp_role=True) for kind in kinds]


# one context a syntax: the sender may then use whichever the image is stored in
SYNTAXES = (
    ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"], "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5",
)  # fmt: skip


class _Store:
    """Writes images as they come, at no more than so many megabytes a second."""

    def __init__(self, folder: Path, pseudonyms: Pseudonyms, mb_per_s: float) -> None:
        self.folder, self.pseudonyms, self.mb_per_s = folder, pseudonyms, mb_per_s
        self.names: set[str] = set()
        self._started, self._bytes = time.monotonic(), 0

    def handle(self, event: Any) -> int:
        """Answer one C-STORE: 0x0000, or 0xA700 (out of resources) where it cannot be written."""
        try:
            content = event.encoded_dataset()
            name = self.pseudonyms.of("image", str(event.request.AffectedSOPInstanceUID), NAME_LENGTH)
            with atomic_path(self.folder / f"{name}.dcm") as temporary:
                temporary.write_bytes(content)
        except (OSError, ResourceError):
            return 0xA700
        self.names.add(name)
        self._bytes += len(content)
        if self.mb_per_s > 0:
            due = self._bytes / (self.mb_per_s * 1e6) - (time.monotonic() - self._started)
            time.sleep(max(due, 0.0))
        return SUCCESS
