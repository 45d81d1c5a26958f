"""What a simulated cohort leaves on disk, and under which names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from la_outcomes.imaging.bids_names import bids_label

Layout = Literal["plain", "bids"]

# folder below the subject, suffix after sub-X_; truth stands among derivatives
_BIDS: dict[str, tuple[str, str]] = {
    "ct": ("ct", "ct.nii.gz"),
    "ct_repeat": ("ct", "run-2_ct.nii.gz"),
    "flair": ("anat", "FLAIR.nii.gz"),
}
_BIDS_TRUTH: dict[str, str] = {
    "truth_visible_ct": "space-CT_label-visibleLA_probseg.nii.gz",
    "truth_tissue_ct": "space-CT_label-WMH_probseg.nii.gz",
    "truth_wmh_flair": "space-FLAIR_label-WMH_probseg.nii.gz",
    "infarct_ct": "space-CT_label-infarct_probseg.nii.gz",
    "infarct_flair": "space-FLAIR_label-infarct_probseg.nii.gz",
    "ct_to_flair": "from-CT_to-FLAIR_mode-image_xfm.h5",
}


@dataclass(frozen=True)
class Outputs:
    """What is written and how it is called.

    ``layout``: "plain" (``images/<patient>/ct.nii.gz``) or "bids" (``sub-X/ct/sub-X_ct.nii.gz``, truth
    below ``derivatives/truth``). ``dicom``: each scan as a DICOM series too, below ``dicom/<patient>``.
    """

    layout: Layout = "plain"
    dicom: bool = False

    def path(self, patient_id: str, name: str) -> Path:
        """Place of a file relative to the output folder; ``name`` as in the plain layout, without ending."""
        if self.layout == "plain":
            ending = ".h5" if name == "ct_to_flair" else ".nii.gz"
            return Path("images") / patient_id / f"{name}{ending}"
        subject = f"sub-{bids_label(patient_id)}"
        if name in _BIDS:
            folder, suffix = _BIDS[name]
            return Path(subject) / folder / f"{subject}_{suffix}"
        return Path("derivatives") / "truth" / subject / f"{subject}_{_BIDS_TRUTH[name]}"

    def dicom_folder(self, patient_id: str, name: str) -> Path:
        """Place of a scan's DICOM series, relative to the output folder."""
        return Path("dicom") / patient_id / name
