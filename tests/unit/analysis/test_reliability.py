"""More than two raters: published figures, laws, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from agreement_tables import BASE_TIMES, JUDGES, OBSERVERS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from la_outcomes.analysis.agreement import fleiss_kappa, icc, kendalls_w, krippendorff_alpha, lins_ccc
from la_outcomes.errors import StatisticsError

# Worked example of the article "Fleiss' kappa" in Wikipedia: 10 subjects, 14 raters, counts of 5 categories.
WORKED = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def tidy(scores: np.ndarray) -> pd.DataFrame:
    targets, raters = np.indices(scores.shape)
    return pd.DataFrame({"patient": targets.ravel(), "reader": raters.ravel(), "volume": scores.ravel()})


def coefficients(scores: np.ndarray, **options) -> pd.DataFrame:
    return icc(tidy(scores), "patient", "reader", "volume", **options).set_index("type")


class TestPublished:
    def test_shrout_and_fleiss(self):
        # Psychol Bull 1979;86:420-428, table 4; intervals of ICC1, ICC2, ICC3: R psych 2.2.9, ICC.
        table = coefficients(JUDGES)
        assert table.index.tolist() == ["ICC1", "ICC2", "ICC3", "ICC1k", "ICC2k", "ICC3k"]
        assert table["icc"].round(2).tolist() == [0.17, 0.29, 0.71, 0.44, 0.62, 0.91]
        single = table.loc[["ICC1", "ICC2", "ICC3"], ["ci_low", "ci_high"]].round(3)
        assert single.to_numpy().tolist() == [[-0.133, 0.723], [0.019, 0.761], [0.342, 0.946]]
        assert table["f"].round(2).tolist() == [1.79, 11.03, 11.03, 1.79, 11.03, 11.03]

    def test_fleiss(self):
        ratings = np.array([np.repeat(np.arange(5), counts) for counts in WORKED])
        assert fleiss_kappa(ratings).kappa == pytest.approx(0.210, abs=5e-4)

    def test_krippendorff(self):
        # Content Analysis, 2nd ed. 2004, p. 230-236: .743, .815, .849, .797
        values = [krippendorff_alpha(OBSERVERS, s).alpha for s in ("nominal", "ordinal", "interval", "ratio")]
        assert values == pytest.approx([0.743, 0.815, 0.849, 0.797], abs=5e-4)

    def test_kendall(self):
        # 22 players rank 3 ways of running. R, help page of friedman.test: chi-squared 11.143, p .003805;
        # W is that over m (n - 1).
        fit = kendalls_w(BASE_TIMES.T)
        assert (fit.chi2, fit.df, fit.p) == pytest.approx((11.143, 2, 0.003805), rel=1e-4)
        assert fit.w == pytest.approx(11.143 / 44, rel=1e-4)


seeds = st.integers(0, 2**32 - 1)


def readings(seed: int, n: int = 12, k: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 1)) + rng.normal(size=(1, k)) + rng.normal(size=(n, k))


class TestLaws:
    @given(seeds, st.floats(-100, 100), st.floats(0.01, 100))
    def test_icc_ignores_the_unit_and_the_order(self, seed, shift, scale):
        scores = readings(seed)
        shuffled = tidy(shift + scale * scores).sample(frac=1, random_state=seed % 1000)
        other = icc(shuffled, "patient", "reader", "volume").set_index("type")
        columns = ["icc", "ci_low", "ci_high"]
        np.testing.assert_allclose(other[columns], coefficients(scores)[columns], rtol=1e-6, atol=1e-8)

    @given(seeds)
    def test_consistency_ignores_a_readers_offset(self, seed):
        scores = readings(seed)
        moved = scores + np.array([0.0, 5.0, -3.0])
        assert coefficients(moved).loc["ICC3", "icc"] == pytest.approx(
            coefficients(scores).loc["ICC3", "icc"]
        )

    @given(seeds)
    def test_agreement_of_two_readers_is_near_concordance(self, seed):
        # ICC2 and Lin's CCC differ by terms of order 1 / n only (Nickerson, Biometrics 1997;53:1503-1507)
        scores = readings(seed, n=400, k=2)
        assert coefficients(scores).loc["ICC2", "icc"] == pytest.approx(
            lins_ccc(scores[:, 0], scores[:, 1]).ccc, abs=0.02
        )

    @given(arrays(np.int64, (6, 4), elements=st.integers(0, 2)))
    def test_relabelling_categories(self, ratings):
        if len(np.unique(ratings)) < 2:
            return
        words = np.array(["none", "some", "much"])[ratings]
        assert fleiss_kappa(words).kappa == pytest.approx(fleiss_kappa(ratings).kappa)
        assert krippendorff_alpha(words).alpha == pytest.approx(krippendorff_alpha(ratings).alpha)

    @given(arrays(np.int64, (6, 4), elements=st.integers(0, 2)))
    def test_alpha_is_fleiss_kappa_with_a_small_sample_term(self, ratings):
        # Krippendorff 2004: alpha = kappa + (1 - kappa) / (ratings), nominal and complete
        if len(np.unique(ratings)) < 2:
            return
        kappa = fleiss_kappa(ratings).kappa
        assert krippendorff_alpha(ratings.T).alpha == pytest.approx(kappa + (1 - kappa) / ratings.size)

    @given(seeds)
    def test_ranks_only(self, seed):
        scores = readings(seed)
        assert kendalls_w(np.exp(scores)).w == pytest.approx(kendalls_w(scores).w)
        assert kendalls_w(scores[:, ::-1]).p == pytest.approx(kendalls_w(scores).p)

    @given(seeds, st.floats(-50, 50))
    def test_interval_alpha_ignores_a_shift(self, seed, shift):
        scores = readings(seed).round(1).T
        assert krippendorff_alpha(scores + shift, "interval").alpha == pytest.approx(
            krippendorff_alpha(scores, "interval").alpha, abs=1e-6
        )


def test_perfect_agreement_is_one():
    same = np.repeat([[1.0], [2.0], [4.0]], 3, axis=1)
    table = coefficients(same)
    np.testing.assert_allclose(table[["icc", "ci_low", "ci_high"]], 1)
    assert not table.isna().any(axis=None)
    assert kendalls_w(same).w == pytest.approx(1)
    assert fleiss_kappa(same).kappa == pytest.approx(1)
    assert krippendorff_alpha(same.T, "ratio").alpha == pytest.approx(1)


def test_targets_without_spread_have_a_floor_not_nan():
    table = coefficients(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [2.0, 1.0]]))
    assert table.loc["ICC1", "icc"] == pytest.approx(-1)
    assert table.loc["ICC1k", "icc"] == -np.inf
    assert not table.isna().any(axis=None)


def test_missing_ratings_drop_the_target():
    scores = JUDGES.astype(float).copy()
    scores[5, 0] = np.nan
    with pytest.raises(StatisticsError, match="missing"):
        coefficients(scores)
    table = coefficients(scores, missing="drop")
    assert table["n_missing"].unique() == [1]
    assert table["icc"].tolist() == coefficients(JUDGES[:5])["icc"].tolist()
    assert fleiss_kappa(scores, missing="drop").n_missing == 1
    assert kendalls_w(scores, missing="drop").n == 5


def test_a_target_without_a_row_for_a_reader_is_missing_too():
    frame = tidy(JUDGES.astype(float)).iloc[1:]
    with pytest.raises(StatisticsError, match="missing"):
        icc(frame, "patient", "reader", "volume")
    assert icc(frame, "patient", "reader", "volume", missing="drop")["n_targets"].iloc[0] == 5


def test_units_with_one_rating_do_not_count():
    assert krippendorff_alpha(OBSERVERS).n == 11
    assert krippendorff_alpha(OBSERVERS).n_missing == 1
    words = [["a", "b", None, "a"], ["a", "b", "c", "b"]]
    assert krippendorff_alpha(words).n == 3


def test_refusals():
    with pytest.raises(StatisticsError, match="volume is constant"):
        coefficients(np.ones((3, 2)))
    with pytest.raises(StatisticsError, match="two ratings by one rater"):
        icc(pd.concat([tidy(JUDGES)] * 2), "patient", "reader", "volume")
    with pytest.raises(StatisticsError, match="no column 'score'"):
        icc(tidy(JUDGES), "patient", "reader", "score")
    with pytest.raises(StatisticsError, match="at least 2"):
        coefficients(JUDGES[:, :1])
    with pytest.raises(StatisticsError, match="same category"):
        fleiss_kappa([["a", "a"], ["a", "a"]])
    with pytest.raises(StatisticsError, match="two dimensions"):
        fleiss_kappa(["a", "b"])
    with pytest.raises(StatisticsError, match="constant"):
        kendalls_w([[1, 1], [2, 1], [3, 1]])
    with pytest.raises(StatisticsError, match="infinite"):
        kendalls_w([[1.0, 2.0], [2.0, np.inf]])
    with pytest.raises(StatisticsError, match="no unit has two ratings"):
        krippendorff_alpha([[1.0, np.nan], [np.nan, 2.0]])
    with pytest.raises(StatisticsError, match="every rating is the same"):
        krippendorff_alpha([[1, 1], [1, 1]])
    with pytest.raises(StatisticsError, match="one sign"):
        krippendorff_alpha([[1, -1], [2, -2]], "ratio")
    with pytest.raises(StatisticsError, match="level='cardinal'"):
        krippendorff_alpha([[1, 2], [1, 2]], "cardinal")  # type: ignore[arg-type]
    with pytest.raises(StatisticsError, match="numbers"):
        krippendorff_alpha([["a", "b"], ["a", "b"]], "interval")
