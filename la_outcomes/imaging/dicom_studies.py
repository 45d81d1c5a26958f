"""Studies of an archive under pseudonyms: the unit that is converted, resumed and recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from la_outcomes.errors import UsageError
from la_outcomes.imaging.dicom_choice import ScanKind, kind_of
from la_outcomes.imaging.dicom_series import Found, Series
from la_outcomes.imaging.pseudonyms import Pseudonyms

SCAN_NAME_LENGTH = 8
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Study:
    """All series of one examination of one patient, under pseudonyms.

    ``series_hashes`` are the series' keyed hashes and ``scan_names`` the last part of the names of scans made
    of them, by the series' identifiers, which stay in memory.
    """

    case_id: str
    patient_id: str
    series: tuple[Series, ...] = field(repr=False)
    series_hashes: Mapping[str, str] = field(repr=False)
    scan_names: Mapping[str, str] = field(repr=False)

    def scan_id(self, series: Series) -> str | None:
        """Name of the scan this series is or would be; None where it is neither CT nor FLAIR."""
        kind: ScanKind | None = kind_of(series)
        return None if kind is None else f"{self.patient_id}_{kind.lower()}_{self.scan_names[series.uid]}"

    def hash_of(self, series: Series) -> str:
        """Keyed hash of a series' identifier."""
        return self.series_hashes[series.uid]


def studies_of(
    found: Found, pseudonyms: Pseudonyms, *, patient_id: str | None = None, prefix: str = "p"
) -> list[Study]:
    """Group series by patient and study under keyed pseudonyms, in the order of the studies.

    A scan is named after its patient, its kind and its series, so it has the same name from whatever folder
    it comes. Raises ``UsageError`` where ``patient_id`` is given and there are several patients, or where a
    pseudonym cannot name a file.
    """
    for given in (patient_id, prefix):
        if given is not None and not _SAFE_ID.fullmatch(given):
            raise UsageError("a pseudonym holds letters, digits, dot, dash and underscore only")
    groups: dict[tuple[str, str], list[Series]] = {}
    for series in found.series:
        groups.setdefault((series.patient_key, series.study_key), []).append(series)
    patients = {patient for patient, _ in groups}
    if patient_id is not None and len(patients) > 1:
        raise UsageError(
            f"the folder holds {len(patients)} patients, one pseudonym was given",
            hint="leave --patient-id out, or give one patient's folder",
        )
    return [
        _study(patient_id or prefix + pseudonyms.of("patient", patient), study, members, pseudonyms)
        for (patient, study), members in groups.items()
    ]


def _study(patient_id: str, study: str, members: list[Series], pseudonyms: Pseudonyms) -> Study:
    return Study(
        case_id=f"{patient_id}_{pseudonyms.of('study', study, SCAN_NAME_LENGTH)}",
        patient_id=patient_id,
        series=tuple(members),
        series_hashes={one.uid: pseudonyms.hash_of("series", one.uid) for one in members},
        scan_names={one.uid: pseudonyms.of("series", one.uid, SCAN_NAME_LENGTH) for one in members},
    )
