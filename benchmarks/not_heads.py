"""What does ``segment`` say of scans that are no head CT, and does it let every head through?

python benchmarks/not_heads.py [--model la-ct-sim] [--mri FILE ...] [--heads SCANS.csv ...] [--ct FILE ...]

No heads: phantoms and body parts that are drawn here in HU, and MRI files as they are and disguised (scaled
so that white matter lies at 30, with air put at -1000 or without skull). Heads: the CTs of tables and single
files, of which none may be refused. Prints one line each: unlikeness where it was measured, or the reason.
"""

# ruff: noqa: E402 - this folder is taken off the path before anything is imported.
from __future__ import annotations

import os
import sys

sys.path = [
    place for place in sys.path if os.path.realpath(place) != os.path.dirname(os.path.realpath(__file__))
]

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image
from la_outcomes.segmentation.brain import flair_brain
from la_outcomes.segmentation.bundle import Bundle, load_bundle
from la_outcomes.segmentation.cases import read_scans
from la_outcomes.segmentation.measurement import segment_scan
from la_outcomes.segmentation.packaged import LA_MODEL, bundle_path

STEP_MM = (1.5, 1.5, 5.0)
SHAPE = (280, 200, 40)
AIR_HU, NOISE_HU = -1000.0, 4.0

Volume = npt.NDArray[np.float32]


class Drawing:
    """A volume in HU of ellipsoids and cylinders along the slices' axis; lengths in mm from the centre."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        index = np.indices(SHAPE, dtype=np.float32)
        middle = (np.array(SHAPE) - 1) / 2
        self.x, self.y, self.z = ((index[a] - middle[a]) * STEP_MM[a] for a in range(3))
        self.hu: Volume = np.full(SHAPE, AIR_HU, np.float32)

    def cylinder(
        self, radii: tuple[float, float], hu: float, at: tuple[float, float] = (0.0, 0.0)
    ) -> Drawing:
        """A cylinder through all slices."""
        self.hu[((self.x - at[0]) / radii[0]) ** 2 + ((self.y - at[1]) / radii[1]) ** 2 < 1] = hu
        return self

    def ellipsoid(self, radii: tuple[float, float, float], hu: float) -> Drawing:
        """An ellipsoid around the centre."""
        parts = zip((self.x, self.y, self.z), radii, strict=True)
        self.hu[sum((place / radius) ** 2 for place, radius in parts) < 1] = hu
        return self

    def image(self) -> Image:
        """The volume with noise."""
        noisy = self.hu + self.rng.normal(0, NOISE_HU, SHAPE).astype(np.float32)
        return Image(noisy, np.diag([*STEP_MM, 1.0]))


def water_phantom() -> Image:
    """Water in an acrylic cylinder."""
    return Drawing().cylinder((105, 105), 120).cylinder((100, 100), 0).image()


def plastic_head() -> Image:
    """A shell like bone around plastic as dense as brain, all of one value."""
    return (
        Drawing().ellipsoid((80, 95, 85), 60).ellipsoid((76, 91, 81), 900).ellipsoid((70, 85, 75), 35).image()
    )


def plastic_head_with_rods() -> Image:
    """The same with rods of other densities, as phantoms for quality control have."""
    drawing = Drawing().ellipsoid((76, 91, 81), 900).ellipsoid((70, 85, 75), 30)
    shell = np.sqrt((drawing.x / 70) ** 2 + (drawing.y / 85) ** 2 + (drawing.z / 75) ** 2) < 0.97
    for angle, hu in zip(np.linspace(0, 2 * np.pi, 6, endpoint=False), (10, 20, 45, 60, 90, 0), strict=True):
        place = (drawing.x - 40 * np.cos(angle)) ** 2 + (drawing.y - 40 * np.sin(angle)) ** 2 < 144
        drawing.hu[place & shell] = hu
    return drawing.image()


def chest() -> Image:
    """Soft tissue with lungs, heart, spine and ribs."""
    drawing = Drawing().cylinder((185, 120), 45)
    for side in (-1, 1):
        drawing.cylinder((65, 85), -820, (side * 85, 5))
    return drawing.cylinder((45, 45), 45, (15, 20)).cylinder((20, 18), 350, (0, -85)).image()


def abdomen() -> Image:
    """Fat around organs, with a spine."""
    drawing = Drawing().cylinder((180, 125), -100).cylinder((160, 105), 45)
    return drawing.cylinder((70, 60), 60, (70, 20)).cylinder((24, 20), 380, (0, -65)).image()


def thigh() -> Image:
    """Two limbs with a bone each."""
    drawing = Drawing()
    for side in (-1, 1):
        drawing.cylinder((80, 80), -100, (side * 95, 0)).cylinder((68, 68), 55, (side * 95, 0))
        drawing.cylinder((15, 15), 1100, (side * 95, 0)).cylinder((8, 8), -60, (side * 95, 0))
    return drawing.image()


def neck() -> Image:
    """A neck with airway and spine."""
    drawing = Drawing().cylinder((68, 62), -90).cylinder((62, 56), 55)
    return (
        drawing.cylinder((10, 9), -1000, (0, 25))
        .cylinder((24, 20), 500, (0, -20))
        .cylinder((9, 9), 30, (0, -28))
        .image()
    )


PHANTOMS: Mapping[str, Callable[[], Image]] = {
    "water phantom": water_phantom,
    "plastic head": plastic_head,
    "plastic head with rods": plastic_head_with_rods,
    "chest": chest,
    "abdomen": abdomen,
    "thighs": thigh,
    "neck": neck,
}


def disguises(mri: Image) -> Iterator[tuple[str, Image]]:
    """An MRI as it is, with its brain at 30 and air at -1000, and without skull on 0."""
    values = mri.data.astype(np.float32)
    inside = flair_brain(mri).intracranial
    scaled = values * np.float32(30 / np.median(values[inside]))
    yield "as it is", Image(values, mri.affine)
    yield "at 30 with air", Image(np.where(scaled > 3, scaled, AIR_HU).astype(np.float32), mri.affine)
    yield "without skull", Image(np.where(inside, np.clip(scaled, 1, 80), 0).astype(np.float32), mri.affine)


def verdict(image: Image, bundle: Bundle) -> tuple[bool, str]:
    """Whether the scan was measured, and what is said of it."""
    try:
        found = segment_scan(image, bundle)
    except InputError as error:
        return False, error.what
    told = "" if found.unlikeness is None else f"unlikeness {found.unlikeness:.2f}, "
    return True, f"{told}LA {found.la_volume_ml:.1f} mL; {found.input_warning or 'no warning'}"


def no_heads(mri: list[Path]) -> Iterator[tuple[str, Image]]:
    """Name and image of all that must be refused."""
    for name, draw in PHANTOMS.items():
        yield name, draw()
    for path in mri:
        for how, image in disguises(read_image(path)):
            yield f"{path.name} {how}", image


def heads(tables: list[Path], files: list[Path]) -> Iterator[tuple[str, Image]]:
    """Name and image of all that must be measured."""
    for table in tables:
        for case in read_scans(table, modality="CT"):
            yield case.scan_id, read_image(case.path)
    for path in files:
        yield path.name, read_image(path)


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=LA_MODEL)
    parser.add_argument("--mri", type=Path, nargs="*", default=[])
    parser.add_argument("--heads", type=Path, nargs="*", default=[], help="SCANS.csv")
    parser.add_argument("--ct", type=Path, nargs="*", default=[])
    asked = parser.parse_args(argv)
    bundle = load_bundle(bundle_path(asked.model))
    for wanted, title, scans in (
        (False, "no heads", no_heads(asked.mri)),
        (True, "heads", heads(asked.heads, asked.ct)),
    ):
        right = n = 0
        for name, image in scans:
            measured, told = verdict(image, bundle)
            right, n = right + (measured == wanted), n + 1
            print(f"{'ok' if measured == wanted else 'WRONG':6}{name}: {told}", flush=True)
        print(f"{title}: {right} of {n} {'measured' if wanted else 'refused'}\n")


if __name__ == "__main__":
    main()
