"""DICOM files to series: which files are images, and which belong together.

Only headers are read, and of each image little more than its place is kept. What identifies a person (names,
numbers, dates, UIDs) is used to group and order and stays in memory, out of every ``repr``, message and
output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from la_outcomes.errors import InputError
from la_outcomes.imaging.dicom_files import open_archive
from la_outcomes.imaging.dicom_frames import Slice, fill_from_groups, is_multi_frame, slices_of
from la_outcomes.imaging.dicom_header import number, read_header, text_of, whole_number

_BURNT_IN = re.compile(r"^YES$", re.IGNORECASE)
_SCREEN_SAVES = ("WSD", "DV", "DF", "SD", "SI", "DRW")


@dataclass(frozen=True)
class Series:
    """A DICOM series: its images and what its first header says. Identifiers never leave memory."""

    uid: str = field(repr=False)
    patient_key: str = field(repr=False)
    study_key: str = field(repr=False)
    order_key: str = field(repr=False)
    birth_dates: frozenset[str] = field(repr=False)
    header: Dataset = field(repr=False)
    slices: tuple[Slice, ...] = field(repr=False)
    n_images: int
    n_duplicates: int
    n_without_geometry: int
    n_localisers: int
    largest_side: int
    has_burnt_in_text: bool
    n_bytes: int
    shared_number: bool = False

    @property
    def modality(self) -> str:
        """DICOM modality, for instance "CT" or "MR"."""
        return self.text("Modality").upper()

    def text(self, name: str) -> str:
        """A header's text, "" where absent; several values are joined by a backslash as in DICOM."""
        return text_of(self.header, name)

    def number(self, name: str) -> float | None:
        """A header's number; None where absent or no finite number."""
        return number(self.header, name)


@dataclass(frozen=True)
class Found:
    """What was found: series in a fixed order, how many files were no DICOM images, and notes."""

    series: tuple[Series, ...]
    n_other_files: int
    notes: tuple[str, ...] = ()


@dataclass
class _Gathered:
    """A series while its files are read: images by their identifier, the first header, sums."""

    header: Dataset
    images: dict[str, tuple[int, list[Slice], int, bool]] = field(default_factory=dict)
    n_files: int = 0
    largest_side: int = 0
    has_burnt_in_text: bool = False
    birth_dates: set[str] = field(default_factory=set)

    def add(self, path: Path, header: Dataset) -> None:
        """Take one file in; of two with one identifier the larger stays, which is whole if one is."""
        self.n_files += 1
        if _is_localiser(self.header) and not _is_localiser(header):
            self.header = header
        self.largest_side = max(
            self.largest_side, whole_number(header, "Rows"), whole_number(header, "Columns")
        )
        self.has_burnt_in_text = self.has_burnt_in_text or _burnt_in(header)
        if birth := text_of(header, "PatientBirthDate"):
            self.birth_dates.add(birth)
        identifier = text_of(header, "SOPInstanceUID") or str(path)
        size = path.stat().st_size
        if identifier not in self.images or size > self.images[identifier][0]:
            located, without = slices_of(path, header)
            self.images[identifier] = (size, located, without, _is_localiser(header))


def find_series(archive: str | Path) -> Found:
    """All series of a folder, a zip or a DICOMDIR, for a look; zips are gone when it returns.

    Raises as ``open_archive`` and ``series_of``.
    """
    with open_archive(archive) as opened:
        return series_of(opened.files, where=archive, notes=opened.notes)


def series_of(files: Iterable[Path], *, where: str | Path, notes: tuple[str, ...] = ()) -> Found:
    """Read the headers of all files (names and extensions play no part) and group them.

    A file met twice (same SOP instance) counts once. Images that say they are localisers are taken out of a
    series that has others. Raises ``InputError`` where there is no DICOM image.
    """
    groups: dict[str, _Gathered] = {}
    others = 0
    for path in files:
        header = read_header(path)
        if header is None:
            others += 1
            continue
        uid = text_of(header, "SeriesInstanceUID")
        groups.setdefault(uid, _Gathered(header)).add(path, header)
    if not groups:
        raise InputError(f"no DICOM images among {others} files", where=where)
    series = [_series(uid, gathered) for uid, gathered in groups.items()]
    ordered = sorted(_with_shared_numbers(series), key=lambda s: (s.order_key, s.uid))
    return Found(tuple(ordered), others, notes)


def _series(uid: str, gathered: _Gathered) -> Series:
    images = list(gathered.images.values())
    localisers = sum(one[3] for one in images)
    if localisers == len(images):
        localisers = 0
    kept = [one for one in images if not (localisers and one[3])]
    header = fill_from_groups(gathered.header) if is_multi_frame(gathered.header) else gathered.header
    study = text_of(header, "StudyInstanceUID") or uid
    return Series(
        uid=uid,
        patient_key=text_of(header, "PatientID") or f"no number, study {study}",
        study_key=study,
        order_key=_order_key(header),
        birth_dates=frozenset(gathered.birth_dates),
        header=header,
        slices=tuple(one for _, located, _, _ in kept for one in located),
        n_images=sum(len(located) + without for _, located, without, _ in images),
        n_duplicates=gathered.n_files - len(images),
        n_without_geometry=sum(without for _, _, without, _ in kept),
        n_localisers=localisers,
        largest_side=gathered.largest_side,
        has_burnt_in_text=gathered.has_burnt_in_text,
        n_bytes=sum(size for size, *_ in images),
    )


def _with_shared_numbers(series: list[Series]) -> list[Series]:
    """Mark series whose patient number comes with more than one date of birth."""
    from dataclasses import replace

    dates: dict[str, set[str]] = {}
    for one in series:
        dates.setdefault(one.patient_key, set()).update(one.birth_dates)
    return [replace(one, shared_number=len(dates[one.patient_key]) > 1) for one in series]


def _burnt_in(header: Dataset) -> bool:
    """What the header says of text in the pixels, or a picture of a screen, which often has some."""
    if _BURNT_IN.match(text_of(header, "BurnedInAnnotation")):
        return True
    return text_of(header, "ConversionType").upper() in _SCREEN_SAVES


def _is_localiser(header: Dataset) -> bool:
    return "LOCALIZER" in text_of(header, "ImageType").upper().split("\\")


def _order_key(header: Dataset) -> str:
    names = ("StudyDate", "StudyTime", "SeriesDate", "SeriesTime")
    return " ".join(text_of(header, name) for name in names)
