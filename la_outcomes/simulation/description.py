"""The clinical simulation as a page: its causal diagram and its coefficients, from parameters.yaml.

``python -m la_outcomes.simulation.description > docs/simulator_patients.md`` writes it; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from la_outcomes.simulation.parameters import Parameters, load_parameters

_NODES = {
    "age": "age, sex",
    "risk": "hypertension, diabetes, lipids, smoking, atrial fibrillation, prior stroke",
    "body": "BMI, blood pressure, glucose",
    "centre": "centre",
    "tissue": "WMH: tissue_volume_ml",
    "visible": "visible_la_volume_ml",
    "ct": "LA measured on CT",
    "wmh": "WMH measured on MRI",
    "fazekas": "Fazekas by two readers",
    "infarct": "infarct volume",
    "nihss": "NIHSS",
    "treatment": "reperfusion treatment",
    "before": "pre-stroke mRS",
    "mri": "gets an MRI",
    "mrs": "mRS at 3 months",
    "death": "death after day 90",
    "recurrence": "recurrence",
    "missing": "value is missing",
}
_CAUSES = {
    "age_decades": "age", "female": "age", "systolic_decades": "body", "glucose": "body", "bmi": "body",
    "ln_infarct": "infarct", "nihss": "nihss", "reperfusion": "treatment", "no_mri": "mri",
    "tissue_sd": "tissue", "pre_stroke_mrs": "before", "centre": "centre",
}  # fmt: skip
# what is not a coefficient but built into the code
_BUILT_IN = (
    ("tissue", "visible"), ("visible", "ct"), ("infarct", "ct"), ("centre", "ct"), ("tissue", "wmh"),
    ("visible", "fazekas"), ("mrs", "death"),
)  # fmt: skip
_SHAPE = ("intercept", "sd", "range", "max_ml", "centre", "thresholds", "yearly_hazard", "after_day",
          "none_probability", "within_hours", "minimum_nihss")  # fmt: skip


def models(clinical: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(node of the diagram, name, table of coefficients) of each model of ``parameters["clinical"]``."""
    for name, model in clinical["risk_factors"].items():
        yield "risk", name, model
    for name, model in clinical["measurements"].items():
        yield "body", name, model
    yield "body", "ln(glucose)", clinical["ln_glucose_mmol_l"]
    yield "tissue", "ln(tissue mL)", clinical["tissue"]
    yield "visible", "logit(visible share)", clinical["visible"]
    yield "infarct", "ln(infarct mL)", clinical["infarct"]
    yield "nihss", "ln(NIHSS + 0.5)", clinical["nihss"]
    for name, model in clinical["reperfusion"].items():
        yield "treatment", f"treatment, {name}", model
    yield "before", "pre-stroke mRS", clinical["pre_stroke_mrs"]
    yield "mri", "MRI", clinical["mri"]
    outcome = clinical["outcome"]
    yield "mrs", "mRS at 3 months", {"thresholds": outcome["thresholds"], **outcome["coefficients"]}
    yield "death", "ln(hazard) of death", clinical["death"]
    yield "recurrence", "ln(hazard) of recurrence", clinical["recurrence"]
    yield "missing", "missing (mar)", clinical["missingness"]["mar_terms"]


def edges(clinical: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(cause, effect) of the diagram: one for each group of coefficients, and what the code builds in."""
    found = dict.fromkeys(_BUILT_IN)
    for node, _, model in models(clinical):
        for term in model:
            if term in _SHAPE and term != "centre":
                continue
            cause = _CAUSES.get(term, "risk")
            if cause != node:
                found[(cause, node)] = None
    return list(found)


def diagram(clinical: Mapping[str, Any]) -> str:
    """The causal diagram as Mermaid."""
    lines = ["flowchart LR", *(f'  {name}["{label}"]' for name, label in _NODES.items())]
    return "\n".join(lines + [f"  {cause} --> {effect}" for cause, effect in edges(clinical)])


def coefficients(clinical: Mapping[str, Any]) -> str:
    """All coefficients as a Markdown table, one row a model."""
    lines = ["| effect | shape | coefficients |", "|---|---|---|"]
    for _, name, model in models(clinical):
        shape = ", ".join(f"{key} {_plain(model[key])}" for key in _SHAPE if key in model)
        terms = ", ".join(f"{key} {value:+g}" for key, value in model.items() if key not in _SHAPE)
        lines.append(f"| {name} | {shape} | {terms} |")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return ", ".join(f"{part:g}" for part in value) if isinstance(value, list) else f"{value:g}"


def page(parameters: Parameters) -> str:
    """The page docs/simulator_patients.md."""
    clinical = parameters["clinical"]
    fazekas, measurement = clinical["fazekas"], clinical["measurement"]
    rates = clinical["missingness"]["rates"].items()
    return _PAGE.format(
        version=parameters["version"],
        diagram=diagram(clinical),
        coefficients=coefficients(clinical),
        scale=clinical["tissue_scale"],
        changes=_plain(clinical["outcome"]["cut_point_changes"]),
        rates=", ".join(f"{name} {rate:g}" for name, rate in rates),
        fazekas=fazekas,
        noise=fazekas["noise_sd"],
        second=round(100 * fazekas["second_pass_share"]),
        slope=measurement["slope"],
        leak=round(100 * measurement["infarct_leak"]["probability"]),
    )


_PAGE = """# The simulated patients, version {version}

Written by `python -m la_outcomes.simulation.description`; the numbers are those of `parameters.yaml`.

## Who causes what

```mermaid
{diagram}
```

NIHSS, infarct volume and treatment lie between WMH and the mRS, or share causes with it; who adjusts
for NIHSS asks for the direct effect. Whether a patient gets an MRI depends on age, severity and
pre-stroke state, so the imaged are not all: everybody has one in the cohorts of training and testing,
in the clinical cohort they are selected. The error of the CT volume contains a share of some infarcts,
a cause of the outcome: it is differential.

## Coefficients

Terms: age_decades = (age - 68) / 10; systolic_decades = (systolic - 145) / 10; glucose = mmol/L - 7;
bmi - 24; ln_infarct = ln(mL + 1) - 1.5; nihss - 5; tissue_sd = (ln(tissue mL + 1) - {scale[mean]:g}) /
{scale[sd]:g}; the others are 1 for yes. `centre` is the SD of a random effect. Yes/no models are
logistic; ordinal ones have logit P(Y > k) = terms - threshold k, so that a positive coefficient makes a
worse mRS. The common odds ratio of the mRS per SD of WMH is exp(tissue_sd).

{coefficients}

## Options

- `--non-proportional`: the coefficient of tissue_sd is changed by {changes} at the six cut points;
  there is then no common odds ratio and `true_log_or_per_sd` is NULL.
- `--missing none|mcar|mar`: rates {rates}; under mar the logit moves by the terms of the table.
- `--repeat-share S`: these patients have a second CT of the same head (`-ct2`), on the same scanner
  with another position and noise: what differs between the two is measurement error.
- `--parameters FILE`: anything else of `parameters.yaml`. Whatever changes a parameter changes the
  version.

## Readings and measurement

- Fazekas: cuts of {fazekas[scale]:g} x ln(visible mL + 1) + the reader's shift + noise of SD
  {noise[base]:g} + {noise[low_load]:g} exp(-visible / {noise[low_load_ml]:g} mL): readers disagree most
  where little is visible. {second} % are read twice.
- Without images: ln(LA + 1) = {slope:g} ln(visible + 1) + vendor + error, plus, in {leak} % of
  patients, a share of the infarct.
- Validation pairs for measurement error are patients with both `la_measurements` (CT) and
  `wmh_measurements` (MRI): all of `internal_validation`, `external_test` and `us_test`, whose outcomes
  need not be used.
"""


if __name__ == "__main__":
    print(page(load_parameters()), end="")
