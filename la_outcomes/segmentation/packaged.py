"""The models that come with the package, by name: ``la-ct-sim`` (LA on CT), ``wmh-flair-sim`` (WMH on FLAIR).

A name stands wherever a bundle's folder may. The packaged files are read and never written to: who wants to
calibrate a packaged model, or to prove another engine for it, copies it first.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from la_outcomes.errors import InputError, UsageError
from la_outcomes.segmentation.bundle import CARD_FILE, TENSORS_FILE, WEIGHTS_FILE, read_card

LA_MODEL = "la-ct-sim"
WMH_MODEL = "wmh-flair-sim"
NAMES = (LA_MODEL, WMH_MODEL)
FOLDER = Path(__file__).parent / "models"


def bundle_path(name_or_path: str | Path) -> Path:
    """Folder of a packaged model by its name, else the path as it is.

    Raises ``InputError`` where the installation lacks the model, ``UsageError`` where the working folder
    holds a folder of the same name, since either could be meant.
    """
    name = str(name_or_path)
    if name not in NAMES:
        return Path(name_or_path)
    if (Path(name) / CARD_FILE).exists():
        raise UsageError(
            f"{name} is a model of the package and a folder here", hint=f"write ./{name}/ for the folder"
        )
    folder = FOLDER / name
    if not (folder / CARD_FILE).is_file():
        hint = "install the package from its wheel or its whole source, or name the folder of a bundle"
        raise InputError(f"this installation does not hold the model {name}", where=folder, hint=hint)
    return folder


def is_packaged(path: Path) -> bool:
    """Whether a bundle lies in the package."""
    return path.resolve().parent == FOLDER.resolve()


def refuse_packaged(path: Path) -> None:
    """Raise ``UsageError`` for a bundle of the package, whose card must stay as it was installed."""
    if is_packaged(path):
        raise UsageError(
            f"{path.name} comes with the package and is not written to",
            hint=f"la-outcomes model copy {path.name} --out FOLDER, then use the copy",
        )


def copy_bundle(name_or_path: str | Path, out: Path) -> Path:
    """Copy a bundle's files into a new folder, card last, and return the folder.

    Raises ``InputError`` where ``out`` holds anything, or the bundle cannot be read.
    """
    source = bundle_path(name_or_path)
    read_card(source)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("the folder is not empty", where=out, hint="choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS_FILE, TENSORS_FILE, CARD_FILE):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    return out
