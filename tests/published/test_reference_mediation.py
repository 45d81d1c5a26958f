"""Case X01: JOBS II, job-search training, job-seeking self-efficacy and depression (R mediation 4.5.1)."""

from __future__ import annotations

import pytest

from la_outcomes.analysis.mediation import mediate


@pytest.fixture(scope="module")
def result(reference):
    data = reference.table("jobs.csv")
    return mediate(
        data, "treat", "job_seek", "depress2", ["econ_hard", "sex", "age"], n_draws=5000, seed=1
    ), reference.expected("X01")


def test_paths_and_effects(result):
    fit, expected = result
    paths = fit.paths["estimate"].tolist()
    assert paths[:2] == pytest.approx([expected["a"], expected["b"]], rel=1e-6)
    effect = fit.effects.set_index("effect")["estimate"]
    assert [effect["indirect"], effect["direct"], effect["total"]] == pytest.approx(
        [expected["acme"], expected["ade"], expected["total"]], rel=1e-6
    )
    assert fit.sobel_se == pytest.approx(expected["sobel_se"], rel=1e-6)


def test_intervals(result):
    fit, expected = result
    table, simulated = fit.effects.set_index("effect"), expected["mediate_5000"]
    for effect, name in (("indirect", "acme"), ("direct", "ade"), ("total", "total")):
        interval = [table.loc[effect, "ci_low"], table.loc[effect, "ci_high"]]
        assert interval == pytest.approx(simulated[f"{name}_ci"], abs=0.006)
