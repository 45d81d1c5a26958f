"""Corrections for measurement error: closed forms, known truth, laws, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from la_outcomes.analysis.error_models import error_posterior, fit_error_model, fit_exposure_model
from la_outcomes.analysis.error_specification import ErrorSpecification, read_study
from la_outcomes.analysis.linear import fit_linear, fit_logistic
from la_outcomes.analysis.measurement_error import (
    impute_true_exposure,
    pool_nested,
    regression_calibration,
    reparameterised_imputation,
)
from la_outcomes.errors import StatisticsError

EFFECT = 0.5
PLAIN = ErrorSpecification("w", "x", offset=None, sd=1.0)
LEAKY = ErrorSpecification("w", "x", ("infarct",), offset=None, sd=1.0)


def people(n: int, seed: int, noise: float = 0.7) -> pd.DataFrame:
    """True x, measured w = 0.1 + 0.9 x + 0.5 infarct + noise, and outcomes that both move."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": rng.normal(size=n), "infarct": rng.exponential(size=n)})
    frame["x"] = 0.5 * frame["age"] + rng.normal(size=n)
    frame["w"] = 0.1 + 0.9 * frame["x"] + 0.5 * frame["infarct"] + noise * rng.normal(size=n)
    eta = EFFECT * frame["x"] + 0.3 * frame["age"] + 0.4 * frame["infarct"]
    frame["linear"] = eta + rng.normal(size=n)
    latent = eta + rng.logistic(size=n)
    frame["binary"] = (latent > 0.7).astype(int)
    frame["ordinal"] = np.searchsorted([-1, 0, 1, 2], latent)
    return frame


COHORT, PAIRS = people(4000, 1), people(3000, 2)
TERMS = ["age", "infarct"]


@pytest.mark.parametrize("transport", ["error", "calibration"])
def test_calibration_of_a_linear_outcome_is_the_naive_slope_over_the_reliability(transport: str) -> None:
    spec = ErrorSpecification("w", "x", ("infarct",), offset=None, sd=2.0, transport=transport)  # type: ignore[arg-type]
    fit = regression_calibration(COHORT, PAIRS, "linear", TERMS, spec, n_boot=40)
    if transport == "calibration":
        slope = fit_linear(PAIRS.assign(zero=0), "x", ["w", *TERMS]).coefficients["estimate"][1]
        assert fit.effect().estimate == pytest.approx(fit.effect("naive").estimate / slope, rel=1e-9)
    assert fit.effect().estimate == pytest.approx(2 * EFFECT, rel=0.06)
    assert fit.effect("naive").estimate < 0.75 * 2 * EFFECT
    assert fit.effect().se > fit.effect("naive").se
    assert fit.unit == "x"
    assert any("transportability" in text for text in fit.assumptions)
    assert fit.to_frame()["assumptions"].str.contains("non-differential").all()


@pytest.mark.parametrize("kind", ["linear", "binary", "ordinal"])
def test_both_corrections_find_the_truth_that_the_naive_fit_misses(kind: str) -> None:
    calibrated = regression_calibration(COHORT, PAIRS, kind, TERMS, LEAKY, kind, n_boot=40)  # type: ignore[arg-type]
    imputed = impute_true_exposure(COHORT, PAIRS, kind, TERMS, LEAKY, kind, m=8, nested=2)  # type: ignore[arg-type]
    for fit in (calibrated, imputed):
        effect = fit.effect()
        assert effect.ci_low - 0.03 < EFFECT < effect.ci_high + 0.03
        assert fit.effect("naive").ci_high < EFFECT
        assert ("ratio" in fit.coefficients) == (kind != "linear")
    assert any("approximate" in text for text in calibrated.assumptions) == (kind != "linear")
    assert not any("approximate" in text for text in imputed.assumptions)
    reliability = 0.81 / (0.81 + 0.49)
    assert calibrated.reliability == pytest.approx(reliability, abs=0.03)


def test_an_infarct_taken_for_a_lesion_biases_the_infarcts_effect_until_it_is_modelled() -> None:
    fit = regression_calibration(COHORT, PAIRS, "linear", TERMS, LEAKY, n_boot=40)
    infarct = fit.coefficients.set_index(["method", "term"])["estimate"].xs("infarct", level="term")
    assert infarct["naive"] < 0.33
    assert infarct["regression calibration"] == pytest.approx(0.4, abs=0.05)


def test_without_error_the_correction_changes_nothing() -> None:
    exact = [
        frame.assign(w=frame["x"] + 1e-4 * np.random.default_rng(0).normal(size=len(frame)))
        for frame in (COHORT, PAIRS)
    ]
    fit = regression_calibration(*exact, "linear", TERMS, PLAIN, n_boot=40)
    assert fit.effect().estimate == pytest.approx(fit.effect("naive").estimate, rel=1e-4)
    assert fit.reliability == pytest.approx(1, abs=1e-4)


def test_the_unit_of_the_measurement_does_not_matter_and_the_truths_scales_the_effect() -> None:
    first = regression_calibration(COHORT, PAIRS, "linear", TERMS, LEAKY, n_boot=40).effect()
    moved = [frame.assign(w=3 + 7 * frame["w"], x=10 * frame["x"]) for frame in (COHORT, PAIRS)]
    other = regression_calibration(*moved, "linear", TERMS, LEAKY, n_boot=40).effect()
    assert other.estimate * 10 == pytest.approx(first.estimate, rel=1e-6)


def test_a_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    cohort, pairs = COHORT[:300], PAIRS[:100]
    runs = [
        impute_true_exposure(cohort, pairs, "ordinal", TERMS, LEAKY, "ordinal", m=2, nested=2, seed=s)
        for s in (1, 1, 2)
    ]
    assert runs[0].coefficients.equals(runs[1].coefficients)
    assert not runs[0].coefficients.equals(runs[2].coefficients)


@pytest.mark.parametrize(
    ("noise", "n_pairs", "said"), [(1.6, 100, True), (1.6, 300, False), (0.7, 100, False)]
)
def test_an_interval_known_to_be_too_narrow_says_so(noise: float, n_pairs: int, said: bool) -> None:
    cohort, pairs = people(500, 3, noise), people(n_pairs, 4, noise)
    fit = impute_true_exposure(cohort, pairs, "linear", TERMS, LEAKY, m=4, nested=2)
    assert any("too narrow" in text for text in fit.assumptions) == said


def test_fewer_pairs_widen_the_interval() -> None:
    widths = []
    for n in (60, 3000):
        effect = regression_calibration(COHORT, PAIRS[:n], "linear", TERMS, LEAKY, n_boot=100).effect()
        widths.append(effect.ci_high - effect.ci_low)
    assert widths[0] > 1.5 * widths[1]


def test_the_grid_gives_the_normal_posterior_in_closed_form() -> None:
    study = read_study(COHORT, PAIRS, "linear", TERMS, LEAKY)
    error = fit_error_model(study.pairs)
    exposure = fit_exposure_model(study.cohort, error, None)
    posterior = error_posterior(study.cohort, error, exposure, None)
    weights = posterior.weights()
    mean = (weights * posterior.nodes).sum(axis=1)
    variance = (weights * (posterior.nodes - mean[:, None]) ** 2).sum(axis=1)
    noise = np.exp(2 * error.log_sd[0]) / error.mean[1] ** 2
    prior = exposure.mean[0] + study.cohort.terms @ exposure.mean[1:]
    implied = (study.cohort.measured - error.mean[0] - study.cohort.error @ error.mean[2:]) / error.mean[1]
    share = exposure.sd**2 / (exposure.sd**2 + noise)
    assert mean == pytest.approx(prior + share * (implied - prior), abs=1e-5)
    assert variance == pytest.approx(exposure.sd**2 * (1 - share), rel=1e-4)


def in_millilitres(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    unseen = np.random.default_rng(seed).random(len(frame)) < 1 / (1 + np.exp(1 + 1.5 * frame["x"]))
    seen_ml = np.expm1(np.maximum(frame["w"] + 3, 0.02))
    return frame.assign(wmh=np.expm1(np.maximum(frame["x"] + 3, 0)), ct=np.where(unseen, 0.0, seen_ml))


def test_zeros_say_what_they_say_in_the_pairs() -> None:
    cohort, pairs = in_millilitres(COHORT[:2000], 3), in_millilitres(PAIRS, 4)
    assert 0.2 < (cohort["ct"] == 0).mean() < 0.5
    spec = ErrorSpecification("ct", "wmh", ("infarct",), sd=1.0)
    fit = regression_calibration(cohort, pairs, "linear", TERMS, spec, n_boot=40)
    assert fit.effect().estimate == pytest.approx(EFFECT, abs=0.04)
    assert abs(fit.effect("naive").estimate - EFFECT) > 0.2
    assert fit.unit == "ln(wmh + 1)"
    imputed = impute_true_exposure(cohort, pairs, "linear", TERMS, spec, m=4, nested=2)
    assert imputed.effect().estimate == pytest.approx(EFFECT, abs=0.06)
    with pytest.raises(StatisticsError, match="in no pair"):
        regression_calibration(cohort, pairs[pairs["ct"] > 0], "linear", TERMS, spec)


def test_an_error_that_spreads_with_the_infarct_is_learned() -> None:
    rng = np.random.default_rng(5)
    frames = [
        f.assign(w=f["x"] + np.exp(-1 + 0.5 * f["infarct"]) * rng.normal(size=len(f)))
        for f in (COHORT, PAIRS)
    ]
    spec = ErrorSpecification("w", "x", ("infarct",), ("infarct",), offset=None, sd=1.0)
    study = read_study(*frames, "linear", TERMS, spec)
    assert fit_error_model(study.pairs).log_sd == pytest.approx([-1, 0.5], abs=0.06)
    fit = regression_calibration(*frames, "linear", TERMS, spec, n_boot=40)
    assert fit.effect().estimate == pytest.approx(EFFECT, abs=0.05)


def test_pairs_from_other_patients_need_the_transport_of_the_error() -> None:
    shifted = people(3000, 9)
    shifted["x"] = 2 + 1.6 * shifted["x"]
    shifted["w"] = (
        0.1 + 0.9 * shifted["x"] + 0.5 * shifted["infarct"] + 0.7 * np.random.default_rng(1).normal(size=3000)
    )
    by = {
        transport: regression_calibration(
            COHORT, shifted, "linear", TERMS,
            ErrorSpecification("w", "x", ("infarct",), offset=None, sd=1.0, transport=transport),  # type: ignore[arg-type]
            n_boot=40,
        ).effect().estimate
        for transport in ("error", "calibration")
    }  # fmt: skip
    assert by["error"] == pytest.approx(EFFECT, abs=0.05)
    assert by["calibration"] < 0.9 * EFFECT


def test_nested_imputations_that_agree_leave_the_variance_of_one() -> None:
    mean, errors, df = pool_nested(np.full((5, 3, 2), 1.5), np.full((5, 3, 2), 0.04))
    assert mean == pytest.approx([1.5, 1.5])
    assert errors == pytest.approx([0.2, 0.2])
    assert np.isinf(df).all()


def test_nested_pooling_by_hand() -> None:
    estimates = np.array([[[1.0], [2.0]], [[3.0], [6.0]]])
    mean, errors, df = pool_nested(estimates, np.full((2, 2, 1), 0.5))
    # between 4.5, within (0.5 + 4.5)/2 = 2.5: T = 0.5 + 1.5 * 4.5 + 0.5 * 2.5
    assert mean == pytest.approx([3.0])
    assert errors**2 == pytest.approx([8.5])
    assert 1 / df == pytest.approx([(6.75 / 8.5) ** 2 + (1.25 / 8.5) ** 2 / 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, p: (c, p[:10]), "at least 20"),
        (lambda c, p: (c, p.assign(x=1.0)), "constant"),
        (lambda c, p: (c, p.assign(w=-p["w"])), "does not rise"),
        (lambda c, p: (c.drop(columns="w"), p), "no column 'w'"),
        (lambda c, p: (c.assign(w=c["w"].where(c["age"] > 0)), p), "missing in"),
        (lambda c, p: (c.assign(w=0.1 * c["w"]), p), "about as large as all variation"),
        (lambda c, p: (c.assign(linear=1.0), p), "constant"),
    ],
)
def test_what_cannot_be_corrected_is_refused(change, message) -> None:
    cohort, pairs = change(COHORT[:500], PAIRS[:200])
    with pytest.raises(StatisticsError, match=message):
        regression_calibration(cohort, pairs, "linear", TERMS, LEAKY, n_boot=40)


def test_roles_that_do_not_fit_are_refused() -> None:
    with pytest.raises(StatisticsError, match="differential"):
        regression_calibration(COHORT, PAIRS, "linear", ["age"], LEAKY)
    with pytest.raises(StatisticsError, match="also a term"):
        regression_calibration(COHORT, PAIRS, "linear", ["w", "infarct"], LEAKY)
    with pytest.raises(StatisticsError, match="5 levels"):
        impute_true_exposure(COHORT, PAIRS, "ordinal", TERMS, LEAKY, "binary")
    with pytest.raises(StatisticsError, match="negative volumes"):
        regression_calibration(COHORT, PAIRS, "linear", TERMS, ErrorSpecification("w", "x", ("infarct",)))


def classes(n: int, prevalence: float, seed: int) -> pd.DataFrame:
    """True class, measured with sensitivity 0.8 and specificity 0.9, and a binary outcome (log OR 1)."""
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n)
    true = (rng.random(n) < prevalence + 0.05 * np.tanh(age)).astype(int)
    measured = np.where(true == 1, rng.random(n) < 0.8, rng.random(n) < 0.1).astype(int)
    y = (rng.logistic(size=n) < true + 0.5 * age - 0.5).astype(int)
    return pd.DataFrame({"age": age, "true": true, "severe": measured, "y": y})


def test_reparameterised_imputation_finds_the_odds_ratio_though_prevalence_differs() -> None:
    cohort, pairs = classes(8000, 0.3, 1), classes(2000, 0.6, 2)
    result = reparameterised_imputation(
        cohort.drop(columns="true"), pairs, "severe", "true", ["y", "age", "y:age"],
        lambda frame: fit_logistic(frame, "y", ["severe", "age"]), m=8, nested=2,
    )  # fmt: skip
    table = result.coefficients.set_index(["method", "term"])
    corrected = table.loc[("reparameterised imputation", "severe")]
    assert corrected["ci_low"] < 1 < corrected["ci_high"]
    assert table.loc[("naive", "severe"), "ci_high"] < 0.9
    assert (result.sensitivity, result.specificity) == pytest.approx((0.8, 0.9), abs=0.03)
    assert "transportability" in result.to_frame()["assumptions"][0]


def test_classes_that_the_pairs_cannot_describe_are_refused() -> None:
    cohort, pairs = classes(500, 0.3, 1), classes(300, 0.5, 2)

    def run(c: pd.DataFrame, p: pd.DataFrame) -> None:
        reparameterised_imputation(
            c, p, "severe", "true", ["y"], lambda f: fit_logistic(f, "y", ["severe"]), m=2
        )

    with pytest.raises(StatisticsError, match="must lie between"):
        run(cohort.assign(severe=(cohort["age"] > 2.2).astype(int)), pairs)
    with pytest.raises(StatisticsError, match="no better than chance"):
        run(cohort, pairs.assign(severe=1 - pairs["true"]))
    with pytest.raises(StatisticsError, match="one class"):
        run(cohort, pairs.assign(true=1))
    with pytest.raises(StatisticsError, match="other than 0 and 1"):
        run(cohort, pairs.assign(true=2))
