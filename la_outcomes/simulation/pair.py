"""One patient's head, and the CT and FLAIR taken of it, with everything that is known about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from la_outcomes.imaging.geometry import Image
from la_outcomes.simulation.anatomy import Anatomy
from la_outcomes.simulation.bleeding import draw_bleeding
from la_outcomes.simulation.ct import ct_grid, head_hu, scan_ct
from la_outcomes.simulation.fields import FloatArray, stream
from la_outcomes.simulation.flair import flair_grid, head_signal, scan_flair
from la_outcomes.simulation.head import Head, build_head
from la_outcomes.simulation.lesions import Lesions, grow_wmh
from la_outcomes.simulation.mass_effect import draw_infarcts
from la_outcomes.simulation.parameters import Parameters, load_parameters
from la_outcomes.simulation.patient import PatientSpec
from la_outcomes.simulation.sampling import Grid, Matrix, sample_share, to_itk
from la_outcomes.simulation.stacks import StackImage, merge, split
from la_outcomes.simulation.surgery import operated, place_metal

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True, eq=False)
class DrawnPatient:
    """A patient's head with its lesions, before any scanner; volumes are of these 1 mm maps."""

    patient: PatientSpec
    seed: int
    head: Head
    lesions: Lesions

    def stream(self, part: str) -> np.random.Generator:
        """Random numbers of one part of this patient."""
        return stream(self.seed, self.patient.patient_id, part)

    def seen(self, *, infarct: bool) -> Lesions:
        """The lesions as a scan shows them: with the infarct at hand or without it."""
        return self.lesions if infarct else replace(self.lesions, infarct=0 * self.lesions.infarct)


@dataclass(frozen=True, eq=False)
class CtScan:
    """A CT (int16 HU), its soft truth maps (0..1) on its grid, and its pose (scanner to head, RAS mm).

    ``stacks``: the slices as they were taken, before uneven ones were brought to an even grid.
    """

    image: Image
    visible: Image
    tissue: Image
    infarct: Image
    pose: Matrix
    stacks: tuple[StackImage, ...]


@dataclass(frozen=True, eq=False)
class FlairScan:
    """A FLAIR (int16), its soft truth maps (0..1) on its grid, and the grid with pose and distortion."""

    image: Image
    wmh: Image
    infarct: Image
    grid: Grid


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """A CT and a FLAIR of one head.

    ``ct``, ``flair``: int16. Truth as soft maps (share of a voxel, 0..1): ``visible_ct``, ``tissue_ct``,
    ``infarct_ct`` on the CT's grid, ``wmh_flair``, ``infarct_flair`` on the FLAIR's; the infarct maps hold
    old infarcts too. Volumes in mL are
    those of the drawn head at 1 mm, which the maps repeat up to sampling. ``ct_to_flair``: CT points (LPS
    mm) to FLAIR points, exact: rigid, then the FLAIR's distortion. ``head``, the 4x4 pose (scanner RAS mm to
    head RAS mm) and the FLAIR's grid are for tests.
    """

    ct: Image
    flair: Image
    visible_ct: Image
    tissue_ct: Image
    infarct_ct: Image
    wmh_flair: Image
    infarct_flair: Image
    ct_to_flair: sitk.Transform
    tissue_volume_ml: float
    visible_la_volume_ml: float
    infarct_volume_ml: float
    old_infarct_volume_ml: float
    head: Head
    ct_pose: Matrix
    flair_grid: Grid

    @property
    def icv_ml(self) -> float:
        """Intracranial volume of the drawn head, mL."""
        return self.head.icv_ml

    @property
    def brain_volume_ml(self) -> float:
        """Brain without ventricles and sulci, mL."""
        return self.head.brain_volume_ml


def simulate_pair(
    anatomy: Anatomy, patient: PatientSpec, seed: int, parameters: Parameters | None = None
) -> SimulatedPair:
    """Draw one patient's head and take both scans of it.

    Parameters
    ----------
    anatomy : from ``load_anatomy``.
    patient : what to draw; volumes are met to a part in 10^4.
    seed : with ``patient.patient_id`` it fixes every random number.
    parameters : from ``load_parameters``; the packaged ones where None.

    Raises
    ------
    InputError
        The head cannot hold the asked volumes, or a vendor or tube voltage is unknown.
    """
    image = (parameters or load_parameters())["image"]
    drawn = draw_patient(anatomy, patient, seed, image)
    ct, flair = take_ct(drawn, image), take_flair(drawn, image)
    return SimulatedPair(
        ct=ct.image, flair=flair.image,
        visible_ct=ct.visible, tissue_ct=ct.tissue, infarct_ct=ct.infarct,
        wmh_flair=flair.wmh, infarct_flair=flair.infarct,
        ct_to_flair=ct_to_flair(ct, flair),
        tissue_volume_ml=drawn.lesions.wmh.tissue_volume_ml,
        visible_la_volume_ml=drawn.lesions.wmh.visible_volume_ml,
        infarct_volume_ml=drawn.lesions.infarct_volume_ml,
        old_infarct_volume_ml=drawn.lesions.old_infarct_volume_ml,
        head=drawn.head, ct_pose=ct.pose, flair_grid=flair.grid,
    )  # fmt: skip


def draw_patient(anatomy: Anatomy, patient: PatientSpec, seed: int, image: dict[str, Any]) -> DrawnPatient:
    """The patient's head, infarct and WMH; ``image`` is ``parameters["image"]``. Raises as above."""

    def part(name: str) -> np.random.Generator:
        return stream(seed, patient.patient_id, name)

    head = build_head(anatomy, patient, part("head"), image["head"])
    head, infarcts = draw_infarcts(head, patient, (part("infarct"), part("old infarct")), image["infarct"])
    bleeding = draw_bleeding(head, infarcts, patient, part("bleeding"), image)
    lost = np.maximum(infarcts.acute + infarcts.old, bleeding.blood) + bleeding.oedema
    wmh = grow_wmh(head, patient.tissue_volume_ml, patient.visible_volume_ml, lost, part("wmh"), image)
    lesions = Lesions(wmh, infarcts.acute, infarcts.old, bleeding)
    return DrawnPatient(patient, seed, operated(head, part("surgery"), image["head"]["craniotomy"]), lesions)


def take_ct(drawn: DrawnPatient, image: dict[str, Any], repeat: int = 0) -> CtScan:
    """The CT of a drawn patient as ``patient.ct`` asks; ``repeat`` > 0 is the same head taken once more."""
    patient, head, model = drawn.patient, drawn.head, image["ct"]
    lesions = drawn.seen(infarct=patient.infarct_on_ct)
    again = f" {repeat}" if repeat else ""
    grid = ct_grid(head, patient.ct, drawn.stream("ct position" + again), model)
    hu = head_hu(head, lesions, patient, drawn.stream("ct tissue"), image)
    metal = place_metal(head, drawn.stream("metal"), model["metal"])
    rng, step = drawn.stream("ct scan" + again), float(model["step_mm"])
    grids = split(grid, patient.ct.lower_slice_thickness_mm)
    taken = []
    for part in grids:
        asked = replace(patient.ct, slice_thickness_mm=part.thickness_mm)
        taken.append(StackImage(scan_ct(hu, head, part, asked, rng, model, metal), part.thickness_mm))
    maps = (lesions.wmh.visible, lesions.wmh.tissue, lesions.any_infarct)
    visible, tissue, lost = (
        merge([StackImage(_seen(values, head, part, step), part.thickness_mm) for part in grids])
        for values in maps
    )
    return CtScan(merge(taken), visible, tissue, lost, grid.pose, tuple(taken))


def take_flair(drawn: DrawnPatient, image: dict[str, Any]) -> FlairScan:
    """The FLAIR of a drawn patient as ``patient.flair`` asks."""
    patient, head, model = drawn.patient, drawn.head, image["flair"]
    lesions = drawn.seen(infarct=patient.infarct_on_flair)
    grid = flair_grid(head, patient.flair, drawn.stream("flair position"), model)
    signal = head_signal(head, lesions, patient, drawn.stream("flair tissue"), image)
    scan = scan_flair(signal, head, grid, drawn.stream("flair scan"), model)
    step = float(model["step_mm"])
    wmh, lost = (_seen(values, head, grid, step) for values in (lesions.wmh.tissue, lesions.any_infarct))
    return FlairScan(scan, wmh, lost, grid)


def _seen(values: FloatArray, head: Head, grid: Grid, step_mm: float) -> Image:
    return Image(sample_share(values, head.affine, grid, step_mm=step_mm), grid.affine)


def ct_to_flair(ct: CtScan, flair: FlairScan) -> sitk.CompositeTransform:
    """Exact transform from points of the CT (LPS mm) to points of the FLAIR."""
    import SimpleITK as sitk

    place = to_itk(np.linalg.inv(flair.grid.pose) @ ct.pose)
    distortion = flair.grid.distortion
    return sitk.CompositeTransform([place] if distortion is None else [distortion.appears(), place])
