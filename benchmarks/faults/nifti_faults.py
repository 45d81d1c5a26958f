"""NIfTI files that are cut, lie in their headers, or show something else than a head."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from faults.case import Fault, other_thing, places, sound_head
from la_outcomes.imaging.geometry import Array, Image
from la_outcomes.imaging.nifti import write_image

# name: (offset in the header, struct format, values)
FIELDS: dict[str, tuple[int, str, list[float]]] = {
    "sizeof_hdr": (0, "<i", [0, 540, -1]),
    "dim[0]": (40, "<h", [0, 1, 2, 4, 7, -3, 1000]),
    "dim[1]": (42, "<h", [0, -5, 32767]),
    "dim[3]": (46, "<h", [0, 1, 5, 32767, -1]),
    "datatype": (70, "<h", [0, 1, 32, 128, 1792, 2304, 9999]),
    "vox_offset": (108, "<f", [1e9, float("nan"), float("inf"), -1e6]),
    "pixdim[1]": (80, "<f", [0, float("nan"), float("inf"), 1e30, 1e-30]),
    "pixdim[3]": (88, "<f", [0, float("nan")]),
    "scl_slope": (112, "<f", [float("inf"), 1e30, 1e-30]),
    "scl_inter": (116, "<f", [float("nan"), 1e30, 1024]),
    "srow_x[0]": (280, "<f", [float("nan"), float("inf"), 0, 90]),
    "srow_z[2]": (320, "<f", [0, float("nan"), 1e20]),
}  # fmt: skip

# nibabel mends a wrong length of the header; axes of length 1 are dropped; a slope that is no number is none
HARMLESS = {("sizeof_hdr", 0), ("sizeof_hdr", 540), ("sizeof_hdr", -1), ("dim[0]", 4), ("dim[0]", 7),
            ("scl_slope", float("inf"))}  # fmt: skip


def nifti_faults() -> Iterator[Fault]:
    """All of them."""
    for share in (0, 1, 5, 20, 50, 80, 95, 99.9):
        for packed in (True, False):
            yield Fault(
                "NIfTI, cut", f"{share} % of {'a .nii.gz' if packed else 'a .nii'}", _cut(share, packed)
            )
    for field, (offset, form, values) in FIELDS.items():
        for value in values:
            name, harmless = f"{field} = {value:g}", (field, value) in HARMLESS
            yield Fault("NIfTI, header", name, _patched(offset, form, value), used=harmless)
    for name, change in _VALUES.items():
        yield Fault("NIfTI, values", name, _changed(change))
    for what in ("knee", "chest", "ball", "plastic head", "noise"):
        yield Fault("NIfTI, another thing", what, _thing(what))
    yield from _shapes()
    yield from _files()


def _sound(folder: Path, name: str = "x.nii") -> Path:
    return write_image(folder / name, sound_head(), dtype=np.int16)


def _cut(share: float, packed: bool) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = _sound(folder, "x.nii.gz" if packed else "x.nii")
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share / 100)])
        return path

    return make


def _patched(offset: int, form: str, value: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = _sound(folder)
        content = bytearray(path.read_bytes())
        struct.pack_into(form, content, offset, int(value) if form[-1] in "ih" else value)
        path.write_bytes(content)
        return path

    return make


def _changed(change: Callable[[Array], Array]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        image = sound_head()
        file = nib.Nifti1Image(change(image.data.copy()), image.affine)
        file.set_sform(image.affine, 1)
        nib.save(file, folder / "x.nii.gz")
        return folder / "x.nii.gz"

    return make


def _some_nan(data: Array) -> Array:
    data[30, 30, 20] = np.nan
    return data


def _some_infinite(data: Array) -> Array:
    data[30, 30, 20] = np.inf
    return data


_VALUES: dict[str, Callable[[Array], Array]] = {
    "one NaN": _some_nan,
    "one infinite": _some_infinite,
    "all NaN": lambda data: data * np.nan,
    "all zero": lambda data: data * 0,
    "all air": lambda data: data * 0 - 1024,
    "windowed 0 to 80": lambda data: np.clip(data, 0, 80),
    "shifted by 1024": lambda data: data + 1024,
    "halved": lambda data: data * 0.5,
    "negated": lambda data: -data,
    "units of an MRI": lambda data: np.clip(data + 1000, 0, None) * 0.3,
    "a mask": lambda data: (data > 100).astype(np.uint8),
    "four axes": lambda data: np.stack([data, data], axis=3),
    "five axes": lambda data: np.stack([data, data], axis=3)[..., None, :],
    "two axes": lambda data: data[:, :, 20],
    "one slice": lambda data: data[:, :, 20:21],
    "colours": lambda data: np.zeros(data.shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]),
    "complex numbers": lambda data: data.astype(np.complex64),
}


def _thing(what: str) -> Callable[[Path], Path]:
    return lambda folder: write_image(folder / "x.nii.gz", other_thing(what))


def _shapes() -> Iterator[Fault]:
    def written(data: Array, affine: Array) -> Callable[[Path], Path]:
        return lambda folder: write_image(folder / "x.nii.gz", Image(data, affine))

    image = sound_head()
    _, affine = places()
    wide = affine.copy()
    wide[2, 2] = 20.0
    small = affine * np.array([[0.3], [0.3], [0.3], [1.0]])
    yield Fault("NIfTI, geometry", "slices 20 mm apart", written(image.data, wide))
    yield Fault("NIfTI, geometry", "a head of 6 cm", written(image.data, small))
    yield Fault("NIfTI, geometry", "six slices", written(image.data[:, :, 16:22], affine))
    yield Fault("NIfTI, geometry", "top cut off", written(image.data[:, :, :22], affine))
    yield Fault("NIfTI, geometry", "neck alone", written(image.data[:, :, :9], affine))
    yield Fault("NIfTI, geometry", "half a head", written(image.data[:20], affine))
    leaning = affine.copy()
    leaning[1, 2] = 1.0
    yield Fault("NIfTI, geometry", "tilt in the sform alone", written(image.data, leaning), used=True)
    yield Fault("NIfTI, geometry", "tilt in the sform, qform set too", _half_said(leaning))
    yield Fault("NIfTI, geometry", "no codes at all", _half_said(affine, code=0))
    strong = affine.copy()
    strong[0, 2] = 30.0
    yield Fault("NIfTI, geometry", "shear of 80 degrees", written(image.data, strong))


def _half_said(affine: Array, code: int = 1) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        file = nib.Nifti1Image(sound_head().data, affine)
        file.set_qform(affine, code)
        file.set_sform(affine, code)
        nib.save(file, folder / "x.nii.gz")
        return folder / "x.nii.gz"

    return make


def _files() -> Iterator[Fault]:
    def content(name: str, data: bytes) -> Callable[[Path], Path]:
        def make(folder: Path) -> Path:
            (folder / name).write_bytes(data)
            return folder / name

        return make

    def bomb(folder: Path) -> Path:
        """A header that claims 900 million voxels, and zeros that pack into next to nothing."""
        header = bytearray(_sound(folder).read_bytes()[:352])
        struct.pack_into("<3h", header, 42, 1000, 1000, 900)
        with gzip.open(folder / "bomb.nii.gz", "wb", 1) as packed:
            packed.write(bytes(header))
            for _ in range(6):
                packed.write(bytes(50_000_000))
        (folder / "x.nii").unlink()
        return folder / "bomb.nii.gz"

    def loop(folder: Path) -> Path:
        (folder / "x.nii").symlink_to(folder / "x.nii")
        return folder / "x.nii"

    def folder_of_that_name(folder: Path) -> Path:
        (folder / "x.nii.gz").mkdir()
        return folder / "x.nii.gz"

    yield Fault("NIfTI, file", "empty", content("x.nii.gz", b""))
    yield Fault("NIfTI, file", "text", content("x.nii", b"not an image\n" * 100))
    yield Fault("NIfTI, file", "gzip of nothing", content("x.nii.gz", gzip.compress(b"")))
    yield Fault("NIfTI, file", "gzip of noise", content("x.nii.gz", gzip.compress(bytes(range(256)) * 20)))
    yield Fault("NIfTI, file", "a picture", content("x.png", b"\x89PNG\r\n\x1a\n" + bytes(100)))
    yield Fault("NIfTI, file", "900 million voxels claimed in 1 MB", bomb)
    yield Fault("NIfTI, file", "a link to itself", loop)
    yield Fault("NIfTI, file", "a folder of that name", folder_of_that_name)
    yield Fault("NIfTI, file", "nothing there", lambda folder: folder / "none.nii.gz")
