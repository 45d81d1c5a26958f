"""What reviewers say, as result shards: written and on the disk before the page is told so.

A decision, a grading and taking either back are each a new shard in the registry's folder of imports, which
``la-outcomes ingest`` reads with every ingest. Nothing is ever overwritten.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from la_outcomes.provenance import Run
from la_outcomes.registry.files import imports_folder
from la_outcomes.review.reasons import WITHDRAWN
from la_outcomes.shards import Rows, sha256_json, write_shard

REVIEW_KIND = "review"
GRADING_KIND = "grading"
Row = dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """Who looks: pseudonym, which pass, and whether as the adjudicator whose decisions go first."""

    name: str
    pass_no: int = 1
    is_adjudicator: bool = False


@dataclass
class Recorder:
    """Writes shards for one registry; times of one process never repeat or go back."""

    registry: Path
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = imports_folder(self.registry)
        self._run = Run("review", self.parameters)
        self._lock = threading.Lock()
        self._last = datetime(2000, 1, 1)

    def decide(self, reader: Reader, targets: list[tuple[str, str]], said: Row) -> list[Row]:
        """Write one shard with a decision on each (kind, id); ``said``: decision, reason, comment."""
        base = self._base(reader)
        rows = [{**base, "target_kind": kind, "target_id": name, **said} for kind, name in targets]
        self._write(REVIEW_KIND, targets[0][1], {"qc_reviews": rows, "runs": [self._run.row()]})
        return rows

    def take_back(self, reader: Reader, rows: list[Row]) -> list[Row]:
        """Write one shard that takes these decisions of the reader back."""
        base = self._base(reader)
        undone = [
            {
                **base,
                "target_kind": row["target_kind"],
                "target_id": row["target_id"],
                "decision": WITHDRAWN,
                "undoes": _text(row["reviewed_at"]),
            }
            for row in rows
        ]
        self._write(REVIEW_KIND, undone[0]["target_id"], {"qc_reviews": undone, "runs": [self._run.row()]})
        return undone

    def grade(self, reader: Reader, scan_id: str, grades: Row, *, is_correction: bool) -> Row:
        """Write one shard with a grading; grades of None take an earlier one back.

        The registry keeps one row a scan, rater and pass, that of the latest run: a correction is a run of
        its own.
        """
        moment = self._now()
        run = Run("review", self.parameters, started_at=moment) if is_correction else self._run
        row = {
            "scan_id": scan_id,
            "rater": reader.name,
            "pass_no": reader.pass_no,
            **grades,
            "rated_at": _text(moment),
            "run_id": run.run_id,
        }
        started = {"started_at": _text(run.started_at)}
        self._write(GRADING_KIND, scan_id, {"fazekas_ratings": [row], "runs": [run.row() | started]})
        return row

    def _base(self, reader: Reader) -> Row:
        return {
            "reviewer": reader.name,
            "pass_no": reader.pass_no,
            "is_adjudicator": reader.is_adjudicator,
            "reviewed_at": _text(self._now()),
        }

    def _now(self) -> datetime:
        with self._lock:
            now = datetime.now(UTC).replace(tzinfo=None)
            self._last = max(now, self._last + timedelta(microseconds=1))
            return self._last

    def _write(self, kind: str, case_id: str, rows: Rows) -> None:
        path = write_shard(
            self.folder, kind=kind, case_id=case_id, key=sha256_json(rows), status="done", rows=rows
        )
        _flush_folder(path.parent)


def _text(moment: datetime | str) -> str:
    return moment if isinstance(moment, str) else moment.isoformat(timespec="microseconds")


def _flush_folder(folder: Path) -> None:
    """The new name reaches the disk too, so that a power cut loses nothing that was answered for."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
