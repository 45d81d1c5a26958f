"""SEG and SR files to a PACS by C-STORE (PS3.4 B), each once.

What arrived is noted by the file's hash in ``sent.csv`` beside the files, for each PACS, so that the same
command sends only what is new.
"""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from pathlib import Path

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.exchange.pacs import SUCCESS, Peer, associated, require_pynetdicom, status_of
from la_outcomes.execution import Outcome, map_cases, start_work
from la_outcomes.imaging.dicom_header import read_dicom, text_of
from la_outcomes.shards import sha256_file, write_text_atomic

LEDGER = "sent.csv"
_COLUMNS = ("sha256", "called", "host", "port")
OURS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34")
"""Segmentation Storage and Comprehensive 3D SR Storage: what ``export --format dicom`` writes."""


@dataclass(frozen=True)
class Parcel:
    """One file to send."""

    path: Path
    sha256: str

    @property
    def case_id(self) -> str:
        """The file's name, which is made of pseudonyms."""
        return self.path.stem


def parcels(folder: Path) -> list[Parcel]:
    """DICOM files of a folder. Raises ``InputError`` where it holds none."""
    if not folder.is_dir():
        raise InputError("there is no such folder", where=folder)
    found = [Parcel(path, sha256_file(path)) for path in sorted(folder.glob("*.dcm"))]
    if not found:
        raise InputError(
            "no DICOM files to send", where=folder, hint="la-outcomes export --format dicom first"
        )
    return found


def send(files: list[Parcel], peer: Peer, folder: Path, *, pause_s: float = 0.0) -> list[Outcome]:
    """Send each file that this PACS has not yet taken; only SEG and SR objects are sent.

    A file the PACS refuses is a failed outcome with its status and does not stop the others. Raises
    ``UsageError`` where pynetdicom is not installed.
    """
    require_pynetdicom()
    sender = _Sender(peer, folder / LEDGER, pause_s)
    return map_cases(sender.send_one, files, label="files to the PACS")


class _Sender:
    def __init__(self, peer: Peer, ledger: Path, pause_s: float) -> None:
        self.peer, self.ledger, self.pause_s = peer, ledger, pause_s
        self.sent = _read(ledger)

    def send_one(self, parcel: Parcel) -> tuple[str, str | None]:
        """Send one file and note it."""
        row = (parcel.sha256, self.peer.called, self.peer.host, str(self.peer.port))
        if row in self.sent:
            return "already_done", None
        start_work()
        self._store(parcel.path)
        self.sent.append(row)
        _write(self.ledger, self.sent)
        time.sleep(self.pause_s)
        return "done", None

    def _store(self, path: Path) -> None:
        from pynetdicom import AE

        dataset = read_dicom(path)
        kind = "" if dataset is None else text_of(dataset, "SOPClassUID")
        if dataset is None or kind not in OURS:
            raise InputError("neither a DICOM segmentation nor a report of measurements")
        entity = AE(ae_title=self.peer.calling)
        entity.add_requested_context(kind, dataset.file_meta.TransferSyntaxUID)
        with associated(self.peer, entity) as association:
            if not association.accepted_contexts:
                raise InputError("the PACS takes no objects of this kind", where=self.peer.where)
            code = status_of(association.send_c_store(dataset))
        if code is None:
            raise ResourceError("the PACS broke the connection off", where=self.peer.where)
        if code != SUCCESS and not 0xB000 <= code <= 0xBFFF:
            raise ResourceError(f"the PACS refused the object: status 0x{code:04X}", where=self.peer.where)


def _read(ledger: Path) -> list[tuple[str, ...]]:
    if not ledger.is_file():
        return []
    with open(ledger, encoding="utf-8", newline="") as handle:
        return [tuple(str(row.get(name)) for name in _COLUMNS) for row in csv.DictReader(handle)]


def _write(ledger: Path, rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([_COLUMNS, *rows])
    write_text_atomic(ledger, text.getvalue())
