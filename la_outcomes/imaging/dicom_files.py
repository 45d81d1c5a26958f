"""The files of an archive: a folder, a zip, or what a DICOMDIR lists, as paths that are safe to read.

Names inside a zip or a DICOMDIR come from outside and are never used to write: members are unpacked under
running numbers, and only plain files below the DICOMDIR's own folder are read. What unpacks to more than it
may is given up before it fills the disk.
"""

from __future__ import annotations

import lzma
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydicom.dataset import Dataset

from la_outcomes.errors import InputError, ResourceError
from la_outcomes.imaging.dicom_header import items, read_dicom, text_of

LARGEST_UNPACKED = 200 << 30
LARGEST_RATIO = 200
RATIO_COUNTS_FROM = 100 << 20
MOST_MEMBERS = 2_000_000
_BLOCK = 1 << 20
_KEPT_FREE = 1 << 30
_ZIP_START = b"PK\x03\x04"
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError, OSError)


@dataclass(frozen=True)
class Archive:
    """Files to look at, in a fixed order, and what is to be said of the archive itself."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@contextmanager
def open_archive(path: str | Path, scratch: Path | None = None) -> Iterator[Archive]:
    """The files of a folder (zips in it unpacked), of a zip, or of a DICOMDIR.

    Zips are unpacked below ``scratch`` (None: the system's place for temporary files) and removed at the end.
    Raises ``InputError`` where there is nothing at ``path``, where it is none of the three, and for a zip
    that is damaged, locked by a password or a bomb; ``ResourceError`` where the disk is too small.
    """
    path = Path(path)
    with ExitStack() as stack:
        if path.is_dir():
            yield _folder(path, stack, scratch)
        elif not path.is_file():
            raise InputError("no such folder, zip or DICOMDIR", where=path)
        elif is_zip(path):
            files, notes = _unpacked(path, stack, scratch)
            yield Archive(files, notes)
        else:
            yield _listed(path)


def is_zip(path: Path) -> bool:
    """True for a zip, by its first bytes."""
    with open(path, "rb") as handle:
        return handle.read(4) == _ZIP_START


def _folder(folder: Path, stack: ExitStack, scratch: Path | None) -> Archive:
    files: list[Path] = []
    notes: list[str] = []
    for path in _plain_files(folder):
        if not _looks_like_zip(path):
            files.append(path)
            continue
        try:
            unpacked, said = _unpacked(path, stack, scratch)
        except InputError as error:
            notes.append(f"a zip in the folder was left out: {error.what}")
            continue
        files += unpacked
        notes += said
    return Archive(tuple(files), tuple(notes))


def _looks_like_zip(path: Path) -> bool:
    try:
        return is_zip(path)
    except OSError:
        return False


def _plain_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _unpacked(path: Path, stack: ExitStack, scratch: Path | None) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    if scratch is not None:
        scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".unpacked-", dir=scratch)))
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(_members(archive, folder, path.stat().st_size)), ()
    except _DAMAGE as error:
        raise InputError("the zip is damaged, or packed in a way that is not known", where=path) from error
    except RuntimeError as error:
        raise InputError("the zip is locked by a password", where=path, hint="unlock it first") from error


def _members(archive: zipfile.ZipFile, folder: Path, packed: int) -> Iterator[Path]:
    members = sorted(
        (m for m in archive.infolist() if not m.filename.endswith("/")), key=lambda m: m.filename
    )
    if len(members) > MOST_MEMBERS:
        raise InputError(f"the zip lists {len(members)} files: it must be wrong")
    total = 0
    for number, member in enumerate(members):
        if _is_link(member):
            continue
        target = folder / f"{number:07d}"
        with archive.open(member) as source, open(target, "wb") as sink:
            while block := source.read(_BLOCK):
                total += len(block)
                _check_amount(total, packed, folder)
                sink.write(block)
        yield target


def _is_link(member: zipfile.ZipInfo) -> bool:
    return (member.external_attr >> 28) == 0xA


def _check_amount(total: int, packed: int, folder: Path) -> None:
    if total > RATIO_COUNTS_FROM and total > LARGEST_RATIO * packed:
        raise InputError(
            f"the zip unpacks to more than {LARGEST_RATIO} times its size: this is no archive of scans"
        )
    if total > LARGEST_UNPACKED:
        raise InputError(
            f"the zip unpacks to more than {LARGEST_UNPACKED >> 30} GiB", hint="give it in several parts"
        )
    if shutil.disk_usage(folder).free < _KEPT_FREE:
        raise ResourceError("no space left to unpack the zip", hint="free space and run the same command")


def _listed(path: Path) -> Archive:
    """Files that a DICOMDIR lists (PS3.3 F.3), by their names below its own folder."""
    directory = read_dicom(path)
    records = [] if directory is None else items(directory, "DirectoryRecordSequence")
    names = [name for record in records if (name := _name(record))]
    if directory is None or "DirectoryRecordSequence" not in directory:
        raise InputError(
            "neither a folder nor a zip nor a DICOMDIR",
            where=path,
            hint="give the folder with the DICOM files",
        )
    folder, found, missing, outside = path.parent.resolve(), [], 0, 0
    for name in dict.fromkeys(names):
        file = _inside(folder, name)
        if file is None:
            outside += 1
        elif not file.is_file():
            missing += 1
        else:
            found.append(file)
    notes = [
        f"{count} files that the DICOMDIR lists {what}"
        for count, what in ((missing, "are missing"), (outside, "lie outside its folder and were not read"))
        if count
    ]
    return Archive(tuple(sorted(found)), tuple(notes))


def _name(record: Dataset) -> PurePosixPath | None:
    pieces = text_of(record, "ReferencedFileID").split("\\")
    return PurePosixPath(*pieces) if any(pieces) else None


def _inside(folder: Path, name: PurePosixPath) -> Path | None:
    """The file of that name; None where the name, or a link on the way, leads out of the folder."""
    if name.is_absolute() or ".." in name.parts or any("\0" in part or ":" in part for part in name.parts):
        return None
    file = folder / name
    return file if not file.is_symlink() and file.resolve().is_relative_to(folder) else None
