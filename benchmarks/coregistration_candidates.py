"""Ways to bring a FLAIR to a CT, all from the same two masked scans; the package keeps the best."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from benchmarks.coregistration_predicted import deformation_to_predicted
from la_outcomes.imaging.geometry import Image, to_sitk
from la_outcomes.segmentation.labels import coregistration as package
from la_outcomes.segmentation.labels import deformation as bending
from la_outcomes.segmentation.labels.greedy import run_greedy
from la_outcomes.segmentation.labels.working import (
    WorkingScan,
    blurred,
    brain_hu,
    centre_mm,
    cropped,
    csf_on_ct,
    csf_on_flair,
    near_brain,
    working_scan,
)

Method = Callable[["Prepared"], sitk.Transform]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Both scans on working grids, the CT's cropped."""

    fixed: WorkingScan
    moving: WorkingScan

    @cached_property
    def rigid(self) -> tuple[package.Matrix, float]:
        """The package's rigid part, found once, and its CPU seconds."""
        started = time.process_time()
        matrix = package.rigid_alignment(self.fixed, self.moving)
        return matrix, time.process_time() - started

    @cached_property
    def carried(self) -> WorkingScan:
        """The FLAIR rigidly on the CT's grid."""
        return package.carried_scan(self.moving, self.fixed, package.affine_transform(self.rigid[0]))

    @cached_property
    def whole(self) -> tuple[sitk.Image, float]:
        """The package's deformation before it is shortened, found once, and its CPU seconds."""
        carried, started = self.carried, time.process_time()
        return bending.whole_deformation(self.fixed, carried), time.process_time() - started


def prepare(ct: Image, flair: Image, ct_inside: np.ndarray, flair_inside: np.ndarray) -> Prepared:
    """Scans as the package's own coregistration sees them."""
    fixed = cropped(working_scan(ct, ct_inside, outside=-1000.0))
    return Prepared(fixed, working_scan(flair, flair_inside, outside=0.0))


def itk_rigid(pair: Prepared) -> sitk.Transform:
    """SimpleITK: Mattes mutual information of the two brains, rigid, three levels, from their centres."""
    fixed = to_sitk(Image(brain_hu(pair.fixed).astype(np.float32), pair.fixed.image.affine))
    brain = np.where(pair.moving.mask, pair.moving.image.data, 0).astype(np.float32)
    moving = to_sitk(Image(brain, pair.moving.image.affine))
    flip = np.array((-1.0, -1.0, 1.0))
    start = sitk.Euler3DTransform()
    start.SetCenter((centre_mm(pair.fixed) * flip).tolist())
    start.SetTranslation(((centre_mm(pair.moving) - centre_mm(pair.fixed)) * flip).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.5)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 120, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([3, 1.5, 0])
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(fixed, moving)


def _then_demons(pair: Prepared, rigid: sitk.Transform) -> sitk.Transform:
    """Symmetric demons on CSF maps within both brains, after a rigid map; its smoothing is 4 voxels."""
    fixed, carried = pair.fixed, package.carried_scan(pair.moving, pair.fixed, rigid)
    both = fixed.mask & carried.mask
    core = ndimage.binary_erosion(both)
    maps = (csf_on_ct(fixed), csf_on_flair(carried, both))
    first, second = (
        to_sitk(Image(blurred(np.where(core, values, 0.0), 2.0), fixed.image.affine)) for values in maps
    )
    demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
    demons.SetNumberOfIterations(60)
    demons.SetStandardDeviations(4.0)
    return _bent(rigid, demons.Execute(first, second))


def itk_rigid_demons(pair: Prepared) -> sitk.Transform:
    """SimpleITK rigid, then demons on CSF maps."""
    return _then_demons(pair, itk_rigid(pair))


def greedy_rigid(pair: Prepared) -> sitk.Transform:
    """The package's rigid part alone."""
    return package.affine_transform(pair.rigid[0])


def greedy_demons(pair: Prepared) -> sitk.Transform:
    """The package's rigid part, then demons on CSF maps."""
    return _then_demons(pair, greedy_rigid(pair))


def greedy_nmi_with_bone(pair: Prepared) -> sitk.Transform:
    """The rigid part, then greedy's deformation by mutual information of the scans, bone and all."""
    matrix = pair.rigid[0]
    smooth = Image(blurred(pair.moving.image.data, 1.2), pair.moving.image.affine)
    flair = package.carry(smooth, pair.fixed.image, package.affine_transform(matrix)).data
    top = float(np.percentile(flair[pair.fixed.mask], 98)) * 1.2
    ct = blurred(np.clip(pair.fixed.image.data, -20, 80), 1.5)
    grid = pair.fixed.image.affine
    images = {
        "F": to_sitk(Image(ct, grid)),
        "M": to_sitk(Image(np.clip(flair, 0, top).astype(np.float32), grid)),
        "N": to_sitk(Image(near_brain(pair.fixed).astype(np.float32), grid)),
        "W": None,
    }
    field = run_greedy("-i F M -gm N -m NMI -n 25 -e 0.3 -s 4vox 2vox -o W", images)["W"]
    return _bent(package.affine_transform(matrix), field)


def default(pair: Prepared) -> sitk.Transform:
    """The package's own: rigid, then half of a deformation by mutual information."""
    return _bent(greedy_rigid(pair), bending.thinned(bending.limited(pair.whole[0])))


def greedy_nmi(pair: Prepared) -> sitk.Transform:
    """The same with its deformation as greedy gives it."""
    return _bent(greedy_rigid(pair), pair.whole[0])


def greedy_predicted(pair: Prepared) -> sitk.Transform:
    """The rigid part, then local correlation with the CT that the FLAIR predicts; three quarters of it."""
    field = bending.limited(deformation_to_predicted(pair.fixed, pair.carried), 0.75, 6.0)
    return _bent(greedy_rigid(pair), bending.thinned(field))


def _bent(rigid: sitk.Transform, field: sitk.Image) -> sitk.Transform:
    bend = sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([rigid, bend])


METHODS: dict[str, Method] = {
    "default": default,
    "greedy rigid, NMI": greedy_nmi,
    "greedy rigid, predicted CT": greedy_predicted,
    "greedy rigid, NMI with bone": greedy_nmi_with_bone,
    "greedy rigid, CSF demons": greedy_demons,
    "greedy rigid": greedy_rigid,
    "SimpleITK rigid, CSF demons": itk_rigid_demons,
    "SimpleITK rigid": itk_rigid,
    "header alone": lambda pair: sitk.AffineTransform(3),
}
