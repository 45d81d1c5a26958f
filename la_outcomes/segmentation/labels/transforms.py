"""Inverting and applying the transforms that coregistration writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from la_outcomes.errors import InputError
from la_outcomes.imaging.geometry import Image
from la_outcomes.imaging.nifti import read_image, read_mask, write_image
from la_outcomes.segmentation.labels.coregistration import carry
from la_outcomes.segmentation.labels.pseudo_labels import binarise
from la_outcomes.segmentation.labels.transform_files import read_transform

INVERSION_ITERATIONS = 12


def inverse(transform: sitk.Transform) -> sitk.Transform:
    """The transform the other way: from FLAIR points to CT points where the given one goes from CT to FLAIR.

    Linear parts are inverted exactly, displacement fields by iteration on their own grid. Raises
    ``InputError`` for a part that has no inverse.
    """
    if transform.GetTransformEnum() == sitk.sitkComposite:
        whole = sitk.CompositeTransform(transform)
        parts = [whole.GetNthTransform(n) for n in range(whole.GetNumberOfTransforms())]
        return sitk.CompositeTransform([inverse(part) for part in reversed(parts)])
    if transform.GetTransformEnum() == sitk.sitkDisplacementField:
        field = sitk.DisplacementFieldTransform(transform).GetDisplacementField()
        return sitk.DisplacementFieldTransform(_inverted_field(field))
    try:
        return transform.GetInverse()
    except RuntimeError as error:
        raise InputError("the transform has no inverse", where=transform.GetName()) from error


def _inverted_field(field: sitk.Image) -> sitk.Image:
    """w with w(y) = -u(y + w(y)), by fixed-point iteration; converges where the map does not fold."""
    found = sitk.Image(field.GetSize(), sitk.sitkVectorFloat64, 3)
    found.CopyInformation(field)
    for _ in range(INVERSION_ITERATIONS):
        reached = sitk.Resample(field, field, sitk.DisplacementFieldTransform(found), sitk.sitkLinear, 0.0)
        found = sitk.GetImageFromArray(-sitk.GetArrayFromImage(reached), isVector=True)
        found.CopyInformation(field)
    return found


def apply_to_file(
    image: Path, transform: Path, like: Path, out: Path, *, backwards: bool = False, mask: bool = False
) -> Image:
    """Carry a file through a coregistration and write it on the grid of ``like``.

    A transform maps CT points to FLAIR points, so that ``image`` is a FLAIR (or lies on its grid) and
    ``like`` a CT; with ``backwards`` it is the other way round. Images are interpolated linearly. With
    ``mask`` the values must be 0 or 1 (or shares between), and the result is binary with the volume of the
    softly carried map. Raises ``InputError`` for files that cannot be used.
    """
    forward = read_transform(transform)
    chosen = inverse(forward) if backwards else forward
    source = read_mask(image) if mask else read_image(image)
    if mask and not (source.data.min() >= 0 and source.data.max() <= 1):
        raise InputError("a mask must hold values from 0 to 1", where=image, hint="leave out --mask")
    carried = carry(source, read_image(like), chosen)
    if mask:
        carried = Image(binarise(carried.data).astype(np.uint8), carried.affine)
    write_image(out, carried)
    return carried
