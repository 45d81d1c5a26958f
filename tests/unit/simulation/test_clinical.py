"""The clinical simulator keeps its promises: repeatable, consistent, known truth, stated mechanisms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.api import Logit

from la_outcomes.errors import InputError
from la_outcomes.simulation.clinical import ClinicalSimulation, cohort_sizes, simulate_clinical
from la_outcomes.simulation.clinical_terms import linear_predictor
from la_outcomes.simulation.parameters import load_parameters


@pytest.fixture(scope="module")
def simulation() -> ClinicalSimulation:
    return simulate_clinical(seed=11)


@pytest.fixture(scope="module")
def large() -> ClinicalSimulation:
    return simulate_clinical({"clinical": 40_000}, seed=5)


def _changed(clinical: Mapping[str, Any]) -> dict[str, Any]:
    return load_parameters({"clinical": clinical})


def test_default_sizes_are_those_of_the_study(simulation: ClinicalSimulation) -> None:
    sizes = simulation.tables["patients"]["cohort"].value_counts()
    assert sizes["training"] + sizes["internal_validation"] == 482
    assert (sizes["external_test"], sizes["us_test"], sizes["clinical"]) == (390, 100, 867)


def test_same_seed_same_tables_another_seed_other_patients(simulation: ClinicalSimulation) -> None:
    again = simulate_clinical(seed=11)
    for name, table in simulation.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])
    other = simulate_clinical(seed=12).tables["patients"]
    assert not set(other["patient_id"]) & set(simulation.tables["patients"]["patient_id"])


@pytest.mark.parametrize("cohort", ["clinical", "external_test"])
def test_a_patient_stays_the_same_when_more_are_simulated(cohort: str) -> None:
    few, many = (simulate_clinical({cohort: n}, seed=4).complete for n in (20, 300))
    pd.testing.assert_frame_equal(few, many.head(20))


@pytest.mark.parametrize("n", [0, 1, 7, 1000])
def test_shares_add_up(n: int) -> None:
    sizes = cohort_sizes(load_parameters()["clinical"]["cohorts"], None, n)
    assert sum(sizes.values()) == n


def test_nobody_gives_empty_tables_with_all_columns(simulation: ClinicalSimulation) -> None:
    empty = simulate_clinical(n=0).tables
    assert all(table.empty for name, table in empty.items() if name != "models")
    assert {name: list(table) for name, table in empty.items()} == {
        name: list(table) for name, table in simulation.tables.items()
    }


@pytest.mark.parametrize(
    "arguments",
    [{"n": -1}, {"n_by_cohort": {"nowhere": 3}}, {"n_by_cohort": {"clinical": -3}}, {"seed": -1},
     {"n": 3, "n_by_cohort": {"clinical": 3}}],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        simulate_clinical(**arguments)


def test_keys_hold_together(simulation: ClinicalSimulation) -> None:
    tables = simulation.tables
    patients, scans = set(tables["patients"]["patient_id"]), set(tables["scans"]["scan_id"])
    assert len(scans) == len(tables["scans"])
    assert set(tables["scans"]["patient_id"]) <= patients
    for table, column in [("pairs", "ct_scan_id"), ("pairs", "flair_scan_id"), ("la_measurements", "scan_id"),
                          ("wmh_measurements", "scan_id"), ("fazekas_ratings", "scan_id")]:  # fmt: skip
        assert set(tables[table][column]) <= scans, table
    assert not tables["fazekas_ratings"].duplicated(["scan_id", "rater", "pass_no"]).any()


def test_a_volume_or_a_reason_never_both(simulation: ClinicalSimulation) -> None:
    la = simulate_clinical({"clinical": 5000}).tables["la_measurements"]
    assert (la["la_volume_ml"].isna() == la["not_measured_reason"].notna()).all()
    assert la["la_volume_ml"].isna().mean() == pytest.approx(0.02, abs=0.006)
    assert (la["la_volume_ml"].dropna() >= 0).all()


def test_every_trained_or_tested_patient_has_a_pair_and_the_clinical_cohort_is_selected(
    simulation: ClinicalSimulation, large: ClinicalSimulation
) -> None:
    paired = set(simulation.tables["pairs"]["ct_scan_id"].str.removesuffix("-ct"))
    patients = simulation.tables["patients"]
    assert set(patients.loc[patients["cohort"] != "clinical", "patient_id"]) <= paired
    imaged, others = (
        large.complete[large.complete["mri_selected"]],
        large.complete[~large.complete["mri_selected"]],
    )
    assert imaged["age_years"].mean() < others["age_years"].mean() - 2
    assert imaged["nihss_admission"].mean() < others["nihss_admission"].mean() - 1


def test_death_and_mrs_agree(large: ClinicalSimulation) -> None:
    outcomes = large.tables["outcomes"]
    early = outcomes["death_days"] <= 90
    assert (outcomes.loc[early, "mrs_3m"] == 6).all()
    assert early[(outcomes["mrs_3m"] == 6).fillna(False)].all()
    assert (outcomes.loc[outcomes["mrs_discharge"].eq(6).fillna(False), "mrs_3m"] == 6).all()
    for day in ("death_days", "recurrence_days"):
        known = outcomes[outcomes[day].notna()]
        assert (known[day] <= known["last_seen_days"]).all()
        assert (known[day] >= 1).all()
    lost = outcomes["mrs_3m"].isna()
    assert (outcomes.loc[lost, "last_seen_days"] < 90).all()
    assert (outcomes.loc[~lost, "last_seen_days"] >= 90).eq(outcomes.loc[~lost, "mrs_3m"] != 6).mean() > 0.99


def _cut_point_log_odds(simulation: ClinicalSimulation, cut: int) -> tuple[float, float]:
    """Log odds ratio per SD for mRS > cut, all else of the generating specification held by an offset."""
    drawn = {name: simulation.complete[name].to_numpy() for name in simulation.complete}
    coefficients = dict(simulation.parameters["clinical"]["outcome"]["coefficients"])
    del coefficients["tissue_sd"]
    design = np.column_stack([np.ones(len(drawn["tissue_sd"])), drawn["tissue_sd"]])
    model = Logit(
        (drawn["true_mrs_3m"] > cut).astype(float), design, offset=linear_predictor(drawn, coefficients)
    )
    fit = model.fit(disp=0)
    return float(fit.params[1]), float(fit.bse[1])


@pytest.mark.parametrize("cut", range(6))
def test_the_stated_odds_ratio_is_in_the_outcome_at_every_cut_point(cut: int) -> None:
    simulation = simulate_clinical(
        {"clinical": 60_000}, seed=9, parameters=_changed({"outcome": {"coefficients": {"centre": 0.0}}})
    )
    truth = simulation.tables["simulation_truth"]
    estimate, error = _cut_point_log_odds(simulation, cut)
    assert truth["true_log_or_per_sd"].unique() == pytest.approx([np.log(1.35)], abs=1e-6)
    assert estimate == pytest.approx(np.log(1.35), abs=3.5 * error)
    assert error < 0.03


def test_the_violation_moves_the_cut_points_apart_and_names_no_common_odds_ratio() -> None:
    simulation = simulate_clinical(
        {"clinical": 60_000}, seed=9, parameters=_changed({"outcome": {"proportional_odds": False}})
    )
    (low, low_error), (high, high_error) = (_cut_point_log_odds(simulation, cut) for cut in (0, 5))
    assert high - low > 0.3 + 2 * np.hypot(low_error, high_error)
    assert simulation.tables["simulation_truth"]["true_log_or_per_sd"].isna().all()


def test_the_fixed_sd_is_about_the_population_s(large: ClinicalSimulation) -> None:
    log_tissue = np.log1p(large.complete["tissue_volume_ml"])
    assert log_tissue.std() == pytest.approx(
        large.tables["simulation_truth"]["sd_ln_tissue_volume"].iloc[0], abs=0.03
    )
    assert large.complete["tissue_volume_ml"].max() <= 100
    assert (large.complete["visible_la_volume_ml"] < large.complete["tissue_volume_ml"]).all()


def test_age_is_the_strongest_cause_of_volume(large: ClinicalSimulation) -> None:
    drawn = large.complete
    assert np.corrcoef(drawn["age_years"], drawn["tissue_sd"])[0, 1] == pytest.approx(0.5, abs=0.08)
    with_hypertension = drawn.groupby("hypertension")["tissue_sd"].mean()
    assert with_hypertension[True] > with_hypertension[False] + 0.2


def test_missing_completely_at_random_is_unrelated_and_at_random_is_related_to_age() -> None:
    related = {}
    for mechanism in ("mcar", "mar"):
        made = simulate_clinical(
            {"clinical": 30_000}, seed=2, parameters=_changed({"missingness": {"mechanism": mechanism}})
        )
        lost = made.complete["missing_mrs_3m"]
        related[mechanism] = made.complete["age_years"].groupby(lost).mean().diff().iloc[-1]
        assert made.tables["clinical"]["glucose_mmol_l"].isna().any()
    assert abs(related["mcar"]) < 1.0 < related["mar"]


def test_missing_can_be_switched_off() -> None:
    made = simulate_clinical({"clinical": 2000}, parameters=_changed({"missingness": {"mechanism": "none"}}))
    assert not made.tables["clinical"].drop(columns="valid_from").isna().any().any()
    assert made.tables["outcomes"]["mrs_3m"].notna().all()
    with pytest.raises(InputError, match="mechanism"):
        simulate_clinical(n=5, parameters=_changed({"missingness": {"mechanism": "mnar"}}))


def test_readers_disagree_most_where_little_is_visible(large: ClinicalSimulation) -> None:
    drawn = large.complete
    disagree = drawn["fazekas_deep/r1/1"] != drawn["fazekas_deep/r2/1"]
    visible = pd.qcut(drawn["visible_la_volume_ml"], 5, labels=False)
    by_load = disagree.groupby(visible).mean()
    assert by_load.iloc[:2].mean() > by_load.iloc[4] + 0.1
    assert drawn["fazekas_deep/r1/1"].corr(drawn["fazekas_deep/r2/1"]) > 0.75


def test_measured_volume_follows_mri_closely_with_a_slope_below_one_and_takes_infarct_for_la(
    large: ClinicalSimulation,
) -> None:
    drawn = large.complete.dropna(subset="la_volume_ml")
    assert np.corrcoef(drawn["la_volume_ml"], drawn["wmh_volume_ml"])[0, 1] == pytest.approx(0.95, abs=0.02)
    assert np.polyfit(drawn["wmh_volume_ml"], drawn["la_volume_ml"], 1)[0] < 0.85
    excess = drawn["la_volume_ml"] - drawn["visible_la_volume_ml"]
    assert excess[drawn["infarct_volume_ml"] > 50].mean() > excess[drawn["infarct_volume_ml"] < 5].mean() + 1
