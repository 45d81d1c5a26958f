"""Who the patients are: centre, age, sex, risk factors, lesion load, stroke, treatment, MRI."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit

from la_outcomes.simulation.clinical_draws import Columns, Draws, FloatArray, pick
from la_outcomes.simulation.clinical_terms import (
    centre_effect,
    kept_inside,
    linear_predictor,
    ordinal,
    probability,
)


def draw_patients(draws: Draws, cohort: dict[str, Any], clinical: dict[str, Any]) -> Columns:
    """Return one array a variable for ``draws.n`` candidates of a cohort, drawn from cause to effect.

    Units stand in the names; 0/1 variables are boolean, ``tissue_sd`` is in fixed SD of ln(tissue + 1).
    """
    columns: Columns = {"site": _sites(draws, cohort, clinical["centres"])}
    columns |= _age_and_sex(draws, cohort, clinical["age_range_years"])
    for name, model in clinical["risk_factors"].items():
        columns[name] = draws.uniform(name) < probability(columns, model)
    for name, model in clinical["measurements"].items():
        columns[name] = _measurement(draws, columns, name, model)
    columns["glucose_mmol_l"] = np.exp(
        _measurement(draws, columns, "ln_glucose", clinical["ln_glucose_mmol_l"])
    )
    columns |= _lesion_load(draws, columns, clinical)
    columns |= _stroke(draws, columns, clinical)
    columns["mri_selected"] = draws.uniform("mri") < probability(columns, clinical["mri"])
    return columns


def _sites(draws: Draws, cohort: dict[str, Any], centres: dict[str, Any]) -> np.ndarray:
    weights = [1.0 / (rank + centres["size_offset"]) for rank in range(len(cohort["centres"]))]
    return pick(draws.uniform("site"), cohort["centres"], weights)


def _age_and_sex(draws: Draws, cohort: dict[str, Any], limits: list[float]) -> Columns:
    mean, sd = cohort["age_mean"], cohort["age_sd"]
    low, high = (limits[0] - mean) / sd, (limits[1] - mean) / sd
    return {
        "age_years": np.round(mean + sd * draws.truncated_normal("age", low, high), 1),
        "sex": np.where(draws.uniform("sex") < cohort["female"], "female", "male").astype(object),
    }


def _measurement(draws: Draws, columns: Columns, name: str, model: dict[str, Any]) -> FloatArray:
    value = linear_predictor(columns, model) + model["sd"] * draws.normal(name)
    return kept_inside(value, model["range"])


def _lesion_load(draws: Draws, columns: Columns, clinical: dict[str, Any]) -> Columns:
    model, scale, visible = clinical["tissue"], clinical["tissue_scale"], clinical["visible"]
    mean = linear_predictor(columns, model) + centre_effect(columns, "tissue", model["centre"], draws.seed)
    highest = (np.log(model["max_ml"]) - mean) / model["sd"]
    tissue = np.exp(mean + model["sd"] * draws.truncated_normal("tissue", -np.inf, highest))
    load: Columns = {
        "tissue_volume_ml": tissue,
        "tissue_sd": (np.log1p(tissue) - scale["mean"]) / scale["sd"],
    }
    share = expit(linear_predictor(columns | load, visible) + visible["sd"] * draws.normal("visible"))
    icv = _measurement(draws, columns, "icv", clinical["icv_ml"])
    brain = _measurement(draws, columns | load, "brain", clinical["brain_fraction"])
    return load | {"visible_la_volume_ml": share * tissue, "icv_ml": icv, "brain_volume_ml": icv * brain}


def _stroke(draws: Draws, columns: Columns, clinical: dict[str, Any]) -> Columns:
    stroke: Columns = {"infarct_volume_ml": _infarct_ml(draws, columns, clinical["infarct"])}
    hours = clinical["onset_to_ct_hours"]
    onset = np.exp(hours["ln_mean"] + hours["ln_sd"] * draws.normal("onset"))
    stroke["onset_to_ct_hours"] = kept_inside(onset, hours["range"])
    severity = clinical["nihss"]
    latent = linear_predictor(columns | stroke, severity) + severity["sd"] * draws.normal("nihss")
    stroke["nihss_admission"] = np.clip(np.floor(np.exp(latent) - 0.5), 0, 42)
    stroke["reperfusion_treatment"] = _treatment(draws, columns | stroke, clinical["reperfusion"])
    before = dict(clinical["pre_stroke_mrs"])
    thresholds = before.pop("thresholds")
    predictor = linear_predictor(columns | stroke, before)
    stroke["pre_stroke_mrs"] = ordinal(draws.uniform("pre_stroke_mrs"), predictor, thresholds)
    return stroke


def _infarct_ml(draws: Draws, columns: Columns, model: dict[str, Any]) -> FloatArray:
    model = dict(model)
    none = draws.uniform("infarct_none") < model.pop("none_probability")
    mean = linear_predictor(columns, model)
    highest = (np.log(model["max_ml"]) - mean) / model["sd"]
    volume = np.exp(mean + model["sd"] * draws.truncated_normal("infarct", -np.inf, highest))
    return np.where(none, 0.0, volume)


def _treatment(draws: Draws, columns: Columns, models: dict[str, Any]) -> np.ndarray:
    given = {kind: _given(draws, columns, kind, model) for kind, model in models.items()}
    intravenous, endovascular = given["intravenous"], given["endovascular"]
    cases = [intravenous & endovascular, intravenous, endovascular]
    return np.select(cases, ["both", "intravenous", "endovascular"], "none").astype(object)


def _given(draws: Draws, columns: Columns, kind: str, model: dict[str, Any]) -> np.ndarray:
    model = dict(model)
    in_time = columns["onset_to_ct_hours"] <= model.pop("within_hours")
    severe = columns["nihss_admission"] >= model.pop("minimum_nihss", 1)
    return in_time & severe & (draws.uniform(kind) < probability(columns, model))
