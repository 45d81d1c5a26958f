"""The coverage scenarios of time to event, prediction, measurement error and the rest run and yield rows."""

from __future__ import annotations

import numpy as np
import pytest
from benchmark_scripts import load_script

SECOND, ERROR = (load_script(f"coverage_scenarios/{name}") for name in ("second_half", "measurement_error"))


@pytest.mark.parametrize("name", SECOND.SCENARIOS)
def test_intervals_hold_their_estimates_and_are_near_the_truth(name):
    rows = list(SECOND.SCENARIOS[name](np.random.default_rng(5)))
    assert rows
    for interval, truth, estimate, low, high in rows:
        assert low < estimate < high, interval
        if (name, interval) not in SECOND.KNOWN:
            assert abs(estimate - truth) < 1.5 * (high - low), interval


@pytest.mark.parametrize(("variant", "reliability"), [("", 0.95), ("zeros", 0.7)])
def test_every_method_is_shown_beside_naive_and_true(variant, reliability, monkeypatch):
    monkeypatch.setattr(ERROR, "N_BOOT", 40)
    setting = ERROR.Setting("linear", reliability, 400, variant)
    assert setting.name in ERROR.SCENARIOS
    rows = {row[0]: row for row in ERROR.scenario(setting, np.random.default_rng(1))}
    assert list(rows)[:2] == ["true", "naive"]
    assert sum("transport=error" in name for name in rows) == 2
    assert {row[1] for row in rows.values()} == {ERROR.EFFECT}
