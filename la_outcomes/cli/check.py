"""``la-outcomes check``: what a file or folder is, in plain words, and whether it can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from la_outcomes.errors import InputError


def command(
    path: Annotated[Path, typer.Argument(help="NIfTI file, or folder of NIfTI or DICOM files")],
    modality: Annotated[Literal["CT", "FLAIR"], typer.Option(help="what it is meant to be")] = "CT",
) -> None:
    """Say in plain words what a file is and whether it can be used (exit code 3: it cannot)."""
    from la_outcomes.imaging.input_checks import describe, nifti_files

    members = nifti_files(path) if path.is_dir() else []
    descriptions = [describe(member, modality) for member in members or [path]]
    for description in descriptions:
        print(description.text)
    useless = sum(not description.usable for description in descriptions)
    if useless:
        raise InputError(f"{useless} of {len(descriptions)} cannot be used as {modality}", where=path)
