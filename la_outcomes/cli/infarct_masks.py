"""Volumes of a folder of infarct masks that lie in MNI space."""

from __future__ import annotations

from pathlib import Path


def mask_volumes_ml(folder: Path) -> dict[str, float]:
    """Volume in mL of each ``<patient_id>_lesion.nii.gz``: voxels above 0 times the voxel's volume.

    In the space of the mask: of a mask normalised to MNI it is no native volume. Raises ``InputError`` where
    the folder has no such mask or one cannot be read.
    """
    from la_outcomes.errors import InputError
    from la_outcomes.imaging.geometry import volume_ml
    from la_outcomes.imaging.nifti import read_mask

    paths = sorted(folder.glob("*_lesion.nii.gz"))
    if not paths:
        raise InputError("no mask named <patient_id>_lesion.nii.gz", where=folder)
    volumes = {}
    for path in paths:
        mask = read_mask(path)
        volumes[path.name.removesuffix("_lesion.nii.gz")] = round(volume_ml(mask.data > 0, mask.affine), 6)
    return volumes
