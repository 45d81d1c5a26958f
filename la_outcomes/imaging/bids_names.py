"""Names in BIDS (Brain Imaging Data Structure): labels hold letters and digits alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(
    r"sub-(?P<sub>[A-Za-z0-9]+)(?:_ses-(?P<ses>[A-Za-z0-9]+))?(?P<rest>(?:_[a-z]+-[A-Za-z0-9+]+)*)"
    r"_(?P<suffix>ct|FLAIR)\.nii(?:\.gz)?"
)


def bids_label(pseudonym: str) -> str:
    """The pseudonym as a BIDS label: letters and digits alone."""
    return re.sub(r"[^A-Za-z0-9]", "", pseudonym)


@dataclass(frozen=True)
class BidsScan:
    """A CT or FLAIR of a BIDS data set, by its name alone."""

    path: Path
    subject: str
    modality: str
    entities: str

    @property
    def patient_id(self) -> str:
        """The subject as the data set names it."""
        return f"sub-{self.subject}"

    @property
    def scan_id(self) -> str:
        """The file's name without its ending."""
        return self.path.name.removesuffix(".gz").removesuffix(".nii")


def bids_scans(folder: Path) -> list[BidsScan]:
    """CTs and FLAIRs of the raw data: below the subjects, in ``ct`` and ``anat`` folders, sorted."""
    found = []
    for path in sorted(folder.glob("sub-*/**/*.nii*")):
        named = _NAME.fullmatch(path.name)
        if named is None or (path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())):
            continue
        if path.parent.name == ("ct" if named["suffix"] == "ct" else "anat"):
            modality = "CT" if named["suffix"] == "ct" else "FLAIR"
            found.append(BidsScan(path, named["sub"], modality, named["rest"]))
    return found


def is_bids(path: Path) -> bool:
    """True for a folder that describes itself as a BIDS data set."""
    return path.is_dir() and (path / "dataset_description.json").is_file()
