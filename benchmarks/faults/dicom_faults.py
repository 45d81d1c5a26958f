"""DICOM series with one fault each: missing or absurd attributes, damaged files, impossible stacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from faults.case import Fault, head_at, other_thing
from la_outcomes.simulation.dicom_variants import compressed

ALONG = np.arange(37) * 5.0 - 92
ROWS, COLUMNS, PIXEL = 64, 56, 3.4
Edit = Callable[[list[Dataset]], list[Dataset] | None]


def series(values: Callable[[np.ndarray], np.ndarray] = head_at) -> list[Dataset]:
    """A sound series of the head."""
    found = []
    rows, columns = np.meshgrid(np.arange(ROWS), np.arange(COLUMNS), indexing="ij")
    for number, along in enumerate(ALONG, start=1):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID, one.Modality = CTImageStorage, f"1.2.3.{number}", "CT"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.PatientID = "1.2.4", "1.2.5", "FAULTY"
        one.ImageType, one.ConvolutionKernel = ["ORIGINAL", "PRIMARY", "AXIAL"], "H30s"
        first = np.array([-(COLUMNS - 1) / 2 * PIXEL, -(ROWS - 1) / 2 * PIXEL, along])
        one.ImagePositionPatient, one.ImageOrientationPatient = (
            np.round(first, 4).tolist(),
            [1, 0, 0, 0, 1, 0],
        )
        one.PixelSpacing, one.SliceThickness = [PIXEL, PIXEL], 5
        one.Rows, one.Columns, one.SamplesPerPixel = ROWS, COLUMNS, 1
        one.PhotometricInterpretation = "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        world = np.stack(
            [-(first[0] + columns * PIXEL), -(first[1] + rows * PIXEL), np.full(rows.shape, along)]
        )
        one.PixelData = (np.rint(values(world)) + 1024).astype(np.uint16).tobytes()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found.append(one)
    return found


def dicom_faults() -> Iterator[Fault]:
    """All of them."""
    for name in _NEEDED:
        yield Fault("DICOM, missing", f"no {name}", _edited(_without(name)), "convert")
    for name in _NOT_NEEDED:
        yield Fault("DICOM, missing", f"no {name}", _edited(_without(name)), "convert", used=True)
    for name, values in _ABSURD.items():
        for value in values:
            yield Fault("DICOM, absurd", f"{name} = {value}", _edited(_with(name, value)), "convert")
    for name, edit in _STACKS.items():
        yield Fault("DICOM, stack", name, _edited(edit), "convert")
    for share in (0, 3, 30, 60, 90):
        yield Fault("DICOM, cut", f"{share} % of every file", _damaged(_cut(share)), "convert")
    yield Fault("DICOM, cut", "one file at 60 %", _damaged(_cut(60), only=5), "convert")
    for seed in range(6):
        yield Fault("DICOM, noise", f"40 bytes of every file, {seed}", _damaged(_noise(seed)), "convert")
    for name, make in _FORMATS.items():
        yield Fault("DICOM, format", name, make, "convert")
    for what in ("knee", "ball", "plastic head"):
        yield Fault("DICOM, another thing", what, _thing(what), "convert")


_NEEDED = (
    "SeriesInstanceUID", "Rows", "Columns", "PixelData", "BitsAllocated", "BitsStored", "SamplesPerPixel",
    "PixelRepresentation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
    "Modality",
)  # fmt: skip
_NOT_NEEDED = ("SliceThickness", "PatientID", "StudyInstanceUID", "ConvolutionKernel", "ImageType")
_ABSURD: dict[str, list[Any]] = {
    "ImagePositionPatient": [["1", "2"], ["NaN", "0", "0"], ["1e400", "0", "0"], ["a", "b", "c"]],
    "ImageOrientationPatient": [[0] * 6, [1, 0, 0, 1, 0, 0], [5, 0, 0, 0, 5, 0], [1, 0, 0, 0, 0, -1]],
    "PixelSpacing": [[0, 0], [-1, -1], ["nan", "nan"], ["1e-9", "1e-9"], ["1e9", "1e9"]],
    "SliceThickness": ["1000000000"],
    "Rows": [0, 65535, 63],
    "Columns": [0, 65535],
    "NumberOfFrames": [2, 1_000_000_000],
    "BitsAllocated": [12, 64, 1],
    "RescaleSlope": ["0", "nan", "1e30"],
    "RescaleIntercept": ["1e9", "0"],
    "Modality": ["OT", "CT2", ""],
    "PhotometricInterpretation": ["RGB"],
}


def _edited(edit: Edit) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        slices = series()
        return _save(edit(slices) or slices, folder)

    return make


def _save(slices: list[Dataset], folder: Path) -> Path:
    import pydicom

    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    for number, one in enumerate(slices):
        if "PixelData" in one and one["PixelData"].VR not in ("OB", "OW"):
            one["PixelData"].VR = "OW"
        one.save_as(folder / f"{number:03d}", enforce_file_format=True)
    return folder


def _without(name: str) -> Edit:
    def edit(slices: list[Dataset]) -> None:
        for one in slices:
            delattr(one, name)

    return edit


def _with(name: str, value: Any) -> Edit:
    def edit(slices: list[Dataset]) -> None:
        from pydicom.config import IGNORE, settings
        from pydicom.datadict import dictionary_VR, tag_for_keyword
        from pydicom.dataelem import DataElement

        settings.reading_validation_mode = IGNORE
        tag = tag_for_keyword(name)
        assert tag is not None
        vr = dictionary_VR(tag)
        for one in slices:
            raw = "\\".join(map(str, value)) if isinstance(value, list) and vr == "DS" else value
            if vr == "DS":  # written as text: pydicom would refuse to make a number of it
                element = DataElement(tag, "LO", str(raw))
                one[tag] = element
            else:
                setattr(one, name, value)
        settings.reading_validation_mode = 1

    return edit


def _at(index: int, **fields: Any) -> Edit:
    def edit(slices: list[Dataset]) -> None:
        for name, value in fields.items():
            setattr(slices[index], name, value)

    return edit


def _moved(z: Callable[[int, float], float], x: Callable[[int], float] = lambda _: 0.0) -> Edit:
    def edit(slices: list[Dataset]) -> None:
        for number, one in enumerate(slices):
            place = [float(value) for value in one.ImagePositionPatient]
            one.ImagePositionPatient = [place[0] + x(number), place[1], z(number, place[2])]

    return edit


_STACKS: dict[str, Edit] = {
    "one slice missing": lambda slices: [*slices[:15], *slices[16:]],
    "three slices missing": lambda slices: [*slices[:15], *slices[18:]],
    "every place twice": lambda slices: [
        one for pair in zip(slices, _twins(slices), strict=True) for one in pair
    ],
    "all at one place": _moved(lambda n, z: 0.0),
    "a micrometre apart": _moved(lambda n, z: n * 1e-6),
    "a kilometre apart": _moved(lambda n, z: n * 1e6),
    "on a curve": _moved(lambda n, z: z, lambda n: 0.05 * n * n),
    "one slice turned": _at(9, ImageOrientationPatient=[0.98, 0.199, 0, -0.199, 0.98, 0]),
    "one slice of another spacing": _at(9, PixelSpacing=[1, 1]),
    "six slices": lambda slices: slices[:6],
    "one slice": lambda slices: slices[:1],
    "no top": lambda slices: slices[:23],
    "contrast agent": lambda slices: [_set(one, ContrastBolusAgent="x") for one in slices],
    "bone kernel": lambda slices: [_set(one, ConvolutionKernel="BONE") for one in slices],
    "localiser": lambda slices: [_set(one, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]) for one in slices],
    "phantom by name": lambda slices: [_set(one, PatientName="PHANTOM") for one in slices],
}


def _set(one: Dataset, **fields: Any) -> Dataset:
    for name, value in fields.items():
        setattr(one, name, value)
    return one


def _twins(slices: list[Dataset]) -> list[Dataset]:
    """The same places with other pixels, as in a time series."""
    twins = []
    for number, one in enumerate(slices):
        twin = deepcopy(one)
        twin.SOPInstanceUID = f"1.2.9.{number}"
        twin.PixelData = (np.frombuffer(one.PixelData, np.uint16) + 7).astype(np.uint16).tobytes()
        twins.append(twin)
    return twins


def _damaged(damage: Callable[[bytes], bytes], only: int | None = None) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        _save(series(), folder)
        for number, path in enumerate(sorted(folder.iterdir())):
            if only is None or number == only:
                path.write_bytes(damage(path.read_bytes()))
        return folder

    return make


def _cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share / 100)]


def _noise(seed: int) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        rng, data = np.random.default_rng(seed), bytearray(content)
        for at in rng.integers(132, 900, 40):  # the header, not the pixels
            data[at] = int(rng.integers(256))
        return bytes(data)

    return damage


def _claimed(syntax: str) -> Callable[[Path], Path]:
    """Plain pixels under another transfer syntax."""

    def make(folder: Path) -> Path:
        _save(series(), folder)
        for path in folder.iterdir():
            name = ExplicitVRLittleEndian.encode().ljust(20, b"\0")
            content = path.read_bytes()
            assert name in content
            path.write_bytes(content.replace(name, syntax.encode().ljust(20, b"\0")[:20], 1))
        return folder

    return make


def _bomb(kind: str) -> Callable[[Path], Path]:
    """A codestream that claims 60,000 x 60,000 pixels, or a deflated file that goes on and on."""

    def make(folder: Path) -> Path:
        import zlib

        if kind == "deflated":
            _save([compressed(one, "deflated") for one in series()[:10]], folder)
            for path in folder.iterdir():
                content = path.read_bytes()
                start = 144 + int.from_bytes(content[140:144], "little")
                plain = zlib.decompress(content[start:], -15)
                packer = zlib.compressobj(9, zlib.DEFLATED, -15)
                path.write_bytes(
                    content[:start] + packer.compress(plain + bytes((1 << 30) + 1)) + packer.flush()
                )
                break
            return folder
        packed = [compressed(one, "JPEG 2000") for one in series()]
        for one in packed:
            stream = bytearray(one.PixelData)
            at = stream.find(b"\xff\x4f\xff\x51") + 8
            stream[at : at + 8] = (60_000).to_bytes(4, "big") * 2
            one.PixelData = bytes(stream)
            one["PixelData"].VR, one["PixelData"].is_undefined_length = "OB", True
        return _save(packed, folder)

    return make


def _nested(folder: Path) -> Path:
    """A sequence in a sequence, a thousand deep, without an end."""
    _save(series(), folder)
    opening = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    for path in folder.iterdir():
        content = path.read_bytes()
        start = 144 + int.from_bytes(content[140:144], "little")
        path.write_bytes(content[:start] + opening * 1000 + content[start:])
    return folder


def _long_element(folder: Path) -> Path:
    """An element that claims four gigabytes."""
    _save(series(), folder)
    for path in folder.iterdir():
        content = path.read_bytes()
        start = 144 + int.from_bytes(content[140:144], "little")
        path.write_bytes(content[:start] + b"\x08\x00\x05\x00UN\x00\x00\xfe\xff\xff\xff" + content[start:])
    return folder


_FORMATS: dict[str, Callable[[Path], Path]] = {
    "plain pixels called JPEG": _claimed("1.2.840.10008.1.2.4.70"),
    "plain pixels called RLE": _claimed("1.2.840.10008.1.2.5"),
    "plain file called big endian": _claimed("1.2.840.10008.1.2.2"),
    "a transfer syntax nobody knows": _claimed("1.2.3.4.5.6.7.8.9"),
    "a codestream of 60,000 x 60,000": _bomb("JPEG 2000"),
    "1 GB in a deflated file of 1 MB": _bomb("deflated"),
    "sequences a thousand deep": _nested,
    "an element of 4 GB": _long_element,
}


def _thing(what: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        image = other_thing(what)
        inverse = np.linalg.inv(image.affine)

        def values(world: np.ndarray) -> np.ndarray:
            index = np.rint(inverse[:3, :3] @ world.reshape(3, -1) + inverse[:3, 3:]).astype(int)
            inside = ((index >= 0) & (index < np.array(image.shape)[:, None])).all(axis=0)
            found = np.full(index.shape[1], -1000.0)
            found[inside] = image.data[tuple(index[:, inside])]
            return found.reshape(world.shape[1:])

        return _save(series(values), folder)

    return make
