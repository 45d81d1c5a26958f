"""One case: what the registry knows of its scan, and the files that show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from la_outcomes.errors import InputError
from la_outcomes.registry.study_files import StudyFiles
from la_outcomes.review.catalogue import Catalogue, Row
from la_outcomes.review.figures import FIGURES
from la_outcomes.review.images import (
    Cache,
    CaseFiles,
    Head,
    Shown,
    load_head,
    show_ct,
    show_flair,
    show_masks,
)

_MASK_OF = {"la_measurement": "prediction", "pseudo_label": "label"}


@dataclass(frozen=True)
class Gauge:
    """A quality figure on the page: value, limits, and badness as in ``review.figures``."""

    name: str
    value: float
    low: float
    high: float
    badness: float


@dataclass
class Study:
    """Catalogue and files together; ``references`` maps scan ids to masks drawn by a person."""

    catalogue: Catalogue
    files: StudyFiles
    references: Mapping[str, Path] = field(default_factory=dict)
    cache: Cache = field(default_factory=Cache)

    def related(self, item: Row) -> list[Row]:
        """Items on the same CT, this one first, then the latest of each kind."""
        found = self.catalogue.ask(
            "SELECT * FROM item WHERE scan_id = $scan ORDER BY ref <> $ref, kind, ref",
            {"scan": item["scan_id"], "ref": item["ref"]},
        )
        return found

    def scan(self, scan_id: str) -> Row | None:
        """The scan's row, with its patient's cohort and centre."""
        found = self.catalogue.ask("FROM scan WHERE scan_id = $scan", {"scan": scan_id})
        return found[0] if found else None

    def other_scans(self, item: Row) -> list[Row]:
        """The patient's other scans in order of time, each with the reference of a case on it, if any."""
        return self.catalogue.ask(
            "SELECT s.scan_id, s.modality, s.days_from_onset, s.manufacturer, s.slice_thickness_mm,"
            " (SELECT arg_min(i.ref, (i.kind <> $kind, i.ref)) FROM item i"
            " WHERE i.scan_id = s.scan_id) AS ref"
            " FROM scan s WHERE s.patient_id = $patient AND s.scan_id <> $scan"
            " ORDER BY s.days_from_onset NULLS LAST, s.scan_id",
            {"patient": item["patient_id"], "scan": item["scan_id"], "kind": item["kind"]},
        )

    def case_files(self, item: Row) -> CaseFiles:
        """Where the case's images are; ``InputError`` where the CT or the mask in question cannot be used.

        What only stands beside it (FLAIR, another mask) is left out where it cannot be found.
        """
        ct = self._scan_file(item["scan_id"])
        masks: dict[str, Path] = {}
        pair: tuple[Path | None, Path | None] = (None, None)
        for one in self.related(item):
            name = _MASK_OF[one["kind"]]
            if one["mask_path"] and name not in masks:
                mask = self._mask(one, name, is_needed=one["ref"] == item["ref"])
                masks |= {name: mask} if mask else {}
            if one["transform_path"] and pair[0] is None:
                pair = self._pair(one)
        if item["scan_id"] in self.references:
            masks["reference"] = self.files.reference(self.references[item["scan_id"]], "reference mask")
        return CaseFiles(ct, pair[0], pair[1], masks)

    def plain_files(self, scan_id: str) -> CaseFiles:
        """The scan alone, for grading: no mask and no FLAIR."""
        return CaseFiles(self._scan_file(scan_id), None, None, {})

    def head(self, files: CaseFiles) -> Head:
        """The CT and its masks, from memory where they were shown lately."""
        head: Head = self.cache.get(("head", _key(files)), lambda: load_head(files))
        return head

    def shown(self, files: CaseFiles, part: str) -> Shown:
        """``ct``, ``flair`` or ``masks`` of a case."""
        makers = {
            "ct": lambda: show_ct(self.head(files)),
            "masks": lambda: show_masks(self.head(files)),
            "flair": lambda: show_flair(self.head(files), files),
        }
        found: Shown = self.cache.get((part, _key(files)), makers[part])
        return found

    def _scan_file(self, scan_id: str) -> Path:
        row = self.scan(scan_id)
        if row is None or not row["path"]:
            raise InputError("the registry knows no file of this scan")
        return self.files.scan(row["path"], row["sha256"], str(row["modality"]))

    def _mask(self, one: Row, name: str, *, is_needed: bool) -> Path | None:
        try:
            return self.files.written(one["mask_path"], one["mask_sha256"], name)
        except InputError:
            if is_needed:
                raise
            return None

    def _pair(self, one: Row) -> tuple[Path | None, Path | None]:
        try:
            flair = self._scan_file(one["flair_scan_id"])
            return flair, self.files.written(one["transform_path"], None, "transform")
        except InputError:
            return None, None


def _key(files: CaseFiles) -> tuple[Any, ...]:
    """Changes with any file of the case."""
    paths = [files.ct, files.flair, files.transform, *files.masks.values()]
    return tuple((path, path.stat().st_mtime_ns) for path in paths if path is not None)


def gauges(item: Row) -> list[Gauge]:
    """The case's quality figures that are known, in the order of ``FIGURES``."""
    return [
        Gauge(one.name, float(item[one.column]), *one.limits, float(one.badness(np.array(item[one.column]))))
        for one in FIGURES[item["kind"]]
        if item[one.column] is not None and not np.isnan(item[one.column])
    ]
