"""Weighted kappa: published figures, laws, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from agreement_tables import VISION, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from la_outcomes.analysis.agreement import weighted_kappa
from la_outcomes.errors import StatisticsError

COHEN = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
FLEISS = np.array([[106, 10, 4], [22, 28, 10], [2, 12, 6]])


class TestPublished:
    def test_cohen_1968(self):
        # Cohen J. Psychol Bull 1968;70:213-220, n = 200: .492, .348, and .353 with asymmetric weights.
        a, b = pairs_of(COHEN)
        disagreement = np.array([[0, 1, 3], [1, 0, 6], [3, 6, 0]])
        asymmetric = np.array([[0, 1, 4], [1, 0, 6], [2, 2, 0]])
        assert weighted_kappa(a, b, range(3), None).kappa == pytest.approx(0.492, abs=5e-4)
        for weights, kappa in ((disagreement, 0.348), (asymmetric, 0.353)):
            assert weighted_kappa(a, b, range(3), 1 - weights / 6).kappa == pytest.approx(kappa, abs=5e-4)

    def test_fleiss_cohen_everitt_1969(self):
        # Psychol Bull 1969;72:323-327: kappa .429, variance .002885, under chance .003082; weighted .507,
        # .003248, .004269.
        a, b = pairs_of(FLEISS)
        weights = 1 - np.array([[0, 9, 5], [9, 0, 3], [5, 3, 0]]) / 9
        for w, kappa, variance, null in ((None, 0.429, 2885, 3082), (weights, 0.507, 3248, 4269)):
            fit = weighted_kappa(a, b, range(3), w)
            assert fit.kappa == pytest.approx(kappa, abs=5e-4)
            assert fit.se**2 * 1e6 == pytest.approx(variance, abs=0.6)
            assert fit.se_null**2 * 1e6 == pytest.approx(null, abs=0.6)

    def test_unaided_vision(self):
        # R 4.2.2, vcd 1.4-11: Kappa
        a, b = pairs_of(VISION)
        for weights, kappa, se in (
            (None, 0.595388828089434, 0.00728685113474574),
            ("linear", 0.652380429500598, 0.00707526357069836),
            ("quadratic", 0.702334252490098, 0.00838193658653674),
        ):
            fit = weighted_kappa(a, b, range(4), weights)
            assert (fit.kappa, fit.se) == pytest.approx((kappa, se), rel=1e-9)


tables = st.lists(st.integers(0, 20), min_size=9, max_size=9).map(
    lambda c: np.reshape(c, (3, 3)) + np.eye(3, dtype=int)
)


class TestLaws:
    @given(tables, st.sampled_from([None, "linear", "quadratic"]))
    def test_swapping_raters(self, table, weights):
        a, b = pairs_of(table)
        one, other = weighted_kappa(a, b, range(3), weights), weighted_kappa(b, a, range(3), weights)
        assert (other.kappa, other.se, other.se_null) == pytest.approx(
            (one.kappa, one.se, one.se_null), abs=1e-7
        )

    @given(tables, st.sampled_from([None, "linear", "quadratic"]))
    def test_relabelling_and_reversing_the_order(self, table, weights):
        a, b = pairs_of(table)
        words = np.array(["none", "some", "much"])
        one = weighted_kappa(a, b, range(3), weights)
        other = weighted_kappa(words[a], words[b], words[::-1].tolist(), weights)
        assert (other.kappa, other.se) == pytest.approx((one.kappa, one.se), abs=1e-7)

    @given(tables)
    def test_named_weights_are_their_matrices(self, table):
        a, b = pairs_of(table)
        named = weighted_kappa(a, b, range(3), "quadratic")
        matrix = weighted_kappa(a, b, range(3), [[1, 0.75, 0], [0.75, 1, 0.75], [0, 0.75, 1]])
        assert (matrix.kappa, matrix.se) == pytest.approx((named.kappa, named.se), abs=1e-7)
        assert (named.weights, matrix.weights) == ("quadratic", "matrix")

    @given(tables, st.integers(2, 5))
    def test_repeating_every_patient_shrinks_the_error_only(self, table, times):
        one = weighted_kappa(*pairs_of(table), range(3))
        many = weighted_kappa(*pairs_of(table * times), range(3))
        assert many.kappa == pytest.approx(one.kappa)
        assert many.se * np.sqrt(times) == pytest.approx(one.se, abs=1e-7)


def test_an_unused_category_changes_the_weights():
    a, b = pairs_of(COHEN)
    kappas = [weighted_kappa(a, b, order).kappa for order in ([0, 1, 2], [0, 1, 2, 3], [0, 1, "?", 2])]
    # beyond the last category the linear weights keep their ratios; between two of them they do not
    assert kappas[1] == pytest.approx(kappas[0])
    assert abs(kappas[2] - kappas[0]) > 0.001


def test_perfect_agreement():
    fit = weighted_kappa([0, 1, 2, 1], [0, 1, 2, 1], [0, 1, 2])
    assert (fit.kappa, fit.ci_low, fit.ci_high, fit.observed) == pytest.approx((1, 1, 1, 1))


def test_missing_ratings():
    a, b = ["x", None, "y", "x"], ["x", "y", "y", "y"]
    with pytest.raises(StatisticsError, match="missing in 1 of 4"):
        weighted_kappa(a, b, ["x", "y"])
    assert weighted_kappa(a, b, ["x", "y"], missing="drop").n_missing == 1


@pytest.mark.parametrize(
    ("a", "b", "categories", "weights", "message"),
    [
        ([0, 1, 3], [0, 1, 1], [0, 1], "linear", "3, which is not a category"),
        ([0, 0, 0], [0, 1, 1], [0, 1], "linear", "fazekas.*one category only"),
        ([0, 1, 1], [0, 1, 1], [0], "linear", "two different categories"),
        ([0, 1, 1], [0, 1, 1], [0, 1, 1], "linear", "two different categories"),
        ([0, 1, 1], [0, 1], [0, 1], "linear", "differ in length"),
        ([0, 1, 1], [0, 1, 1], [0, 1], "cubic", "'linear', 'quadratic'"),
        ([0, 1, 1], [0, 1, 1], [0, 1], np.eye(3), "2 x 2"),
        ([0, 1, 1], [0, 1, 1], [0, 1], 1 - np.eye(2), "1 on the diagonal"),
    ],
)
def test_refusals(a, b, categories, weights, message):
    with pytest.raises(StatisticsError, match=message):
        weighted_kappa(pd.Series(a, name="fazekas"), b, categories, weights)
