"""A head CT made of ellipsoids, with known LA, that needs no other room of the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import write_image

SHAPE = (160, 192, 20)
SPACING = (1.2, 1.2, 6.0)


def head_ct(seed: int, *, la_ml_factor: float = 1.0, tilt: float = 0.0) -> tuple[Image, np.ndarray]:
    """CT in HU and the boolean LA mask; ``tilt`` shears slices (mm along y a mm of z)."""
    rng = np.random.default_rng(seed)
    affine = np.diag([*SPACING, 1.0])
    affine[1, 2] = tilt * SPACING[2]
    index = np.indices(SHAPE, dtype=float)
    centre = (np.array(SHAPE) - 1) / 2 + rng.uniform(-3, 3, 3) * (1, 1, 0)
    x, y, z = ((index[axis] - centre[axis]) * SPACING[axis] for axis in range(3))
    radius = np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 58) ** 2)
    hu = np.full(SHAPE, -1000.0)
    hu[radius < 1.25] = 40
    hu[radius < 1.15] = 900
    hu[radius < 1.0] = 5
    hu[radius < 0.97] = 36
    hu[radius < 0.8] = 29
    la = np.zeros(SHAPE, bool)
    for side in (-1, 1):
        ventricle = np.sqrt(((x - side * 14) / 9) ** 2 + ((y - 4) / 38) ** 2 + (z / 16) ** 2)
        reach = 1 + 0.45 * la_ml_factor * rng.uniform(0.6, 1.2)
        la |= (ventricle < reach) & (ventricle >= 1)
        hu[ventricle < 1] = 6
    la &= hu == 29
    hu[la] = 18
    hu += rng.normal(0, 3.0, SHAPE)
    return Image(hu.astype(np.float32), affine), la


def write_labels(folder: Path, cohorts: list[str], **columns: list[str]) -> Path:
    """A LABELS_DIR with one patient a cohort given; returns the folder."""
    rows = []
    for number, cohort in enumerate(cohorts):
        name = f"p{number:02d}"
        image, la = head_ct(number, la_ml_factor=0.5 + number % 3 / 2)
        write_image(folder / "ct" / f"{name}.nii.gz", image, dtype=np.int16)
        write_image(folder / "labels" / f"{name}.nii.gz", Image(la.astype(np.uint8), image.affine))
        rows.append(
            {
                "ct_scan_id": f"{name}-ct",
                "patient_id": name,
                "cohort": cohort,
                "site": "A",
                "anatomy": "",
                "ct_path": f"ct/{name}.nii.gz",
                "label_path": f"labels/{name}.nii.gz",
                "status": "accepted",
                "reason": "",
            }
        )
    table = pd.DataFrame(rows).assign(**columns)
    table.to_csv(folder / "labels.csv", index=False)
    return folder
