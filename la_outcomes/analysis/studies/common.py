"""What several questions share: the patients asked about, the exposure on its scale, the adjustment sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from la_outcomes.analysis.cohort import Truth, load_cohort, load_other_volumes, load_truth
from la_outcomes.analysis.names import label
from la_outcomes.analysis.outputs import Outputs
from la_outcomes.analysis.results import FloatArray
from la_outcomes.analysis.study import Request
from la_outcomes.errors import StatisticsError

OFFSET_ML = 1.0
FEWEST_CENTRES = 10
DEMOGRAPHIC = ["age_years", "female"]
RISK_FACTORS = [
    *DEMOGRAPHIC, "hypertension", "diabetes", "atrial_fibrillation", "prior_stroke", "glucose_mmol_l",
    "pre_stroke_mrs",
]  # fmt: skip
SEVERITY = [*RISK_FACTORS, "nihss_admission", "reperfusion", "ln_infarct"]
NESTED_MRS = {
    "crude": [],
    "age and sex": DEMOGRAPHIC,
    "risk factors": RISK_FACTORS,
    "fully adjusted": SEVERITY,
}
NESTED_HAZARD = {
    "crude": [],
    "age and sex": DEMOGRAPHIC,
    "risk factors and severity": [
        *DEMOGRAPHIC, "hypertension", "diabetes", "atrial_fibrillation", "prior_stroke", "nihss_admission",
    ],
}  # fmt: skip


def patients_of(request: Request, outputs: Outputs) -> pd.DataFrame:
    """Load the population, tell the outputs about it, and add the derived covariates.

    Added: ``female``, ``reperfusion`` (any) as 0/1, ``ln_infarct`` = ln(infarct mL + 1) and the same of the
    volume in MNI space. Yes/no columns become 0/1 numbers, NaN where missing.
    """
    frame = load_cohort(request.registry, request.population)
    outputs.population(frame)
    return derive(frame)


def with_other_model(frame: pd.DataFrame, request: Request) -> pd.DataFrame:
    """Add ``other_model_ml``: the same CT's volume by another model than the one that counts, else NaN."""
    other = load_other_volumes(request.registry, request.population).set_index("patient_id")
    return frame.assign(other_model_ml=frame["patient_id"].map(other["other_model_ml"]).astype(float))


def derive(frame: pd.DataFrame) -> pd.DataFrame:
    """Add the derived covariates (see ``patients_of``) to rows of ``analysis_cohort``."""
    frame = frame.copy()
    for name in frame.columns:
        if frame[name].dtype.name in ("boolean", "bool") and name != "is_simulated":
            frame[name] = frame[name].astype("Float64").astype(float)
    frame["female"] = _is(frame["sex"], "female")
    frame["reperfusion"] = 1 - _is(frame["reperfusion_treatment"], "none")
    frame["ln_infarct"] = np.log1p(frame["infarct_volume_ml"].astype(float))
    frame["ln_infarct_mni"] = np.log1p(frame["infarct_volume_mni_ml"].astype(float))
    return frame


def _is(values: pd.Series, wanted: str) -> pd.Series:
    return (values == wanted).astype(float).where(values.notna(), np.nan)


@dataclass(frozen=True)
class Exposure:
    """A volume as the analyses use it: ln(mL + 1) in units of one stated SD.

    Attributes
    ----------
    column : the volume in mL.
    name : column of the scaled exposure in the frame.
    sd : the SD of ln(mL + 1) that one unit stands for.
    source : where the SD comes from, in words.
    truth : the simulation's truth, where all patients share one.
    """

    column: str
    name: str
    sd: float
    source: str
    truth: Truth | None

    @property
    def words(self) -> str:
        """How captions and result rows say it."""
        return f"per SD ({self.sd:.3g}; {self.source}) of ln({label(self.column)} in mL + {OFFSET_ML:g})"


def add_exposure(frame: pd.DataFrame, request: Request) -> tuple[pd.DataFrame, Exposure]:
    """Add the scaled exposure as column ``exposure``.

    The SD is the simulation's fixed one where all patients share a truth, so that naive and true estimates
    are per the same unit; else that of the patients with a volume.

    Raises
    ------
    StatisticsError
        No exposure was asked for, or nobody has a volume, or all volumes are equal.
    """
    column = request.exposure
    if column == "none":
        raise StatisticsError("no exposure was asked for", where="--exposure none")
    volume = frame[column].astype(float)
    if volume.notna().sum() < 2 or volume.nunique() < 2:
        raise StatisticsError(
            f"{int(volume.notna().sum())} of {len(frame)} patients have a volume, and it must vary",
            where=column,
        )
    truth = load_truth(request.registry, request.population)
    logs = np.log(volume + OFFSET_ML)
    sd = truth.sd if truth else float(logs.std())
    source = "fixed by the simulation" if truth else "of these patients"
    frame = frame.assign(exposure=logs / sd)
    return frame, Exposure(column, "exposure", sd, source, truth)


def quintiles(volume: pd.Series) -> pd.Series:
    """Fifths 1 to 5 of the measured volumes; ties go to the lower fifth, NaN where not measured.

    Raises
    ------
    StatisticsError
        Ties leave fewer than five fifths.
    """
    edges = quintile_edges(volume)
    fifth = np.searchsorted(edges, volume.to_numpy(dtype=float), side="left") + 1.0
    return pd.Series(np.where(volume.notna(), fifth, np.nan), index=volume.index)


def quintile_edges(volume: pd.Series) -> FloatArray:
    """The four inner limits of the fifths, in mL."""
    measured = volume.dropna().to_numpy(dtype=float)
    if len(np.unique(measured)) < 5:
        raise StatisticsError(
            f"{len(np.unique(measured))} different volumes make no fifths", where=str(volume.name)
        )
    edges = np.quantile(measured, [0.2, 0.4, 0.6, 0.8])
    if len(np.unique(edges)) < 4 or edges[0] >= measured.max():
        raise StatisticsError("tied volumes make no five groups", where=str(volume.name))
    return np.asarray(edges)


def cluster_column(frame: pd.DataFrame) -> str | None:
    """``site`` where everybody's centre is known and there are enough, else None (model-based errors)."""
    known = frame["site"].notna().all() and frame["site"].nunique() >= FEWEST_CENTRES
    return "site" if known else None


def errors_in_words(n_clusters: int | None) -> str:
    """How captions say which standard errors were used, with the warning that few centres need."""
    if n_clusters is None:
        return f"model-based standard errors (fewer than {FEWEST_CENTRES} centres)"
    few = "; with fewer than 30 the intervals are too narrow" if n_clusters < 30 else ""
    return f"standard errors robust to clustering in {n_clusters} centres{few}"


def usable_terms(frame: pd.DataFrame, wanted: list[str]) -> tuple[list[str], list[str]]:
    """Split covariates into those that vary in the data and those left out (absent or constant)."""
    varies = [name for name in wanted if name in frame and frame[name].nunique(dropna=True) > 1]
    return varies, [name for name in wanted if name not in varies]


def main_cohort(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The clinical cohort and its name, or everybody where no patient belongs to it."""
    clinical = frame[frame["cohort"] == "clinical"].reset_index(drop=True)
    return (frame, "all patients") if clinical.empty else (clinical, "clinical cohort")


def clinical_patients(request: Request, outputs: Outputs) -> pd.DataFrame:
    """Load the population and keep the clinical cohort, where outcomes are studied (see ``main_cohort``)."""
    cohort, name = main_cohort(patients_of(request, outputs))
    outputs.narrow(cohort, name)
    return cohort
