"""One patient's CT and FLAIR with everything that is known about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from la_outcomes.imaging.geometry import Image
from la_outcomes.simulation.anatomy import Anatomy
from la_outcomes.simulation.ct import ct_grid, head_hu, scan_ct
from la_outcomes.simulation.fields import FloatArray, stream
from la_outcomes.simulation.flair import flair_grid, head_signal, scan_flair
from la_outcomes.simulation.head import Head, build_head
from la_outcomes.simulation.infarcts import draw_infarct
from la_outcomes.simulation.lesions import WhiteMatterLesions, grow_wmh
from la_outcomes.simulation.parameters import Parameters, load_parameters
from la_outcomes.simulation.patient import PatientSpec
from la_outcomes.simulation.sampling import Grid, Matrix, sample_share, to_itk

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """A CT and a FLAIR of one head.

    ``ct``, ``flair``: int16. Truth as soft maps (share of a voxel, 0..1): ``visible_ct``, ``tissue_ct``,
    ``infarct_ct`` on the CT's grid, ``wmh_flair``, ``infarct_flair`` on the FLAIR's. Volumes in mL are
    those of the drawn head at 1 mm, which the maps repeat up to sampling. ``ct_to_flair``: CT points (LPS
    mm) to FLAIR points, exact. ``head`` and the 4x4 poses (scanner RAS mm to head RAS mm) are for tests.
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
    head: Head
    ct_pose: Matrix
    flair_pose: Matrix

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
    import SimpleITK as sitk

    image = (parameters or load_parameters())["image"]

    def part(name: str) -> np.random.Generator:
        return stream(seed, patient.patient_id, name)

    head = build_head(anatomy, patient, part("head"), image["head"])
    infarct = draw_infarct(
        head, patient.infarct_volume_ml, patient.infarct_mask, part("infarct"), image["infarct"]
    )
    wmh = grow_wmh(head, patient.tissue_volume_ml, patient.visible_volume_ml, infarct, part("wmh"), image)
    ct_seen, flair_seen = infarct * patient.infarct_on_ct, infarct * patient.infarct_on_flair
    ct_at = ct_grid(head, patient.ct, part("ct position"), image["ct"])
    hu = head_hu(head, wmh, ct_seen, patient, part("ct tissue"), image)
    ct = scan_ct(hu, head, ct_at, patient.ct, part("ct scan"), image["ct"])
    flair_at = flair_grid(head, patient.flair, part("flair position"), image["flair"])
    signal = head_signal(head, wmh, flair_seen, patient, part("flair tissue"), image)
    flair = scan_flair(signal, head, flair_at, part("flair scan"), image["flair"])
    truth = _truth_maps(head, wmh, ct_seen, flair_seen, (ct_at, flair_at), image)
    exact = sitk.CompositeTransform([to_itk(np.linalg.inv(flair_at.pose) @ ct_at.pose)])
    return SimulatedPair(
        ct=ct, flair=flair, **truth, ct_to_flair=exact,
        tissue_volume_ml=wmh.tissue_volume_ml, visible_la_volume_ml=wmh.visible_volume_ml,
        infarct_volume_ml=float(infarct.sum(dtype=np.float64)) / 1000.0,
        head=head, ct_pose=ct_at.pose, flair_pose=flair_at.pose,
    )  # fmt: skip


def _truth_maps(
    head: Head,
    wmh: WhiteMatterLesions,
    infarct_ct: FloatArray,
    infarct_flair: FloatArray,
    grids: tuple[Grid, Grid],
    image: dict[str, Any],
) -> dict[str, Image]:
    ct, flair = grids

    def seen(values: FloatArray, grid: Grid, model: dict[str, Any]) -> Image:
        share = sample_share(values, head.affine, grid, step_mm=model["step_mm"])
        return Image(share, grid.affine)

    return {
        "visible_ct": seen(wmh.visible, ct, image["ct"]),
        "tissue_ct": seen(wmh.tissue, ct, image["ct"]),
        "infarct_ct": seen(infarct_ct, ct, image["ct"]),
        "wmh_flair": seen(wmh.tissue, flair, image["flair"]),
        "infarct_flair": seen(infarct_flair, flair, image["flair"]),
    }
