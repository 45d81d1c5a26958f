"""Zips, DICOMDIRs, folders and BIDS data sets with tricks in their names, sizes and lists."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from faults.case import Fault, sound_head
from faults.dicom_faults import _save, series
from la_outcomes.imaging.nifti import write_image

Make = Callable[[Path], Path]
TRICKS = (
    "../../escaped", "/escaped", "..\\..\\escaped", "C:\\escaped", "a/../../../escaped", "~/escaped", "a\nb",
    "con", "." * 200, "é" * 100,
)  # fmt: skip


def archive_faults() -> Iterator[Fault]:
    """All of them."""
    for name in TRICKS:
        yield Fault("zip, names", repr(name[:24]), _zip({name: b"not an image"}), "convert")
        yield Fault(
            "zip, names", f"{name[:24]!r} beside a sound series", _zip_with_series(name), "convert", used=True
        )
    for share in (1, 20, 60, 95, 99):
        yield Fault("zip, damaged", f"{share} %", _cut_zip(share), "convert")
    for name, make in _ZIPS.items():
        yield Fault("zip, damaged" if "bomb" not in name else "zip, bomb", name, make, "convert")
    for name in (
        ["..", "ESCAPED"],
        ["/etc/passwd"],
        ["A\\..\\..\\ESCAPED"],
        ["C:", "X"],
        ["NONE"],
        [""],
        ["."],
    ):
        yield Fault("DICOMDIR", f"lists {name}", _dicomdir([name]), "convert")
    yield Fault("DICOMDIR", "lists nothing", _dicomdir([]), "convert")
    yield Fault("DICOMDIR", "lists itself", _dicomdir([["DICOMDIR"]]), "convert")
    yield Fault(
        "DICOMDIR", "lists 20,000 missing files", _dicomdir([["A", str(n)] for n in range(20_000)]), "convert"
    )
    yield Fault("DICOMDIR", "a link out of its folder", _linked, "convert")
    yield Fault("DICOMDIR", "text", _file("DICOMDIR", b"DICM but not quite"), "convert")
    yield Fault("folder", "empty", lambda folder: folder, "convert")
    yield Fault("folder", "nothing there", lambda folder: folder / "none", "convert")
    yield Fault("folder", "links in a circle", _circle, "convert")
    yield Fault("folder", "10,000 empty files", _many, "convert")
    yield from _bids()


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Make:
    def make(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "x.zip", "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return folder / "x.zip"

    return make


def _series_bytes(folder: Path) -> dict[str, bytes]:
    inside = folder / "inside"
    inside.mkdir()
    _save(series(), inside)
    found = {path.name: path.read_bytes() for path in sorted(inside.iterdir())}
    for path in inside.iterdir():
        path.unlink()
    inside.rmdir()
    return found


def _zip_with_series(name: str) -> Make:
    def make(folder: Path) -> Path:
        members = _series_bytes(folder)
        return _zip({name + key: content for key, content in members.items()})(folder)

    return make


def _cut_zip(share: int) -> Make:
    def make(folder: Path) -> Path:
        path = _zip(_series_bytes(folder))(folder)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * share // 100])
        return path

    return make


def _patched_zip(*places: tuple[bytes, int, bytes]) -> Make:
    """A zip in which bytes at an offset from a signature are others."""

    def make(folder: Path) -> Path:
        path = _zip({"a": bytes(5000)})(folder)
        content = bytearray(path.read_bytes())
        for signature, offset, value in places:
            at = content.find(signature) + offset
            content[at : at + len(value)] = value
        path.write_bytes(content)
        return path

    return make


def _bomb(folder: Path) -> Path:
    archive = zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("zeros", "w", force_zip64=True) as member:
        for _ in range(40):
            member.write(bytes(25_000_000))
    return folder / "x.zip"


def _nested_bomb(folder: Path) -> Path:
    inner = _bomb(folder).read_bytes()
    return _zip({f"{n}.zip": inner for n in range(20)}, zipfile.ZIP_STORED)(folder)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
_ZIPS: dict[str, Make] = {
    "locked": _patched_zip((LOCAL, 6, b"\x01"), (CENTRAL, 8, b"\x01")),
    "packed in a way nobody knows": _patched_zip((LOCAL, 8, b"\x63"), (CENTRAL, 10, b"\x63")),
    "wrong checksum": _patched_zip((CENTRAL, 16, b"\x00\x00\x00\x00"), (LOCAL, 14, b"\x00\x00\x00\x00")),
    "size that lies": _patched_zip((CENTRAL, 24, b"\xff\xff\xff\x7f")),
    "place that lies": _patched_zip((CENTRAL, 42, b"\xff\xff\xff\x7f")),
    "empty zip": _zip({}),
    "20,000 empty members": _zip({str(number): b"" for number in range(20_000)}),
    "bomb of 1 GB in 4 MB": _bomb,
    "bombs within a zip": _nested_bomb,
}


def _file(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _dicomdir(names: list[list[str]]) -> Make:
    def make(folder: Path) -> Path:
        (folder.parent / "ESCAPED").write_bytes(b"outside")
        directory = Dataset()
        directory.DirectoryRecordSequence = []
        for name in names:
            record = Dataset()
            record.DirectoryRecordType, record.ReferencedFileID = "IMAGE", name
            directory.DirectoryRecordSequence.append(record)
        directory.SOPClassUID, directory.SOPInstanceUID = MediaStorageDirectoryStorage, "1.2.3"
        directory.file_meta = FileMetaDataset()
        directory.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
        return folder / "DICOMDIR"

    return make


def _linked(folder: Path) -> Path:
    (folder / "LINK").symlink_to("/etc/hostname")
    (folder / "UP").symlink_to("/etc")
    return _dicomdir([["LINK"], ["UP", "hostname"]])(folder)


def _circle(folder: Path) -> Path:
    (folder / "a").mkdir()
    (folder / "a" / "b").symlink_to(folder)
    (folder / "c").symlink_to(folder / "c")
    return folder


def _many(folder: Path) -> Path:
    for number in range(10_000):
        (folder / str(number)).touch()
    return folder


def _bids() -> Iterator[Fault]:
    def data_set(folder: Path) -> Path:
        (folder / "dataset_description.json").write_text("{}")
        return folder

    def with_sidecar(text: str) -> Make:
        def make(folder: Path) -> Path:
            write_image(folder / "sub-1" / "ct" / "sub-1_ct.nii.gz", sound_head())
            (folder / "sub-1" / "ct" / "sub-1_ct.json").write_text(text)
            return data_set(folder)

        return make

    def broken(folder: Path) -> Path:
        (folder / "sub-1" / "ct").mkdir(parents=True)
        (folder / "sub-1" / "ct" / "sub-1_ct.nii.gz").write_bytes(b"nothing")
        return data_set(folder)

    def linked(folder: Path) -> Path:
        (folder / "sub-1" / "ct").mkdir(parents=True)
        (folder / "sub-1" / "ct" / "sub-1_ct.nii.gz").symlink_to("/etc/hostname")
        return data_set(folder)

    yield Fault("BIDS", "no scans", data_set, "convert")
    yield Fault("BIDS", "a broken image", broken, "convert")
    yield Fault("BIDS", "a link out of it", linked, "convert")
    for name, text in {
        "sidecar is no JSON": "{",
        "sidecar is a list": "[1]",
        "sidecar nested 100,000 deep": "[" * 100_000,
        "sidecar of wrong types": json.dumps(
            {"KVP": {"a": 1}, "ConvolutionKernel": [1], "SliceThickness": "x"}
        ),
    }.items():
        yield Fault("BIDS", name, with_sidecar(text), "convert", used=True)
