"""The coverage scenarios of time to event, prediction, measurement error and the rest run and yield rows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "coverage_scenarios"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scenarios_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SECOND, ERROR = load("second_half"), load("measurement_error")


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
