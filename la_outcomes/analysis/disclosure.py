"""Counts that may be shown: small ones suppressed, also where margins would give them away, or rounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from la_outcomes.analysis.results import FloatArray, Result, to_floats
from la_outcomes.errors import StatisticsError

SECONDARY_MARK = "suppressed"
"""What stands for a count that is not small but would give a small one away."""

TOTAL = "Total"

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Cell = tuple[int, int]


@dataclass(frozen=True)
class SuppressedTable(Result):
    """A table that may be shown (see `suppress_table`).

    Attributes
    ----------
    table : text of every count with the margins "Total".
    n_primary, n_secondary : counts hidden because they are small, and because they would give one away.
    threshold : largest count that is hidden.
    """

    table: pd.DataFrame
    n_primary: int
    n_secondary: int
    threshold: int

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()


def suppress_counts(counts: ArrayLike, threshold: int = 7) -> list[str]:
    """Return counts as text, 1 to ``threshold`` as "≤7"; 0 is shown as 0.

    For counts that stand alone. A list whose total is also shown needs `suppress_table`.

    Raises
    ------
    StatisticsError
        A count that is missing, negative or not whole, or a threshold below 1.
    """
    _check_threshold(threshold)
    return [_shown(value, threshold) for value in _whole(counts)]


def round_counts(counts: ArrayLike, base: int = 5) -> IntArray:
    """Round counts to the nearest multiple of ``base``, halves up.

    Totals should be rounded by themselves, not added from rounded counts. A count of 1 or 2 becomes 0.

    Raises
    ------
    StatisticsError
        A count that is missing, negative or not whole, or a base below 1.
    """
    if base < 1:
        raise StatisticsError(f"a base of {base} is not above 0", where="base", hint="5 is usual")
    return (2 * _whole(counts) + base) // (2 * base) * base


def suppress_table(counts: pd.DataFrame, threshold: int = 7) -> SuppressedTable:
    """Suppress small counts of a two-way table so that its margins do not give them back.

    Every count of 1 to ``threshold``, margins included, becomes "≤7". Then further counts become
    "suppressed" until no hidden count can be computed: for each of them, the least and the greatest value
    that fit what is shown (row and column sums, counts of 1 to threshold where "≤7" stands, larger ones
    where "suppressed" stands) must differ. Zeros stay, unless nothing else is left to hide.

    Parameters
    ----------
    counts : whole numbers, without margins; they are added as "Total".
    threshold : largest count to hide, 7 by default.

    Raises
    ------
    StatisticsError
        An empty table, a count that is missing, negative or not whole, a label "Total", or a table that
        gives itself away with every count hidden (many positive cells in a line whose total is small).

    Notes
    -----
    The bounds are exact: the constraints of a two-way table are totally unimodular, so the linear
    programme's optimum is a whole number. The choice of what else to hide is a heuristic (smallest count
    first, where it closes a cycle), not the least possible suppression.

    References
    ----------
    Hundepool A et al. Statistical Disclosure Control. 2012, p. 130-150. Cox LH. J Am Stat Assoc
    1980;75:377-385.
    """
    _check_threshold(threshold)
    if counts.empty or TOTAL in counts.index or TOTAL in counts.columns:
        raise StatisticsError(
            "the table is empty or has margins already", where="counts", hint="pass the counts alone"
        )
    full = _with_margins(_whole(counts.to_numpy().ravel()).reshape(counts.shape))
    small = (full >= 1) & (full <= threshold)
    hidden = _hide_until_safe(full, small, threshold)
    text = [
        [_text(full[i, j], small[i, j], hidden[i, j], threshold) for j in range(full.shape[1])]
        for i in range(full.shape[0])
    ]
    table = pd.DataFrame(text, index=[*counts.index, TOTAL], columns=[*counts.columns, TOTAL])
    table.index.name, table.columns.name = counts.index.name, counts.columns.name
    return SuppressedTable(table, int(small.sum()), int((hidden & ~small).sum()), threshold)


def _check_threshold(threshold: int) -> None:
    if threshold < 1:
        raise StatisticsError(
            f"a threshold of {threshold} hides nothing", where="threshold", hint="7 is usual"
        )


def _whole(counts: ArrayLike) -> IntArray:
    values = to_floats(counts, "counts")
    if np.isnan(values).any() or (values < 0).any() or (values != np.floor(values)).any():
        raise StatisticsError(
            "counts must be whole numbers from 0", where="counts", hint="a missing count is not a 0"
        )
    return values.astype(np.int64)


def _shown(value: int, threshold: int) -> str:
    return f"≤{threshold}" if 1 <= value <= threshold else str(value)


def _text(value: int, small: bool, hidden: bool, threshold: int) -> str:
    return SECONDARY_MARK if hidden and not small else _shown(value, threshold)


def _with_margins(cells: IntArray) -> IntArray:
    rows = np.vstack([cells, cells.sum(axis=0)])
    return np.column_stack([rows, rows.sum(axis=1)])


def _hide_until_safe(full: IntArray, small: BoolArray, threshold: int) -> BoolArray:
    hidden = small.copy()
    while candidates := _candidates(full, hidden, threshold):
        hidden[min(candidates, key=lambda cell: _cost(cell, full, hidden))] = True
    return hidden


def _candidates(full: IntArray, hidden: BoolArray, threshold: int) -> list[Cell]:
    """Shown cells of which one must be hidden next; none when the table is safe.

    A line with a single hidden cell gives it away. Only when there is none are the sums solved.
    """
    for i, j in np.argwhere(hidden):
        for line in _lines((int(i), int(j)), full.shape):
            if sum(hidden[other] for other in line) == 1:
                return [other for other in line if not hidden[other]]
    exposed = next(_exposed(full, hidden, threshold), None)
    if exposed is None:
        return []
    if hidden.all():
        raise StatisticsError(
            "the counts are so small that hiding all of them does not hide their values",
            where="counts",
            hint="merge rows or columns",
        )
    row, column = _lines(exposed, full.shape)
    near = [cell for cell in (*row, *column) if not hidden[cell]]
    return near or [(int(i), int(j)) for i, j in np.argwhere(~hidden)]


def _lines(cell: Cell, shape: tuple[int, ...]) -> tuple[list[Cell], list[Cell]]:
    """The row and the column of a cell, totals included."""
    i, j = cell
    return [(i, column) for column in range(shape[1])], [(row, j) for row in range(shape[0])]


def _cost(cell: Cell, full: IntArray, hidden: BoolArray) -> tuple[bool, bool, bool, int]:
    """Hide no zero, no margin, rather a cell that closes a cycle of hidden ones, and a small one."""
    i, j = cell
    margin = i == full.shape[0] - 1 or j == full.shape[1] - 1
    closes = hidden[i].any() and hidden[:, j].any()
    return bool(full[cell] == 0), margin, not closes, int(full[cell])


def _exposed(full: IntArray, hidden: BoolArray, threshold: int) -> Iterator[Cell]:
    """Hidden cells that what is shown determines."""
    cells = [(int(i), int(j)) for i, j in np.argwhere(hidden)]
    equations, constants = _shown_equations(full, cells)
    bounds = [_known_bounds(int(full[cell]), threshold) for cell in cells]
    for number, cell in enumerate(cells):
        direction = np.zeros(len(cells))
        direction[number] = 1
        least, greatest = (
            linprog(sign * direction, A_eq=equations, b_eq=constants, bounds=bounds, method="highs")
            for sign in (1, -1)
        )
        # status 3 is an unbounded problem: nothing limits the cell from above
        if greatest.status != 3 and least.fun + greatest.fun > -0.5:
            yield cell


def _known_bounds(value: int, threshold: int) -> tuple[int, int | None]:
    """What a reader knows about a hidden count from the mark alone."""
    if value == 0:
        return 0, None
    return (1, threshold) if value <= threshold else (threshold + 1, None)


def _shown_equations(full: IntArray, cells: list[Cell]) -> tuple[FloatArray, FloatArray]:
    """Row and column sums in terms of the hidden cells: total - parts = 0 for every line."""
    n_rows, n_columns = full.shape
    signs = np.ones(full.shape)
    signs[-1, :] *= -1
    signs[:, -1] *= -1
    equations = np.zeros((n_rows + n_columns, len(cells)))
    for number, (i, j) in enumerate(cells):
        equations[i, number] = signs[i, j]
        equations[n_rows + j, number] = signs[i, j]
    truth = np.array([full[cell] for cell in cells], dtype=float)
    return equations, equations @ truth
