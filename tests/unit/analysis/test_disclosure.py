"""Disclosure control: what is shown, and that nobody can work back what is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from la_outcomes.analysis.disclosure import SECONDARY_MARK, round_counts, suppress_counts, suppress_table
from la_outcomes.errors import StatisticsError


def test_counts_alone():
    assert suppress_counts([0, 1, 7, 8, 120]) == ["0", "≤7", "≤7", "8", "120"]
    assert suppress_counts([0, 4, 5], threshold=4) == ["0", "≤4", "5"]


def test_rounding_to_five():
    assert round_counts([0, 1, 2, 3, 7, 8, 12, 13]).tolist() == [0, 0, 0, 5, 5, 10, 10, 15]
    assert round_counts([4, 5, 14, 15], base=10).tolist() == [0, 10, 10, 20]


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 50))
def test_rounding_is_to_the_nearest(counts, base):
    rounded = round_counts(counts, base)
    assert (rounded % base == 0).all()
    assert (np.abs(rounded - np.array(counts)) * 2 <= base).all()


def test_a_small_count_takes_three_others_with_it():
    counts = pd.DataFrame([[3, 20, 30], [10, 25, 40], [50, 12, 9]], list("abc"), ["mild", "some", "much"])
    result = suppress_table(counts)
    assert result.table.loc["a"].tolist() == ["≤7", SECONDARY_MARK, "30", "53"]
    assert result.table.loc["b"].tolist() == [SECONDARY_MARK, SECONDARY_MARK, "40", "75"]
    assert result.table.loc["Total"].tolist() == ["63", "57", "79", "199"]
    assert (result.n_primary, result.n_secondary) == (1, 3)


def test_two_small_counts_whose_sum_gives_them_away():
    # 52 - 50 = 2 patients in two cells of at least 1 each: both are 1
    table = suppress_table(pd.DataFrame([[1, 1, 50], [30, 40, 50]])).table
    assert table.iloc[0, 2] == SECONDARY_MARK


def test_tables_without_small_counts_are_shown_whole():
    counts = pd.DataFrame([[0, 20], [8, 100]], ["no", "yes"], ["low", "high"])
    result = suppress_table(counts)
    assert result.table.to_numpy().tolist() == [["0", "20", "20"], ["8", "100", "108"], ["8", "120", "128"]]
    assert (result.n_primary, result.n_secondary) == (0, 0)


def test_zeros_and_names_stay():
    counts = pd.DataFrame([[3, 0], [0, 30], [20, 40]], pd.Index(list("abc"), name="site"), ["no", "yes"])
    table = suppress_table(counts).to_frame()
    assert (table.loc["a", "yes"], table.loc["b", "no"]) == ("0", "0")
    assert table.index.name == "site"
    assert "3" not in table.to_numpy().ravel().tolist()


def possible_tables(shown: pd.DataFrame, threshold: int, largest: int) -> np.ndarray:
    """Every table of counts up to ``largest`` that a reader cannot rule out, by trying all of them."""
    marks = shown.to_numpy()

    def fits(values: np.ndarray, mark: str) -> np.ndarray:
        if mark == SECONDARY_MARK:
            return values >= 0
        return (values >= 1) & (values <= threshold) if mark == f"≤{threshold}" else values == int(mark)

    every = np.arange(largest + 1)
    choices = np.meshgrid(*(every[fits(every, mark)] for mark in marks[:-1, :-1].ravel()), copy=False)
    cells = np.stack([choice.ravel() for choice in choices], axis=1).reshape(-1, *(np.array(marks.shape) - 1))
    full = np.concatenate([cells, cells.sum(axis=1, keepdims=True)], axis=1)
    full = np.concatenate([full, full.sum(axis=2, keepdims=True)], axis=2)
    kept = [fits(full[:, i, j], marks[i, j]) for i, j in np.ndindex(marks.shape)]
    return full[np.all(kept, axis=0)]


@settings(max_examples=60)
@given(arrays(np.int64, st.sampled_from([(2, 2), (1, 3), (2, 3)]), elements=st.integers(0, 5)))
def test_no_hidden_count_can_be_worked_back(cells):
    # threshold 2, so that small tables have counts of every kind and all that fit can be listed
    try:
        shown = suppress_table(pd.DataFrame(cells), threshold=2).table
    except StatisticsError:
        reject()  # refused: nothing is shown
    spread = np.ptp(possible_tables(shown, threshold=2, largest=7), axis=0)
    hidden = shown.isin(["≤2", SECONDARY_MARK]).to_numpy()
    assert (spread[hidden] > 0).all()
    assert (spread[~hidden] == 0).all()


def test_a_table_that_gives_itself_away_is_refused():
    # every column holds two patients in two cells of at least one each
    with pytest.raises(StatisticsError, match="merge rows or columns"):
        suppress_table(pd.DataFrame([[1, 1, 1], [1, 1, 1]]), threshold=2)


@settings(max_examples=40)
@given(arrays(np.int64, (4, 3), elements=st.integers(0, 40)))
def test_every_small_count_is_hidden_and_every_shown_one_is_true(cells):
    shown = suppress_table(pd.DataFrame(cells)).table
    full = np.vstack([cells, cells.sum(axis=0)])
    full = np.column_stack([full, full.sum(axis=1)])
    for value, mark in zip(full.ravel(), shown.to_numpy().ravel(), strict=True):
        if 1 <= value <= 7:
            assert mark == "≤7"
        else:
            assert mark in (str(value), SECONDARY_MARK)


@pytest.mark.parametrize("bad", [[1, -1], [1.5, 2], [np.nan, 2]])
def test_counts_must_be_counts(bad):
    with pytest.raises(StatisticsError, match="whole numbers"):
        suppress_counts(bad)
    with pytest.raises(StatisticsError, match="whole numbers"):
        round_counts(bad)
    with pytest.raises(StatisticsError, match="whole numbers"):
        suppress_table(pd.DataFrame([bad, [1, 2]]))


def test_refusals():
    with pytest.raises(StatisticsError, match="hides nothing"):
        suppress_counts([1], threshold=0)
    with pytest.raises(StatisticsError, match="not above 0"):
        round_counts([1], base=0)
    with pytest.raises(StatisticsError, match="margins already"):
        suppress_table(pd.DataFrame({"Total": [1]}))
    with pytest.raises(StatisticsError, match="empty"):
        suppress_table(pd.DataFrame())
