"""Mediation: known truth, identities, and that every output says exploratory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.linear import fit_linear
from la_outcomes.analysis.mediation import agrema_table, mediate
from la_outcomes.errors import StatisticsError


def patients(n: int = 1500, seed: int = 1, confounding: float = 0.0) -> pd.DataFrame:
    """age -> volume (0.6) -> outcome (0.5), age -> outcome (0.3); a hidden cause of volume and outcome."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=n)
    frame = pd.DataFrame({"age": rng.normal(size=n), "sex": rng.integers(0, 2, n)})
    frame["volume"] = 0.6 * frame["age"] + 0.2 * frame["sex"] + confounding * hidden + rng.normal(size=n)
    eta = 0.3 * frame["age"] + 0.5 * frame["volume"] + confounding * hidden
    frame["y"] = eta + rng.normal(size=n)
    frame["mrs"] = np.searchsorted([-1.5, -0.5, 0.5, 1.5], eta + rng.logistic(size=n))
    return frame


DATA = patients()


def test_linear_effects_are_the_product_of_paths_and_add_up() -> None:
    result = mediate(DATA, "age", "volume", "y", ["sex"], contrast=(-1, 1), n_draws=200)
    effect = result.effects.set_index("effect")
    a, b = result.paths["estimate"][:2]
    assert effect.loc["indirect", "estimate"] == pytest.approx(2 * a * b)
    total = fit_linear(DATA, "y", ["age", "sex"]).coefficients["estimate"][1]
    assert effect.loc["total", "estimate"] == pytest.approx(2 * total)
    assert effect.loc["indirect", "ci_low"] < 0.6 < effect.loc["indirect", "ci_high"]
    assert effect.loc["proportion mediated", "estimate"] == pytest.approx(0.5, abs=0.08)


def test_ordinal_effects_on_three_scales() -> None:
    result = mediate(DATA, "age", "volume", "mrs", ["sex"], "ordinal", threshold=3, n_draws=100)
    table = result.effects.set_index(["scale", "effect"])["estimate"]
    assert set(result.effects["scale"]) == {"mean", "latent", "P(outcome >= 3)"}
    for scale in ("mean", "latent", "P(outcome >= 3)"):
        assert table[scale, "indirect"] + table[scale, "direct"] == pytest.approx(table[scale, "total"])
        assert table[scale, "indirect"] > 0
    a, b, c = result.paths["estimate"]
    assert table["latent", "indirect"] == pytest.approx(a * b)
    assert table["latent", "direct"] == pytest.approx(c)
    assert table["latent", "indirect"] == pytest.approx(0.3, abs=0.08)


def test_the_mean_of_an_ordinal_outcome_is_what_simulation_gives() -> None:
    result = mediate(DATA, "age", "volume", "mrs", [], "ordinal", n_draws=50)
    models = result.models
    assert models is not None
    rng = np.random.default_rng(0)
    a, b, c = result.paths["estimate"]
    cuts = models.second.thresholds["estimate"].to_numpy()
    noise, latent = models.first.sigma * rng.normal(size=400_000), rng.logistic(size=400_000)

    def mean(x: float, under: float) -> float:
        mediator = models.first.parameters[0] + a * under + noise
        return float(np.searchsorted(cuts, c * x + b * mediator + latent).mean())

    table = result.effects.set_index(["scale", "effect"])["estimate"]
    assert table["mean", "total"] == pytest.approx(mean(1, 1) - mean(0, 0), abs=0.01)
    indirect = (mean(1, 1) - mean(1, 0) + mean(0, 1) - mean(0, 0)) / 2
    assert table["mean", "indirect"] == pytest.approx(indirect, abs=0.01)


def test_every_output_is_named_exploratory() -> None:
    result = mediate(DATA, "age", "volume", "mrs", ["sex"], "ordinal", n_draws=50)
    outputs = [result.to_frame(), result.paths, result.sensitivity.to_frame(), agrema_table(result)]
    assert all((table["status"] == "exploratory").all() for table in outputs)
    assert result.status == "exploratory"
    assert result.assumptions[0].startswith("exploratory")


def test_agrema_is_filled_where_the_analysis_knows_and_waits_elsewhere() -> None:
    result = mediate(DATA, "age", "volume", "y", ["sex"], n_draws=50)
    table = agrema_table(result, {"why this mechanism": "age raises lesion load"}).set_index("item")[
        "reported"
    ]
    assert table["why this mechanism"] == "age raises lesion load"
    assert "indirect" in table["estimates with uncertainty"]
    assert table["assumed causal model"] == "age -> volume -> y"
    assert (table == "to be stated by the authors").sum() == 6
    with pytest.raises(StatisticsError, match="no item"):
        agrema_table(result, {"weather": "fine"})


def test_sensitivity_undoes_a_hidden_cause_of_known_size() -> None:
    confounded = patients(40_000, confounding=0.7)
    result = mediate(confounded, "age", "volume", "y", ["sex"], n_draws=50)
    biased = result.effects.set_index("effect").loc["indirect", "estimate"]
    assert biased > 0.4
    a, b = result.paths["estimate"][:2]
    sd = result.models.first.sigma  # type: ignore[union-attr]
    assert a * (b - 0.7 * (0.7 / sd) / sd) == pytest.approx(0.3, abs=0.02)
    assert result.sensitivity.null_product == pytest.approx(b * sd)
    rho = result.sensitivity.rho.set_index("rho")["indirect"]
    assert rho[0.0] == pytest.approx(a * b, rel=1e-3)
    at_zero = result.sensitivity.rho_at_zero
    assert rho[rho.index < at_zero].min() > 0 > rho[rho.index > at_zero].max()


def test_an_ordinal_outcome_has_an_e_value() -> None:
    result = mediate(DATA, "age", "volume", "mrs", ["sex"], "ordinal", n_draws=50).sensitivity
    assert result.rho_at_zero is None
    assert result.e_value is not None
    assert result.e_value > 1
    assert "E-value" in result.in_words()


def test_interaction_clusters_and_seed() -> None:
    data = DATA.assign(centre=np.arange(len(DATA)) % 40)
    runs = [
        mediate(data, "age", "volume", "y", interaction=True, cluster="centre", n_draws=100, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert runs[0].effects.equals(runs[1].effects)
    assert not runs[0].effects.equals(runs[2].effects)
    assert runs[0].effects["estimate"][0] == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mediator": "age"}, "two roles"),
        ({"contrast": (1, 1)}, "contrast"),
        ({"kind": "binary"}, "kind="),
        ({"outcome": "mrs", "kind": "ordinal", "threshold": 9}, "both sides"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message) -> None:
    arguments = {"exposure": "age", "mediator": "volume", "outcome": "y", "n_draws": 50} | change
    with pytest.raises(StatisticsError, match=message):
        mediate(DATA, **arguments)
