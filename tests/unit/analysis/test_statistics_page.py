"""The example of ``docs/statistics.md`` runs, and every function that the page names exists."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

PAGE = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text()


def test_example():
    rng = np.random.default_rng(0)
    n = 300
    cohort = pd.DataFrame(
        {
            "log_volume": rng.normal(size=n),
            "age": rng.normal(68, 12, n),
            "female": rng.integers(0, 2, n),
            "nihss": rng.poisson(5, n).astype(float),
            "site": rng.integers(0, 40, n),
        }
    )
    cohort["mrs_3m"] = np.digitize(0.4 * cohort["log_volume"] + rng.logistic(size=n), [-2, -1, 0, 1, 2, 3])
    cohort.loc[rng.random(n) < 0.1, "log_volume"] = np.nan
    pairs = pd.DataFrame({"ct_volume_ml": rng.gamma(2, 5, 40)})
    pairs["mri_volume_ml"] = pairs["ct_volume_ml"] * rng.lognormal(0, 0.2, 40)
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    complete = cohort.assign(log_volume=cohort["log_volume"].fillna(0.0))
    fitting, imputing = code.group(1).split("completed = ")
    names: dict[str, object] = {"cohort": complete, "pairs": pairs}
    exec(fitting, names)
    names["cohort"] = cohort
    exec("completed = " + imputing, names)
    assert len(names["completed"]) == 20


def test_names():
    rows = re.findall(r"^\| (?:`(\w+)`)? ?\| (.*?) \| .* \|$", PAGE, re.MULTILINE)
    module, found = "", 0
    for stated, functions in rows:
        module = stated or module
        for name in re.findall(r"`(\w+)`", functions):
            assert callable(getattr(import_module(f"la_outcomes.analysis.{module}"), name)), name
            found += 1
    assert found > 25
