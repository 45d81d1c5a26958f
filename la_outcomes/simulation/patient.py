"""What a simulated patient's head and scans are asked to be."""

from __future__ import annotations

from dataclasses import dataclass, field

from la_outcomes.errors import InputError


@dataclass(frozen=True)
class CtSettings:
    """How the CT is taken. Lengths in mm; positive tilt leans the slices' front end upwards.

    ``lower_slice_thickness_mm``: contiguous slices through the base of the skull are this thick (None: as
    the others); the volume is then brought to an even grid as ``convert`` does it.
    """

    manufacturer: str = "GE"
    kernel: str = "STANDARD"
    kvp: float = 120.0
    slice_thickness_mm: float = 5.0
    slice_spacing_mm: float = 5.0
    pixel_spacing_mm: float = 0.45
    gantry_tilt_deg: float = 0.0
    lower_slice_thickness_mm: float | None = None


@dataclass(frozen=True)
class FlairSettings:
    """How the FLAIR is taken; ``has_skull`` False gives a brain-extracted image."""

    slice_thickness_mm: float = 5.0
    slice_spacing_mm: float = 5.0
    pixel_spacing_mm: float = 0.9
    has_skull: bool = True


@dataclass(frozen=True)
class PatientSpec:
    """One head to draw.

    ``tissue_volume_ml``: all WMH. ``visible_volume_ml``: of it what leaves contrast on CT (None: drawn).
    ``infarct_volume_ml``: native, of the stroke at hand, which is ``hours_from_onset`` old at the CT;
    ``old_infarct_volume_ml``: of an earlier one. ``icv_ml``: intracranial volume the head is scaled to
    before it is bent, which moves it by some percent (None: as the anatomy). ``infarct_mask``: path of a
    mask in MNI152 space to carry in (None: a modelled infarct).
    """

    patient_id: str = "patient"
    age_years: float = 68.0
    tissue_volume_ml: float = 10.0
    visible_volume_ml: float | None = None
    infarct_volume_ml: float = 0.0
    hours_from_onset: float = 24.0
    infarct_on_ct: bool = True
    infarct_on_flair: bool = True
    infarct_mask: str | None = None
    old_infarct_volume_ml: float = 0.0
    icv_ml: float | None = None
    ct: CtSettings = field(default_factory=CtSettings)
    flair: FlairSettings = field(default_factory=FlairSettings)

    def __post_init__(self) -> None:
        if not 0 <= self.tissue_volume_ml <= 200 or not 0 <= self.infarct_volume_ml <= 500:
            raise InputError(
                f"a head cannot hold {self.tissue_volume_ml} mL WMH and {self.infarct_volume_ml} mL infarct",
                where=self.patient_id,
                hint="0 to 200 mL WMH, 0 to 500 mL infarct",
            )
        if self.visible_volume_ml is not None and not 0 <= self.visible_volume_ml <= self.tissue_volume_ml:
            raise InputError(
                "the visible volume must lie between 0 and the tissue volume", where=self.patient_id
            )
