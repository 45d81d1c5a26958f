"""What single studies compute: derived grades, calibration, selection, repeats, pictures, sensitivity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.cohort import load_cohort
from la_outcomes.analysis.studies.accuracy_calibration import calibrate_pairs
from la_outcomes.analysis.studies.common import derive, main_cohort
from la_outcomes.analysis.studies.fazekas import CutOff, derived_grade, fix_cut_off
from la_outcomes.analysis.studies.outcome_corrected import corrected
from la_outcomes.analysis.studies.overlays import at_percentiles, find_picture
from la_outcomes.analysis.studies.selection_study import repeat_table
from la_outcomes.analysis.studies.sensitivity import ALTERNATIVES, odds_ratio
from la_outcomes.analysis.studies.subgroups import COMPARISONS, harmonised_by_vendor
from la_outcomes.analysis.studies.which_measure import decision_curves, measured_alike
from la_outcomes.analysis.study import Request
from la_outcomes.errors import StatisticsError


def test_the_derived_grade_rises_with_volume_even_where_cut_offs_do_not() -> None:
    cuts = [CutOff(1, 5.0, "x", 9), CutOff(2, 4.0, "x", 9), CutOff(3, 20.0, "x", 9)]
    assert list(derived_grade(pd.Series([0.0, 4.5, 5.0, 19.9, 20.0]), cuts)) == [0, 0, 2, 2, 3]


def test_the_cut_off_is_the_one_with_the_highest_youden_index() -> None:
    random = np.random.default_rng(1)
    grade = random.integers(0, 4, 200)
    volume = np.exp(grade + random.normal(0, 0.7, 200)).round(1)
    known = pd.DataFrame({"grade": grade, "volume": volume, "cohort": "training"})
    best = fix_cut_off(known, 2).volume_ml

    def youden(cut: float) -> float:
        return float((volume[grade >= 2] >= cut).mean() - (volume[grade < 2] >= cut).mean())

    assert youden(best) == pytest.approx(max(youden(cut) for cut in set(volume)))


def test_calibration_is_fitted_on_internal_validation_and_judged_elsewhere() -> None:
    random = np.random.default_rng(2)
    volume = random.exponential(8, 200)
    pairs = pd.DataFrame(
        {
            "cohort": np.repeat(["internal_validation", "external_test"], 100),
            "la_volume_ml": volume,
            "wmh_volume_ml": np.expm1(0.4 + 0.9 * np.log1p(volume)),
            "la_volume_calibrated_ml": np.nan,
        }
    )
    found = calibrate_pairs(pairs)
    assert set(found.pairs["cohort"]) == {"external_test"}
    np.testing.assert_allclose(found.pairs["calibrated_ml"], found.pairs["wmh_volume_ml"], rtol=1e-8)
    assert "0.400 + 0.900" in found.source
    with pytest.raises(StatisticsError, match="not calibrated"):
        calibrate_pairs(pairs[pairs["cohort"] == "external_test"])


def test_vendors_are_brought_together_and_patients_keep_their_order_within_one() -> None:
    random = np.random.default_rng(3)
    true = random.exponential(8, 300)
    vendor = np.resize(["A", "B", "C"], 300)
    measured = np.expm1(np.log1p(true) + pd.Series(vendor).map({"A": -0.3, "B": 0.0, "C": 0.4}).to_numpy())
    pairs = pd.DataFrame(
        {"manufacturer": vendor, "sex": np.resize(["male", "female"], 300), "wmh_volume_ml": true,
         "la_volume_ml": measured.clip(0), "age_years": random.normal(70, 10, 300)}
    )  # fmt: skip
    comparison = COMPARISONS[-1]
    after = harmonised_by_vendor(pairs, comparison)
    spread = [np.log1p(x["la_volume_ml"]).groupby(x["manufacturer"]).mean().std() for x in (pairs, after)]
    assert spread[1] < 0.3 * spread[0]
    for name in ("A", "B", "C"):
        one = after["manufacturer"] == name
        ranks = after.loc[one, "la_volume_ml"].rank(), after.loc[one, "wmh_volume_ml"].rank()
        assert np.corrcoef(*ranks)[0, 1] > 0.97


def test_repeats_give_the_within_patient_sd_that_was_put_in() -> None:
    random = np.random.default_rng(4)
    true = random.normal(2, 0.8, 2000)
    first, second = (np.expm1(np.abs(true) + random.normal(0, 0.1, 2000)).clip(0) for _ in range(2))
    repeats = pd.DataFrame({"patient_id": range(2000), "first_ml": first, "second_ml": second})
    table = repeat_table(repeats).set_index("scale")
    assert table.loc["ln(mL + 1)", "within_sd"] == pytest.approx(0.1, rel=0.05)
    assert table.loc["ln(mL + 1)", "repeatability"] == pytest.approx(1.96 * np.sqrt(2) * 0.1, rel=0.05)
    with pytest.raises(StatisticsError, match="two measured CTs"):
        repeat_table(pd.DataFrame({"patient_id": ["a"], "first_ml": [1.0], "second_ml": [1.0]}))


def test_pictures_are_found_beside_the_registry_and_nowhere_else(tmp_path: Path) -> None:
    registry, picture = tmp_path / "r.duckdb", tmp_path / "results" / "overlays" / "s1.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"")
    assert find_picture(registry, "overlays/s1.png") == picture
    assert find_picture(registry, "overlays/s2.png") is None
    assert find_picture(registry, "../results/overlays/s1.png") is None
    assert find_picture(registry, str(picture)) is None
    pairs = pd.DataFrame({"scan_id": [f"s{i:02d}" for i in range(11)], "dsc": np.linspace(0, 1, 11)[::-1]})
    assert list(at_percentiles(pairs, "dsc")["dsc"].round(1)) == [0.1, 0.5, 0.9]


@pytest.fixture(scope="module")
def clinical(registry: Path) -> pd.DataFrame:
    return main_cohort(derive(load_cohort(registry)))[0]


def test_decision_curves_lie_between_none_and_the_share_of_events(clinical: pd.DataFrame) -> None:
    alike = measured_alike(clinical, "mrs_3m", ["age_years", "female", "nihss_admission"])
    curves = decision_curves(alike)
    share = float((alike.rows["mrs_3m"] >= 3).mean())
    assert (curves.drop(columns="treat all") <= share + 1e-12).all(axis=None)
    assert curves.loc[0.05, "treat all"] == pytest.approx(share - (1 - share) * 0.05 / 0.95)


def test_an_alternative_is_per_its_own_sd_and_on_its_own_patients(clinical: pd.DataFrame) -> None:
    by_name = {choice.name: choice for choice in ALTERNATIVES}
    thin = by_name["slices of 5 mm or less"]
    rows, exposure = thin.prepared(clinical, "la_volume_ml")
    assert (rows["slice_thickness_mm"] <= 5).all()
    assert rows[exposure.name].std() == pytest.approx(1.0)
    main = odds_ratio(
        clinical, "mrs_3m", by_name["ln(mL + 1), as measured, complete cases"], "la_volume_ml", 1
    )
    other = odds_ratio(clinical, "mrs_3m", by_name["ln(mL + 0.1)"], "la_volume_ml", 1)
    assert main.n == other.n
    assert main.low < other.estimate < main.high
    with pytest.raises(StatisticsError, match="main choice itself"):
        by_name["WMH on MRI"].prepared(clinical, "wmh_volume_ml")


def test_correction_moves_the_estimate_away_from_1_and_says_what_it_assumes(
    registry: Path, clinical: pd.DataFrame
) -> None:
    from la_outcomes.analysis.studies.common import SEVERITY, add_exposure
    from la_outcomes.analysis.studies.outcome_imputed import complete_case
    from la_outcomes.analysis.studies.outcome_mrs import fit_specification

    request = Request(registry, registry.parent)
    frame, exposure = add_exposure(clinical, request)
    naive = complete_case(
        fit_specification(frame, "mrs_3m", "full", [exposure.name], SEVERITY), exposure.name
    )
    found, assumptions = corrected(frame, request, exposure, SEVERITY)
    assert len(found) == 2
    for each in found:
        assert abs(each.log_or - naive.log_or) < 0.5 * abs(naive.log_or) + 0.1
        assert each.low < each.log_or < each.high
        assert (each.high - each.low) > 0.95 * (naive.high - naive.low)
    assert "transportability" in assumptions[0]
