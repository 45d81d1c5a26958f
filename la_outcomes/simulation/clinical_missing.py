"""Which values are missing, by a stated mechanism that never looks at the missing value itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, logit

from la_outcomes.errors import InputError
from la_outcomes.simulation.clinical_draws import Columns, Draws
from la_outcomes.simulation.clinical_terms import linear_predictor

MECHANISMS = ("none", "mcar", "mar")


def draw_missing(draws: Draws, columns: Columns, model: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return, for each variable in ``rates``, the (n,) mask of missing values.

    ``mcar``: with the stated rate. ``mar``: logit of the rate plus ``mar_terms`` of age, NIHSS and MRI, which
    are always known, so the rate is the rate at the terms' reference. ``none``: nothing is missing.

    Raises
    ------
    InputError
        Another mechanism.
    """
    mechanism = model["mechanism"]
    if mechanism not in MECHANISMS:
        raise InputError(
            f"missingness mechanism {mechanism!r} is not known",
            where="parameters.yaml: clinical.missingness.mechanism",
            hint=f"use one of {', '.join(MECHANISMS)}",
        )
    if mechanism == "none":
        return {name: np.zeros(draws.n, dtype=bool) for name in model["rates"]}
    terms = model["mar_terms"] if mechanism == "mar" else {}
    shift = linear_predictor(columns, terms)
    return {
        name: draws.uniform(f"missing/{name}") < expit(logit(rate) + shift)
        for name, rate in model["rates"].items()
    }
