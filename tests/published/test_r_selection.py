"""Weighted fits against the figures of ``r/selection.R`` (survey 4.1-1)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.selection import compare_weighted, selection_weights

CASES = json.loads((Path(__file__).parent / "r" / "selection.json").read_text())["cases"]


@pytest.mark.parametrize(("kind", "tolerance"), [("linear", 1e-8), ("binary", 1e-8), ("ordinal", 1e-6)])
def test_weighted_fit_equals_survey_up_to_its_factor(kind, tolerance):
    """survey multiplies the variance by n/(n - 1); its svyolr stops at a gradient of about 1e-7."""
    data = pd.DataFrame(CASES["data"])
    n = len(data)
    chosen = np.arange(n) % 2
    weights = replace(selection_weights(data.assign(s=chosen), "s", ["x"]), weights=data["w"])
    table = compare_weighted(data, kind, ["x"], weights, kind).coefficients.set_index("estimate_of")
    row = table.loc["weighted"]
    assert row["estimate"] == pytest.approx(CASES[kind]["estimate"], rel=tolerance)
    assert row["se"] * np.sqrt(n / (n - 1)) == pytest.approx(CASES[kind]["se"], rel=tolerance)
