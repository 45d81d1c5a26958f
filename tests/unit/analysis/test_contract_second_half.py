"""The public names of time to event, prediction, measurement error, mediation, selection and design."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis import prediction, survival
from la_outcomes.errors import StatisticsError

NAMES = {
    "survival": {
        "kaplan_meier": "days event",
        "log_rank": "days event group",
        "cox_regression": "frame days event terms",
        "fit_fine_gray": "frame time event terms",
        "cumulative_incidence": "days event",
        "restricted_mean": "days event horizon",
    },
    "prediction": {
        "auc": "y score",
        "compare_auc": "y a b",
        "nri": "y old new",
        "idi": "y old new",
        "calibration": "y risk",
        "net_benefit": "y risks",
        "optimism_bootstrap": "frame fit performance",
        "concordance": "y score",
        "compare_concordance": "y a b",
        "choose_cutoff": "y score",
        "apply_cutoff": "y score cutoff",
    },
    "measurement_error": {
        "regression_calibration": "cohort pairs outcome terms specification",
        "impute_true_exposure": "cohort pairs outcome terms specification",
        "reparameterised_imputation": "cohort pairs exposure truth predictors fit",
    },
    "mediation": {"mediate": "frame exposure mediator outcome"},
    "selection": {
        "selection_weights": "frame selected terms",
        "compare_weighted": "frame outcome terms weights",
    },
    "test_retest": {"repeated_scans": "frame patient measurement"},
    "design": {
        "power_ccc": "n ccc at_least",
        "power_subgroup": "n in_a in_b",
        "power_common_odds_ratio": "n odds_ratio distribution",
        "sample_size": "power_at",
    },
}
CASES = [(module, name) for module, functions in NAMES.items() for name in functions]


@pytest.mark.parametrize(("module", "name"), CASES)
def test_the_first_arguments_are_as_promised_and_all_others_have_defaults(module, name):
    function = getattr(import_module(f"la_outcomes.analysis.{module}"), name)
    parameters = list(inspect.signature(function).parameters.values())
    promised = NAMES[module][name].split()
    assert [p.name for p in parameters[: len(promised)]] == promised
    assert all(p.default is not p.empty for p in parameters[len(promised) :])
    text = inspect.getdoc(function) or ""
    assert "Raises" in text
    if module != "design":
        assert re.search(r"\b(19|20)\d\d\b|\bR\s+`", text), "neither source nor R function"


DATA = pd.DataFrame({"y": np.arange(40) % 2, "a": np.arange(40.0) % 7, "b": np.arange(40.0) % 5})
DATA["risk"], DATA["other"] = (DATA["a"] + 1) / 9, (DATA["b"] + 1) / 8


@pytest.mark.parametrize(
    ("function", "columns"),
    [
        (prediction.auc, ["y", "a"]),
        (prediction.compare_auc, ["y", "a", "b"]),
        (prediction.nri, ["y", "risk", "other"]),
        (prediction.idi, ["y", "risk", "other"]),
        (prediction.calibration, ["y", "risk"]),
        (prediction.concordance, ["a", "b"]),
        (prediction.compare_concordance, ["a", "b", "risk"]),
        (prediction.choose_cutoff, ["y", "a"]),
        (survival.kaplan_meier, ["a", "y"]),
        (survival.log_rank, ["a", "y", "b"]),
        (survival.cumulative_incidence, ["a", "y"]),
    ],
)
def test_columns_may_be_named(function, columns):
    named = function(*columns, frame=DATA)
    given = function(*(DATA[name].to_numpy() for name in columns))
    pd.testing.assert_frame_equal(named.to_frame(), given.to_frame())
    with pytest.raises(StatisticsError, match="no column"):
        function(columns[0], "weather", *columns[2:], frame=DATA)


def test_columns_of_risks_may_be_named():
    named = prediction.net_benefit("y", {"first": "risk"}, [0.3], frame=DATA).to_frame()
    pd.testing.assert_frame_equal(
        named, prediction.net_benefit(DATA["y"], {"first": DATA["risk"]}, [0.3]).table
    )


def test_results_have_the_promised_fields():
    area, both = prediction.auc("y", "a", frame=DATA), prediction.compare_auc("y", "a", "b", frame=DATA)
    assert {"auc", "ci_low", "ci_high"} <= set(area.to_frame())
    assert {"z", "p", "difference", "ci_low", "ci_high"} <= set(both.to_frame())
    frame = DATA.assign(event=DATA["y"] + (DATA["a"] > 5) * (DATA["y"] == 0) * 2, days=np.arange(40) + 1)
    fit = survival.fit_fine_gray(frame, "days", "event", ["b"])
    assert {"term", "estimate", "se", "hazard_ratio", "ci_low", "ci_high"} <= set(fit.to_frame())
