"""A registry's scans and masks as a BIDS data set: CT and FLAIR raw, LA masks and labels as derivatives.

BIDS has no CT yet; CTs lie where its proposal for CT (BEP 24) puts them, ``sub-X/ct/sub-X_ct.nii.gz``, and
``.bidsignore`` keeps validators from them. Images are written anew, so that nothing of a source's text
fields is passed on.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes import __version__
from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.imaging.bids_names import bids_label
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.registry.database import open_read_only
from la_outcomes.registry.study_files import StudyFiles
from la_outcomes.shards import write_text_atomic

BIDS_VERSION = "1.9.0"
_SCANS = """
SELECT s.*, p.sex, p.cohort, p.site, p.is_simulated
FROM scans s LEFT JOIN patients p USING (patient_id) WHERE s.path IS NOT NULL
ORDER BY s.patient_id, s.modality, s.days_from_onset NULLS LAST, s.scan_id
"""
_MASKS = """
SELECT v.scan_id, v.mask_path AS path, v.mask_sha256 AS sha256, 'LA' AS what, v.la_volume_ml AS volume_ml,
       m.name AS made_by, v.model_sha256, v.parameters_sha256
FROM scan_la_volume v JOIN models m USING (model_sha256)
WHERE v.mask_path IS NOT NULL AND v.la_volume_ml IS NOT NULL
UNION ALL BY NAME
SELECT ct_scan_id AS scan_id, label_path AS path, label_sha256 AS sha256, 'pseudolabel' AS what,
       label_volume_ml AS volume_ml, 'la_outcomes label' AS made_by, parameters_sha256
FROM pseudo_labels WHERE status = 'accepted' AND label_path IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY ct_scan_id ORDER BY parameters_sha256) = 1
"""
_SIDECAR = {
    "manufacturer": "Manufacturer", "model_name": "ManufacturersModelName", "kernel": "ConvolutionKernel",
    "kvp": "KVP", "slice_thickness_mm": "SliceThickness", "gantry_tilt_deg": "GantryDetectorTilt",
    "days_from_onset": "DaysFromOnset", "scan_id": "ScanId", "is_simulated": "IsSimulated",
}  # fmt: skip
_PARTICIPANT = ("sex", "cohort", "site", "is_simulated")


@dataclass
class Written:
    """How much was written, and what was left out and why."""

    n_patients: int = 0
    n_scans: int = 0
    n_derivatives: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


def export_bids(registry: str | Path, folders: Iterable[Path], out: Path) -> Written:
    """Write the data set below ``out``, which must be new or empty.

    Scans and masks are looked for in ``folders`` as the review page does, and must be unchanged. Raises
    ``InputError`` where there is no scan in the registry, where nothing of it is found, where ``out`` holds
    files, or where two pseudonyms give one BIDS label.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError("the folder for the BIDS data set is not empty", where=out, hint="give a new one")
    with open_read_only(registry) as connection:
        scans, masks = (connection.sql(sql).to_df().to_dict("records") for sql in (_SCANS, _MASKS))
    if not scans:
        raise InputError("the registry has no scan with a file", where=registry)
    _check_labels(scans)
    files, written = StudyFiles(folders), Written()
    names = _names(scans)
    kept = [scan for scan in scans if _write_scan(scan, names[scan["scan_id"]], files, out, written)]
    if not kept:
        raise InputError("none of the registry's scans was found", hint="add their folder: --folder")
    there = {scan["scan_id"] for scan in kept}
    for mask in masks:
        if mask["scan_id"] in there:
            _write_mask(mask, names[mask["scan_id"]], files, out, written)
    _describe(kept, out, written)
    return written


def _check_labels(scans: list[dict[str, Any]]) -> None:
    labels = Counter(bids_label(patient) for patient in {scan["patient_id"] for scan in scans})
    doubled = [label for label, count in labels.items() if count > 1 or not label]
    if doubled:
        raise InputError(f"pseudonyms that differ in signs alone give one BIDS label: {', '.join(doubled)}")


def _names(scans: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """(folder below the data set, name without its suffix) of each scan; several of a kind are numbered."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for scan in scans:
        groups[scan["patient_id"], scan["modality"]].append(scan["scan_id"])
    names = {}
    for (patient, modality), members in groups.items():
        subject = f"sub-{bids_label(patient)}"
        for number, scan_id in enumerate(members, start=1):
            run = f"_run-{number}" if len(members) > 1 else ""
            names[scan_id] = (f"{subject}/{'ct' if modality == 'CT' else 'anat'}", subject + run)
    return names


def _suffix(modality: str) -> str:
    return "ct" if modality == "CT" else "FLAIR"


def _write_scan(
    scan: dict[str, Any], name: tuple[str, str], files: StudyFiles, out: Path, written: Written
) -> bool:
    try:
        image = read_image(files.scan(scan["path"], _text(scan["sha256"]), "scan"))
    except InputError as error:
        written.left_out.append((scan["scan_id"], error.what))
        return False
    stem = out / name[0] / f"{name[1]}_{_suffix(scan['modality'])}"
    whole = bool((image.data == np.rint(image.data)).all()) and float(np.abs(image.data).max()) < 32767
    write_image(Path(f"{stem}.nii.gz"), image, dtype=np.int16 if whole else np.float32)
    facts = {key: scan[column] for column, key in _SIDECAR.items() if not pd.isna(scan[column])}
    facts["Modality"] = "CT" if scan["modality"] == "CT" else "MR"
    if scan["is_contrast_enhanced"] is True:
        facts["ContrastBolusAgent"] = "given"
    _write_json(Path(f"{stem}.json"), facts)
    written.n_scans += 1
    return True


def _write_mask(
    row: dict[str, Any], name: tuple[str, str], files: StudyFiles, out: Path, written: Written
) -> None:
    try:
        mask = read_mask(files.written(row["path"], _text(row["sha256"]), "mask"))
    except InputError as error:
        written.left_out.append((f"{row['scan_id']}, {row['what']} mask", error.what))
        return
    stem = out / "derivatives" / "la_outcomes" / name[0] / f"{name[1]}_desc-{row['what']}_mask"
    write_image(Path(f"{stem}.nii.gz"), mask)
    facts = {
        "Type": "Lesion", "Description": "Leukoaraiosis on CT", "VolumeML": row["volume_ml"],
        "Sources": [f"bids::{name[0]}/{name[1]}_ct.nii.gz"], "MadeBy": row["made_by"],
        "ModelSHA256": _text(row["model_sha256"]), "ParametersSHA256": _text(row["parameters_sha256"]),
    }  # fmt: skip
    _write_json(Path(f"{stem}.json"), {key: value for key, value in facts.items() if value is not None})
    written.n_derivatives += 1


def _describe(scans: list[dict[str, Any]], out: Path, written: Written) -> None:
    """What the standard asks for at the top, and what validators are to leave alone."""
    simulated = any(scan["is_simulated"] is True for scan in scans)
    name = ("SIMULATED: " if simulated else "") + "CT and FLAIR with leukoaraiosis masks"
    generated = [{"Name": "la_outcomes export", "Version": __version__}]
    about = {"Name": name, "BIDSVersion": BIDS_VERSION, "GeneratedBy": generated}
    _write_json(out / "dataset_description.json", {**about, "DatasetType": "raw"})
    if written.n_derivatives:
        derived = {**about, "Name": f"Masks of: {name}", "DatasetType": "derivative"}
        derived["SourceDatasets"] = [{"URL": "../.."}]
        _write_json(out / "derivatives" / "la_outcomes" / "dataset_description.json", derived)
    people = {scan["patient_id"]: scan for scan in scans}
    rows = [
        {"participant_id": f"sub-{bids_label(patient)}", **{column: scan[column] for column in _PARTICIPANT}}
        for patient, scan in people.items()
    ]
    written.n_patients = len(rows)
    table = pd.DataFrame(rows).to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n")
    write_text_atomic(out / "participants.tsv", table)
    patients = load_dictionary().table("patients").columns
    _write_json(
        out / "participants.json",
        {name: {"Description": patients[name].description} for name in _PARTICIPANT},
    )
    write_text_atomic(out / "README", f"{name}. CT lies in sub-X/ct as BEP 24 proposes; CTs show the face.\n")
    write_text_atomic(out / ".bidsignore", "**/ct/\n")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_text_atomic(path, json.dumps(content, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
