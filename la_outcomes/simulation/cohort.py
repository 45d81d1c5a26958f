"""A simulated cohort on disk: images, truth, transforms, tables of work and result shards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from la_outcomes.dictionary import load_dictionary
from la_outcomes.errors import InputError
from la_outcomes.execution import Jobs, Outcome, map_cases, raise_if_any_failed
from la_outcomes.provenance import Run
from la_outcomes.shards import Rows, read_shard, shard_path
from la_outcomes.simulation.anatomy import list_anatomies
from la_outcomes.simulation.clinical import ClinicalSimulation, simulate_clinical
from la_outcomes.simulation.cohort_tables import write_tables
from la_outcomes.simulation.fields import drawn as normal
from la_outcomes.simulation.fields import stream
from la_outcomes.simulation.infarcts import list_infarcts
from la_outcomes.simulation.outputs import Outputs
from la_outcomes.simulation.parameters import Parameters, load_parameters
from la_outcomes.simulation.patient import CtSettings, FlairSettings, PatientSpec
from la_outcomes.simulation.patient_case import KIND, PatientCase, simulate_patient
from la_outcomes.simulation.split import anatomies_for, infarcts_for

_ROWS_OF_PATIENTS = (
    "patients",
    "scans",
    "pairs",
    "simulation_truth",
    "clinical",
    "outcomes",
    "fazekas_ratings",
)


def simulate_cohort(
    out_dir: str | Path,
    patients: int | Mapping[str, int],
    seed: int,
    *,
    anatomies: str | Path | None = None,
    infarcts: str | Path | None = None,
    preset: str = "routine",
    jobs: Jobs = 1,
    parameters: Parameters | None = None,
    outputs: Outputs | None = None,
) -> list[Outcome]:
    """Simulate patients with images; returns one outcome a patient.

    Parameters
    ----------
    out_dir : gets ``images/<patient_id>/`` (ct, flair, truth maps, ct_to_flair.h5), ``scans.csv``,
        ``pairs.csv`` and one shard a patient. Patients without an MRI have no FLAIR and no pair.
    patients : how many, in the default proportions of the cohorts, or how many of each cohort.
    seed : same seed, same bytes of every image, whatever ``jobs`` and the number of patients.
    anatomies : folder of FreeSurfer label maps; None = the embedded template.
    infarcts : folder of infarct masks in MNI152 space; None = modelled infarcts.
    preset : of ``parameters["image"]["presets"]``: "routine" (0.4-0.5 mm pixels) or "small" (about 1 mm,
        for demonstrations and tests).
    parameters : from ``load_parameters``; the packaged ones where None.
    outputs : names of the files, and whether scans are written as DICOM too.

    Raises
    ------
    InputError
        Unknown preset or cohort, or no anatomy or infarct mask in the part a cohort needs.
    PartlyDoneError
        Some patients failed; the tables list the others.
    """
    out_dir = Path(out_dir)
    parameters = _with_preset(parameters or load_parameters(), preset)
    clinical = _clinical(patients, seed, parameters)
    settings = {"seed": seed, "preset": preset, "simulator_version": parameters["version"]}
    run = Run("simulate", {**settings, "image": parameters["image"]}, seed)
    outputs = outputs or Outputs()
    sources = _Sources(anatomies, infarcts)
    by_patient = _rows_by_patient(clinical)
    cases = [
        _case(out_dir, row, by_patient[row["patient_id"]], sources, (seed, parameters, run), outputs)
        for row in _complete_rows(clinical)
    ]
    # one anatomy after the other: a worker keeps the last ones it read
    in_turn = sorted(cases, key=lambda case: case.anatomy)
    outcomes = map_cases(simulate_patient, in_turn, jobs=jobs, label="simulating heads")
    done = {outcome.case_id for outcome in outcomes if outcome.succeeded}
    finished = [case for case in cases if case.case_id in done]
    rows = [read_shard(shard_path(out_dir, KIND, case.key))["rows"] for case in finished]
    write_tables(out_dir, rows, outputs)
    raise_if_any_failed(outcomes, what="simulated patients")
    return outcomes


def simulate_without_images(
    out_dir: str | Path, patients: int | Mapping[str, int], seed: int, parameters: Parameters | None = None
) -> list[Path]:
    """Simulate patients whose volumes come from the declared measurement-error model.

    Writes one bulk shard a registry table and returns their paths. Arguments as for ``simulate_cohort``.
    """
    from la_outcomes.bulk import write_bulk

    parameters = parameters or load_parameters()
    clinical = _clinical(patients, seed, parameters)
    settings = {"seed": seed, "simulator_version": parameters["version"]}
    run = Run("simulate --no-images", {**settings, "clinical": parameters["clinical"]}, seed)
    dictionary = load_dictionary().tables
    paths = []
    for table, frame in clinical.tables.items():
        if "run_id" in dictionary[table].columns:
            frame = frame.assign(run_id=run.run_id)
        if len(frame):
            paths.append(write_bulk(out_dir, kind="simulation", table=table, frame=frame, run=run))
    return paths


def _clinical(patients: int | Mapping[str, int], seed: int, parameters: Parameters) -> ClinicalSimulation:
    if isinstance(patients, Mapping):
        return simulate_clinical(patients, None, seed, parameters)
    return simulate_clinical(None, patients, seed, parameters)


def _with_preset(parameters: Parameters, preset: str) -> Parameters:
    presets = parameters["image"]["presets"]
    if preset not in presets:
        raise InputError(f"no preset {preset!r}", where="preset", hint=f"one of {', '.join(presets)}")
    image = {**parameters["image"], "preset": preset}
    step = presets[preset]["step_mm"]
    image |= {modality: {**image[modality], "step_mm": step} for modality in ("ct", "flair")}
    return {**parameters, "image": image}


class _Sources:
    """Folders of anatomies and infarct masks, listed once, and what each cohort may take of them."""

    def __init__(self, anatomies: str | Path | None, infarcts: str | Path | None) -> None:
        self.folder = None if anatomies is None else Path(anatomies)
        self._names = list_anatomies(anatomies)
        self._masks = [] if infarcts is None else list_infarcts(infarcts)
        self._known: dict[str, tuple[list[str], tuple[Path, ...]]] = {}

    def of(self, cohort: str) -> tuple[list[str], tuple[Path, ...]]:
        """Anatomies and masks of a cohort."""
        if cohort not in self._known:
            masks = infarcts_for(cohort, self._masks) if self._masks else []
            self._known[cohort] = (anatomies_for(cohort, self._names), tuple(masks))
        return self._known[cohort]


def _complete_rows(clinical: ClinicalSimulation) -> list[dict[str, Any]]:
    """Everything drawn of each patient, nothing missing, with the patient's id."""
    complete = clinical.complete.assign(patient_id=clinical.tables["patients"]["patient_id"].to_numpy())
    return [{str(name): value for name, value in row.items()} for row in complete.to_dict("records")]


def _rows_by_patient(clinical: ClinicalSimulation) -> dict[str, Rows]:
    """Rows of the registry tables a patient, without what is missing (an absent key is NULL)."""
    patients = list(clinical.tables["patients"]["patient_id"])
    result: dict[str, Rows] = {patient: {table: [] for table in _ROWS_OF_PATIENTS} for patient in patients}
    owner = dict(
        zip(clinical.tables["scans"]["scan_id"], clinical.tables["scans"]["patient_id"], strict=True)
    )
    for table in _ROWS_OF_PATIENTS:
        for record in clinical.tables[table].to_dict("records"):
            row = {str(name): value for name, value in record.items() if not pd.isna(value)}
            patient = row.get("patient_id") or owner[row.get("scan_id") or row["ct_scan_id"]]
            result[patient][table].append(row)
    return result


def _case(
    out_dir: Path,
    drawn: Mapping[str, Any],
    rows: Rows,
    sources: _Sources,
    how: tuple[int, Parameters, Run],
    outputs: Outputs,
) -> PatientCase:
    seed, parameters, run = how
    names, masks = sources.of(str(drawn["cohort"]))
    rng = stream(seed, str(drawn["patient_id"]), "anatomy")
    return PatientCase(
        out_dir=out_dir,
        patient=_specification(drawn, seed, parameters["image"]),
        seed=seed,
        has_flair=bool(drawn["mri_selected"]),
        anatomy=names[int(rng.integers(len(names)))],
        anatomies=sources.folder,
        masks=masks,
        rows=rows,
        parameters=parameters,
        run=run,
        outputs=outputs,
    )


def _old_infarct_ml(drawn: Mapping[str, Any], seed: int, model: Mapping[str, Any]) -> float:
    """Volume of an earlier infarct, which some patients with a prior stroke have."""
    rng = stream(seed, str(drawn["patient_id"]), "old infarct volume")
    present = bool(drawn["prior_stroke"]) and rng.random() < model["probability_with_prior_stroke"]
    return float(np.exp(normal(model["ln_ml"], rng))) if present else 0.0


def _lower_thickness_mm(drawn: Mapping[str, Any], seed: int, model: Mapping[str, Any]) -> float | None:
    """Thickness of the lower slices where a scan has two stacks."""
    rng = stream(seed, str(drawn["patient_id"]), "ct stacks")
    thick = float(drawn["ct_slice_thickness_mm"]) >= model["from_thickness_mm"]
    return float(model["lower_thickness_mm"]) if thick and rng.random() < model["probability"] else None


def _specification(drawn: Mapping[str, Any], seed: int, image: Mapping[str, Any]) -> PatientSpec:
    """The head and scans that the clinical simulation asks for."""
    preset = image["presets"][image["preset"]]
    hours = float(drawn["onset_to_ct_hours"])
    thickness = float(drawn["flair_slice_thickness_mm"])
    at_flair = hours + 24 * float(drawn["days_between"])
    return PatientSpec(
        patient_id=str(drawn["patient_id"]),
        age_years=float(drawn["age_years"]),
        tissue_volume_ml=float(drawn["tissue_volume_ml"]),
        visible_volume_ml=float(drawn["visible_la_volume_ml"]),
        infarct_volume_ml=float(drawn["infarct_volume_ml"]),
        hours_from_onset=hours,
        old_infarct_volume_ml=_old_infarct_ml(drawn, seed, image["infarct"]["old"]),
        infarct_on_flair=at_flair > image["infarct"]["flair_positive_hours"],
        icv_ml=float(drawn["icv_ml"]),
        ct=CtSettings(
            manufacturer=str(drawn["ct_manufacturer"]),
            kernel=str(drawn["ct_kernel"]),
            kvp=float(drawn["ct_kvp"]),
            slice_thickness_mm=float(drawn["ct_slice_thickness_mm"]),
            slice_spacing_mm=float(drawn["ct_slice_thickness_mm"]),
            pixel_spacing_mm=max(float(drawn["ct_pixel_spacing_mm"]), preset["ct_pixel_spacing_mm"]),
            gantry_tilt_deg=float(drawn["ct_gantry_tilt_deg"]),
            lower_slice_thickness_mm=_lower_thickness_mm(drawn, seed, image["ct"]["two_stacks"]),
        ),
        flair=FlairSettings(thickness, thickness, max(preset["flair_pixel_spacing_mm"], min(thickness, 1.0))),
    )
